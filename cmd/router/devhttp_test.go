package main

import (
	"bytes"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/internal/monitor"
)

// taken returns an address that somebody listens on.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// TestDevServesHTTP: metrics and readiness of router, callout and connections.
func TestDevServesHTTP(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	d := startDev(t, filepath.Join(t.TempDir(), "dev"), "--http", address)
	code, body := get(t, "http://"+address+"/readyz")
	if code != http.StatusOK || !strings.Contains(body, `"ready":true`) {
		t.Errorf("/readyz: got %d %s", code, body)
	}
	_, body = get(t, "http://"+address+"/metrics")
	for _, line := range []string{
		`voicerouter_ready{command="dev"} 1`, `voicerouter_connected{command="dev"} 1`, "voicerouter_build_info{",
		"voicerouter_calls_active 0", "voicerouter_auth_decisions_total{", `voicerouter_consumer_max_ack_pending{consumer="router"} 20000`,
	} {
		if !strings.Contains(body, line) {
			t.Errorf("/metrics: want %q", line)
		}
	}
	if code, _ := get(t, "http://"+address+"/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("profiles: got %d, want 404", code)
	}
	d.stop(t)
}

// TestDevHTTPAddress: the default may be taken by somebody else, what was chosen
// may not.
func TestDevHTTPAddress(t *testing.T) {
	if def := newDevCommand().Flags().Lookup("http").DefValue; def != "127.0.0.1:9090" {
		t.Errorf("default address %q, want 127.0.0.1:9090", def)
	}
	process := monitor.New("dev", monitor.Build{}, func() error { return nil })
	var out bytes.Buffer
	log, _ := newLogger(&out, config{LogFormat: formatText})
	serve := func(address string, chosen bool) (*monitor.Server, error) {
		t.Helper()
		return (&development{httpAddr: address}).serveHTTP(chosen, process, log)
	}
	if web, err := serve(taken(t), false); web != nil || err != nil || !strings.Contains(out.String(), "--http") {
		t.Errorf("default address taken: got %v, %v and the log %q, want a warning", web, err, out.String())
	}
	if _, err := serve(taken(t), true); err == nil {
		t.Error("chosen address taken: want an error")
	}
	if web, err := serve("", true); web != nil || err != nil {
		t.Errorf("no address: got %v, %v, want no server", web, err)
	}
	t.Setenv("ROUTER_HTTP_ADDR", taken(t))
	if _, err := serve("127.0.0.1:0", false); err == nil {
		t.Error("address of the environment taken: want an error")
	}
}
