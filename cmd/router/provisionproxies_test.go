package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
)

func writeKey(t *testing.T, dir, name string, key identity.PrivateKey) {
	t.Helper()
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeSecret(filepath.Join(dir, name+jwkEnding), text); err != nil {
		t.Fatal(err)
	}
}

func TestProvisionAddsProxies(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Bare: true})
	dir := t.TempDir()
	as := func(args ...string) []string {
		return append(args, "-s", b.URL(), "--nkey", b.SeedFile(t, broker.UserAdmin))
	}
	provision := as("provision", "--storage", "memory", "--proxies", dir)
	wantFailure(t, cli(t, provision...), exitUsage, `there is no <selfid>.jwk in it`)

	if out := mustSucceed(t, "identity", "generate", "proxy", "--signing-only", "--dir", dir).stdout; !strings.Contains(out, `"crv":"Ed25519"`) || strings.Contains(out, `"d"`) {
		t.Errorf("want the public half and nothing else, got\n%s", out)
	}
	mustSucceed(t, "identity", "generate", "router", "--dir", dir)
	if _, err := os.Stat(filepath.Join(dir, "proxy.nk")); err == nil {
		t.Error("--signing-only: want no key for a connection")
	}
	wantFailure(t, cli(t, append(provision, "--verify")...), exitFailure, "identity proxy is not in the directory")
	if out := mustSucceed(t, provision...).stdout; !strings.Contains(out, "created    identity proxy\ncreated    identity router") {
		t.Errorf("want both identities created, got\n%s", out)
	}
	if out := mustSucceed(t, provision...).stdout; !strings.Contains(out, "unchanged  identity proxy") {
		t.Errorf("second run: want the identities unchanged, got\n%s", out)
	}
	mustSucceed(t, append(provision, "--verify")...)
	if out := mustSucceed(t, as("identity", "show", "proxy")...).stdout; !strings.Contains(out, `"role":"app"`) {
		t.Errorf("want an app, got\n%s", out)
	}

	other := t.TempDir()
	mustSucceed(t, "identity", "generate", "proxy", "--dir", other)
	wantFailure(t, cli(t, as("provision", "--storage", "memory", "--proxies", other)...), exitFailure,
		"identity proxy: the directory does not have the key in proxy.jwk")
	mustSucceed(t, as("identity", "revoke", "proxy")...)
	wantFailure(t, cli(t, provision...), exitFailure, "identity proxy is revoked")
}

func TestAccountsOnlyIsAFragment(t *testing.T) {
	t.Parallel()
	keys := t.TempDir()
	whole := mustSucceed(t, "provision", "--server-config", "--keys", keys).stdout
	part := mustSucceed(t, "provision", "--server-config", "--accounts-only", "--keys", keys).stdout
	for _, line := range []string{"host:", "port:", "jetstream {", "max_payload:"} {
		if !strings.Contains(whole, "\n"+line) || strings.Contains(part, "\n"+line) {
			t.Errorf("want %q in the whole configuration only, got\n%s", line, part)
		}
	}
	_, accounts, _ := strings.Cut(whole, "\n# Who connects")
	if !strings.HasSuffix(part, accounts) {
		t.Errorf("want the same accounts in both, got\n%s", part)
	}
	wantFailure(t, cli(t, "provision", "--server-config", "--accounts-only", "--keys", keys, "--port", "4223"), exitUsage,
		"--accounts-only and --port cannot be used together")
	wantFailure(t, cli(t, "provision", "--accounts-only"), exitUsage, "--accounts-only does nothing without --server-config")
	wantFailure(t, cli(t, "provision", "--server-config", "--keys", keys, "--proxies", keys), exitUsage, "--server-config and --proxies")
}
