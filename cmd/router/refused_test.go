package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
)

// TestServeSaysWhatIsRefused: with a credential that the server does not know, the
// log and /readyz name it, and what to do.
func TestServeSaysWhatIsRefused(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Bare: true})
	seed := filepath.Join(t.TempDir(), "router.nk")
	public, err := generateSeed(seed, nkeys.CreateUser)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"serve", "auth"} {
		env := []string{"ROUTER_NATS_URL=" + b.URL(), "ROUTER_NATS_NKEY_FILE=" + seed}
		if command == "auth" {
			dir := t.TempDir()
			mustSucceed(t, "provision", "--server-config", "--keys", dir)
			env = append(env, "ROUTER_AUTH_ISSUER_FILE="+filepath.Join(dir, issuerFile), "ROUTER_AUTH_XKEY_FILE="+filepath.Join(dir, xkeyFile))
		}
		p := startCommand(t, command, env...)
		base := "http://" + p.await(t, `msg="serving HTTP" address=(\S+)`)[1]
		p.await(t, `level=ERROR msg="NATS refuses the credential, trying again"`)
		if log := p.log.String(); !strings.Contains(log, public) || !strings.Contains(log, "Authorization Violation") || !strings.Contains(log, "router provision --server-config") {
			t.Errorf("%s: want the refused nkey, the error and the remedy in the log, got\n%s", command, log)
		}
		code, body := get(t, base+"/readyz")
		if code != http.StatusServiceUnavailable || !strings.Contains(body, "the server refuses the nkey "+public) || !strings.Contains(body, "router provision") {
			t.Errorf("%s: want 503 that names the nkey and the remedy, got %d %s", command, code, body)
		}
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := p.exit(t); code != exitOK {
			t.Errorf("%s: want exit 0, got %d:\n%s", command, code, p.log.String())
		}
	}
}
