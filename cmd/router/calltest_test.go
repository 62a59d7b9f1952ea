package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
)

func TestCallTestRelaysOneCall(t *testing.T) {
	t.Parallel()
	d := startDev(t, filepath.Join(t.TempDir(), "dev"))
	before := mustSucceed(t, d.as("admin", "identity", "list")...).stdout
	out := mustSucceed(t, d.as("admin", "call", "test", "--timeout", "30s")...).stdout
	for _, part := range []string{
		"through " + devProxy, "start        operator to customer", "accept       customer to operator",
		"record       ended, hangup", "none names the other side", "one call was relayed\n",
	} {
		if !strings.Contains(out, part) {
			t.Errorf("want %q, got\n%s", part, out)
		}
	}
	if after := mustSucceed(t, d.as("admin", "identity", "list")...).stdout; after != before {
		t.Errorf("want the identities of the call removed, got\n%s", after)
	}
	cid := regexp.MustCompile(`(?m)^conversation (test-\w+),`).FindStringSubmatch(out)[1]
	if got := mustSucceed(t, d.as("backend", "call", "get", cid)...).stdout; strings.Contains(got, "proxy") {
		t.Errorf("want the route of the call removed, got\n%s", got)
	}

	mustSucceed(t, d.as("admin", "identity", "add", "another", "--role", "app", "--generate", "--dir", filepath.Join(d.dir, "another"))...)
	mustSucceed(t, d.as("admin", "call", "test")...) // one that is not served does no harm
	wantFailure(t, cli(t, d.as("admin", "call", "test", "--proxy", "another")...), exitFailure,
		"no proxy of the directory is served by this fleet", `proxy "another" is not one whose key this fleet holds`)
	wantFailure(t, cli(t, d.as("admin", "call", "test", "--proxy", devOperator)...), exitFailure, "is not an app of the directory")
	wantFailure(t, cli(t, d.as("backend", "call", "test")...), exitFailure, "this credential may not do that")
	d.stop(t)
}

func TestCallTestSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Memory: true, Callout: true, NoAuth: true})
	as := []string{"-s", b.URL(), "--nkey", b.SeedFile(t, broker.UserAdmin), "--timeout", "1s"}
	test := append([]string{"call", "test"}, as...)
	wantFailure(t, cli(t, test...), exitFailure, "there is no app in the directory")

	b.Add(t, "proxy", identity.RoleApp)
	wantFailure(t, cli(t, test...), exitFailure, "no router answers")
	if out := mustSucceed(t, append([]string{"identity", "list"}, as...)...).stdout; strings.Contains(out, "test-") {
		t.Errorf("want the identities of the call removed after a failure as well, got\n%s", out)
	}
}

func TestCallTestNeedsTheAuthCallout(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Memory: true, Callout: true, NoAuth: true})
	proxy := b.Add(t, "proxy", identity.RoleApp)
	keys := t.TempDir()
	writeKey(t, keys, "proxy", proxy.Key)
	p := startServe(t, "ROUTER_NATS_URL="+b.URL(), "ROUTER_NATS_NKEY_FILE="+b.SeedFile(t, broker.UserRouter), "ROUTER_PROXY_KEYS="+keys)
	awaitStatusOK(t, "http://"+p.await(t, `msg="serving HTTP" address=(\S+)`)[1]+"/readyz")
	r := cli(t, "call", "test", "-s", b.URL(), "--nkey", b.SeedFile(t, broker.UserAdmin), "--timeout", "8s")
	wantFailure(t, r, exitFailure, `does "router auth" run`)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(t); code != exitOK {
		t.Errorf("router serve: want exit 0, got %d:\n%s", code, p.log.String())
	}
}

func TestCallTestWithoutSignatures(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Memory: true, Callout: true})
	proxy := b.Add(t, "proxy", identity.RoleApp)
	keys := t.TempDir()
	writeKey(t, keys, "proxy", proxy.Key)
	p := startServe(t, "ROUTER_NATS_URL="+b.URL(), "ROUTER_NATS_NKEY_FILE="+b.SeedFile(t, broker.UserRouter), "ROUTER_PROXY_KEYS="+keys, "ROUTER_SIGNATURES=off")
	awaitStatusOK(t, "http://"+p.await(t, `msg="serving HTTP" address=(\S+)`)[1]+"/readyz")
	test := []string{"call", "test", "-s", b.URL(), "--nkey", b.SeedFile(t, broker.UserAdmin), "--timeout"}
	mustSucceed(t, append(test, "30s", "--unsigned")...)
	wantFailure(t, cli(t, append(test, "2s")...), exitFailure, "did not arrive")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(t); code != exitOK {
		t.Errorf("router serve: want exit 0, got %d:\n%s", code, p.log.String())
	}
}
