package main

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/doctor"
)

// installation is a sound one, with its keys in files: those of the users in
// users, of the proxy in proxies, of the identity alice in alice.nk.
func installation(t *testing.T) (b *brokertest.Broker, dir string) {
	t.Helper()
	b = brokertest.Start(t, brokertest.Options{Memory: true, Callout: true, Users: []string{"alice"}, Apps: []string{"proxy"}})
	dir = t.TempDir()
	for _, user := range []string{broker.UserRouter, broker.UserBackend, broker.UserAdmin, broker.UserAuth, broker.UserSystem} {
		text, err := os.ReadFile(b.SeedFile(t, user))
		if err != nil {
			t.Fatal(err)
		}
		secret(t, filepath.Join(dir, "users", user+seedEnding), text)
	}
	key, err := json.Marshal(b.Get(t, "proxy").Key)
	if err != nil {
		t.Fatal(err)
	}
	secret(t, filepath.Join(dir, "proxies", "proxy"+jwkEnding), key)
	seed, err := b.Get(t, "alice").NKey.Seed()
	if err != nil {
		t.Fatal(err)
	}
	secret(t, filepath.Join(dir, "alice"+seedEnding), seed)
	return b, dir
}

func secret(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := writeSecret(name, text); err != nil {
		t.Fatal(err)
	}
}

// check runs "router check" with this environment, and returns its report too.
func check(t *testing.T, env map[string]string, args ...string) (result, doctor.Report) {
	t.Helper()
	for name, value := range env {
		t.Setenv(name, value)
	}
	r := cli(t, append([]string{"check", "--json"}, args...)...)
	var report doctor.Report
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil && r.code != exitUsage {
		t.Fatalf("want JSON, got %v: %s%s", err, r.stdout, r.stderr)
	}
	return r, report
}

// wantLine demands a finding with these words that says how to mend it.
func wantLine(t *testing.T, report doctor.Report, status doctor.Status, check string, parts ...string) {
	t.Helper()
	for _, f := range report.Findings {
		text, found := f.About+" "+f.Seen+" "+f.Mend, f.Status == status && f.Check == check
		for _, p := range parts {
			found = found && strings.Contains(text, p)
		}
		if found {
			if (status == doctor.Warn || status == doctor.Wrong) && f.Mend == "" {
				t.Errorf("want to be told how to mend it, got %+v", f)
			}
			return
		}
	}
	t.Errorf("want a line %q of %q with %q, got %+v", status, check, parts, report.Findings)
}

func TestCheckCommand(t *testing.T) {
	b, dir := installation(t)
	env := map[string]string{
		"ROUTER_NATS_URL": b.URL(), "ROUTER_NATS_NKEY_FILE": filepath.Join(dir, "users", "router.nk"), "ROUTER_PROXY_KEYS": filepath.Join(dir, "proxies"),
	}
	all := []string{"--keys", filepath.Join(dir, "users"), "--identity", filepath.Join(dir, "alice.nk")}
	r, report := check(t, env, all...)
	if r.code != exitOK || report.Wrong != 0 || report.Warn == 0 {
		t.Errorf("want exit 0 with warnings for a sound installation, got %d: %s %s", r.code, r.stdout, r.stderr)
	}
	r = cli(t, append([]string{"check"}, all...)...)
	for _, part := range []string{"ok       assets        stream VOICE_OUT", "\n         mend: ", "0 wrong"} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("want %q, got\n%s", part, r.stdout)
		}
	}
	t.Setenv("ROUTER_NATS_NKEY_FILE", "") // then that of --keys counts
	if r := cli(t, append([]string{"check"}, all...)...); r.code != exitOK {
		t.Errorf("want exit 0 with the credential of --keys, got %d\n%s", r.code, r.stdout)
	}

	// What is wrong with files.
	proxies := filepath.Join(dir, "proxies")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(proxies, "gone.jwk")); err != nil {
		t.Fatal(err)
	}
	secret(t, filepath.Join(proxies, "bad.jwk"), []byte(`{"d":"hunter2"}`))
	secret(t, filepath.Join(proxies, "open.jwk"), []byte(`{}`))
	if err := os.Chmod(filepath.Join(proxies, "open.jwk"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := generateKey(filepath.Join(proxies, "stranger.jwk")); err != nil {
		t.Fatal(err)
	}
	r, report = check(t, map[string]string{"ROUTER_TYPO": "x", "ROUTER_SIGNATURES": "off", "ROUTER_RING_TIMEOUT": "1h", "ROUTER_NATS_CREDS": filepath.Join(dir, "nowhere.creds")}, all...)
	wantFailure(t, r, exitFailure, "check: ", "wrong")
	wantLine(t, report, doctor.Wrong, "keys", "gone.jwk", "no such file", "or remove it")
	wantLine(t, report, doctor.Wrong, "keys", "bad.jwk", "want a private JWK")
	wantLine(t, report, doctor.Wrong, "keys", "open.jwk", "chmod 600")
	wantLine(t, report, doctor.OK, "keys", "stranger.jwk")
	wantLine(t, report, doctor.Wrong, "environment", "ROUTER_RING_TIMEOUT is 1h0m0s: want 5s to 3m0s")
	wantLine(t, report, doctor.Wrong, "environment", "ROUTER_NATS_CREDS", "no file can be read")
	wantLine(t, report, doctor.Warn, "environment", "ROUTER_TYPO", "misspelt")
	wantLine(t, report, doctor.Warn, "environment", "ROUTER_SIGNATURES", "speaks as everybody")
	if strings.Contains(r.stdout, "hunter2") {
		t.Errorf("want no secret shown, got %s", r.stdout)
	}
	_, report = check(t, map[string]string{"ROUTER_NATS_CREDS": ""}, all...)
	wantLine(t, report, doctor.Wrong, "proxies", "proxy stranger is not in the directory", "router identity add stranger --role app --jwk public.jwk")
}

// TestCheckMend follows what is said of a proxy that is unknown, of a bucket and of
// a stream, and checks again.
func TestCheckMend(t *testing.T) {
	b, dir := installation(t)
	proxies := filepath.Join(dir, "proxies")
	public, err := generateKey(filepath.Join(proxies, "second.jwk"))
	if err != nil {
		t.Fatal(err)
	}
	js := brokertest.JetStream(t, b.Admin(t))
	if err := js.DeleteKeyValue(t.Context(), "voice_routes"); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"ROUTER_NATS_URL": b.URL(), "ROUTER_PROXY_KEYS": proxies, "ROUTER_NATS_NKEY_FILE": filepath.Join(dir, "users", "admin.nk")}
	_, report := check(t, env, "--as", "admin")
	wantLine(t, report, doctor.Wrong, "assets", "bucket voice_routes", `"router provision"`)
	wantLine(t, report, doctor.Wrong, "proxies", "second", "jq 'del(.d)'")

	text, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	secret(t, filepath.Join(dir, "public.jwk"), text) // what jq writes
	mustSucceed(t, "provision")
	mustSucceed(t, "identity", "add", "second", "--role", "app", "--jwk", filepath.Join(dir, "public.jwk"))
	if r, report := check(t, nil, "--as", "admin"); r.code != exitOK {
		t.Errorf("want nothing wrong after the mends, got %+v", report.Findings)
	}
}

func TestCheckUsage(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"no such user":      {"--as", "king"},
		"no such directory": {"--keys", "/no/such/directory"},
		"no such identity":  {"--identity", "/no/such/alice.nk"},
		"no time":           {"--timeout", "-1s"},
		"an argument":       {"now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFailure(t, cli(t, append([]string{"check"}, args...)...), exitUsage, "")
		})
	}
}

// TestCheckWithTLS: a certificate that has expired is found from the command line.
func TestCheckWithTLS(t *testing.T) {
	ca := newAuthority(t)
	ca.issue(t, "server", x509.ExtKeyUsageServerAuth)
	b := brokertest.Start(t, brokertest.Options{Bare: true, Configure: func(c *broker.Config) {
		c.TLS = broker.TLS{CertFile: ca.path("server.pem"), KeyFile: ca.path("server.key")}
	}})
	env := map[string]string{"ROUTER_NATS_URL": b.URL(), "ROUTER_NATS_NKEY_FILE": b.SeedFile(t, broker.UserRouter), "ROUTER_NATS_TLS_CA": ca.path("ca.pem")}
	_, report := check(t, env)
	wantLine(t, report, doctor.Warn, "tls", "expires at")
	for name, value := range env {
		t.Setenv(name, value)
	}
	var out strings.Builder
	late := checkCommand(&examination{now: func() time.Time { return time.Now().Add(2 * time.Hour) }})
	late.SetOut(&out)
	late.SetErr(&out)
	late.SetArgs([]string{})
	if err := late.ExecuteContext(t.Context()); err == nil || !strings.Contains(out.String(), `certificate "server" has expired at`) {
		t.Errorf("want it to be found that the certificate has expired, got %v\n%s", err, out.String())
	}
}

// TestCheckOfAuth: in the environment of the auth callout service its user is
// examined, and its keys.
func TestCheckOfAuth(t *testing.T) {
	b, dir := installation(t)
	mustSucceed(t, "provision", "--server-config", "--keys", filepath.Join(dir, "callout"))
	env := map[string]string{
		"ROUTER_NATS_URL": b.URL(), "ROUTER_NATS_NKEY_FILE": filepath.Join(dir, "users", "auth.nk"),
		"ROUTER_AUTH_ISSUER_FILE": filepath.Join(dir, "callout", issuerFile), "ROUTER_AUTH_XKEY_FILE": filepath.Join(dir, "callout", xkeyFile),
	}
	r, report := check(t, env)
	if r.code != exitOK {
		t.Errorf("want nothing wrong, got exit %d: %+v", r.code, report.Findings)
	}
	wantLine(t, report, doctor.OK, "permissions", "user auth", "needed permissions are granted")
	wantLine(t, report, doctor.OK, "callout", "user auth", "reads the directory")
	wantLine(t, report, doctor.Skipped, "assets", "needs the credential of the user router or admin")
	_, report = check(t, map[string]string{"ROUTER_AUTH_XKEY_FILE": filepath.Join(dir, "callout", issuerFile)})
	wantLine(t, report, doctor.Wrong, "environment", "ROUTER_AUTH_ISSUER_FILE, ROUTER_AUTH_XKEY_FILE", "SX...")
}

// TestCheckOperatorMode: credentials instead of nkeys, and no auth callout service.
func TestCheckOperatorMode(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	conf := mustSucceed(t, "provision", "--operator-config", "--keys", keys, "--store-dir", t.TempDir(), "--host", "127.0.0.1").stdout
	url := runServer(t, conf)
	admin := func(args ...string) []string {
		return append(args, "--server", url, "--creds", filepath.Join(keys, "admin.creds"), "--inbox-prefix", "_INBOX_admin")
	}
	mustSucceed(t, admin("provision", "--storage", "memory")...)
	mustSucceed(t, admin("identity", "add", "helpdesk", "--role", "app", "--generate", "--dir", keys)...)
	account := regexp.MustCompile(`# VOICE\n +(A[A-Z0-9]{55}):`).FindStringSubmatch(conf)
	mustSucceed(t, admin("identity", "creds", "helpdesk", "--dir", keys, "--signing-key", filepath.Join(keys, "signing-app.nk"), "--account", account[1])...)
	r, report := check(t, map[string]string{"ROUTER_NATS_URL": url}, "--keys", keys, "--identity", filepath.Join(keys, "helpdesk.creds"))
	if r.code != exitOK {
		t.Errorf("want nothing wrong, got exit %d: %+v", r.code, report.Findings)
	}
	wantLine(t, report, doctor.OK, "permissions", "user router", "needed permissions are granted")
	wantLine(t, report, doctor.OK, "callout", "identity helpdesk (app)", "needed permissions are granted")
	wantLine(t, report, doctor.OK, "callout", "a stranger with an nkey", "is refused")
}
