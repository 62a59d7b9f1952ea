package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
)

// serveProcess is "router serve" in a process of its own.
type serveProcess struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	log   strings.Builder
}

func startServe(t *testing.T, env ...string) *serveProcess {
	t.Helper()
	return startCommand(t, "serve", env...)
}

// startCommand is startServe for another command.
func startCommand(t *testing.T, command string, env ...string) *serveProcess {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // the log ends with the process, and the wait with it
	t.Cleanup(cancel)
	p := &serveProcess{cmd: exec.CommandContext(ctx, os.Args[0], command)}
	p.cmd.Env = append([]string{asRouter + "=1", "PATH=" + os.Getenv("PATH"), "ROUTER_HTTP_ADDR=127.0.0.1:0", "ROUTER_LOG_FORMAT=text"}, env...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	p.lines = bufio.NewScanner(stderr)
	return p
}

// await reads the log until a line matches and returns its submatches.
func (p *serveProcess) await(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for more := true; more; more = p.lines.Scan() {
		p.log.WriteString(p.lines.Text() + "\n")
		if m := re.FindStringSubmatch(p.log.String()); m != nil {
			return m
		}
	}
	t.Fatalf("want a line like %q in the log, got:\n%s", pattern, p.log.String())
	return nil
}

// exit reads the rest of the log and returns the exit code.
func (p *serveProcess) exit(t *testing.T) int {
	t.Helper()
	for p.lines.Scan() {
		p.log.WriteString(p.lines.Text() + "\n")
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func TestServeDrainsOnSIGTERM(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Memory: true, Apps: []string{"proxy", "router"}})
	keys := t.TempDir()
	for _, name := range []string{"proxy", "router"} {
		text, err := json.Marshal(b.Get(t, name).Key)
		if err != nil {
			t.Fatal(err)
		}
		if err := writeSecret(filepath.Join(keys, name+jwkEnding), text); err != nil {
			t.Fatal(err)
		}
	}
	p := startServe(t, "ROUTER_NATS_URL="+b.URL(), "ROUTER_NATS_NKEY_FILE="+b.SeedFile(t, broker.UserRouter), "ROUTER_PROXY_KEYS="+keys)
	base := "http://" + p.await(t, `msg="serving HTTP" address=(\S+)`)[1]
	awaitStatusOK(t, base+"/readyz")
	for path, want := range map[string]string{"/livez": "ok", "/version": `"go":`, "/metrics": "go_goroutines"} {
		if code, body := get(t, base+path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: want 200 with %q, got %d %s", path, want, code, body)
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(t); code != exitOK {
		t.Errorf("want exit 0 after SIGTERM, got %d:\n%s", code, p.log.String())
	}
	if log := p.log.String(); !strings.Contains(log, "drained") || strings.Contains(log, "level=ERROR") {
		t.Errorf("want it drained without errors, got:\n%s", log)
	}
}

func TestServeRefusesWithoutStreams(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Bare: true})
	p := startServe(t, "ROUTER_NATS_URL="+b.URL(), "ROUTER_NATS_NKEY_FILE="+b.SeedFile(t, broker.UserRouter))
	if code := p.exit(t); code != exitFailure {
		t.Errorf("want exit 1, got %d", code)
	}
	for _, part := range []string{"stream VOICE_IN does not exist", "consumer timeouts of VOICE_OUT does not exist", "run provision"} {
		if !strings.Contains(p.log.String(), part) {
			t.Errorf("want %q in the log, got:\n%s", part, p.log.String())
		}
	}
}

// TestServeAddressTaken: a second worker on one machine meets the first one's port.
func TestServeAddressTaken(t *testing.T) {
	t.Parallel()
	p := startServe(t, "ROUTER_HTTP_ADDR="+taken(t))
	if code := p.exit(t); code != exitFailure {
		t.Errorf("want exit 1, got %d", code)
	}
	if want := "choose another address with ROUTER_HTTP_ADDR"; !strings.Contains(p.log.String(), want) {
		t.Errorf("want %q in the log, got:\n%s", want, p.log.String())
	}
}

func TestServeWaitsForTheServer(t *testing.T) {
	t.Parallel()
	p := startServe(t, "ROUTER_NATS_URL=nats://127.0.0.1:1", "ROUTER_LOG_FORMAT=json")
	p.await(t, `"level":"WARN","msg":"NATS not reachable, trying again"`)
	base := "http://" + p.await(t, `"msg":"serving HTTP","address":"([^"]+)"`)[1]
	if code, body := get(t, base+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("want 503 before the server is there, got %d %s", code, body)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(t); code != exitOK {
		t.Errorf("want exit 0, got %d:\n%s", code, p.log.String())
	}
}

// awaitStatusOK asks until the answer is 200.
func awaitStatusOK(t *testing.T, url string) {
	t.Helper()
	eventually(t, url+" answers 200", func() bool {
		code, _ := get(t, url)
		return code == http.StatusOK
	})
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not within 30 s: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestProvisionCommand(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Bare: true})
	as := func(args ...string) []string {
		return append(append([]string{"provision"}, args...), "-s", b.URL(), "--nkey", b.SeedFile(t, broker.UserAdmin))
	}
	wantFailure(t, cli(t, as("--verify")...), exitFailure, "bucket voice_routes does not exist")
	if out := mustSucceed(t, as("--storage", "memory")...).stdout; !strings.Contains(out, "created    stream VOICE_OUT") || strings.Contains(out, "unchanged") {
		t.Errorf("first run: want everything created, got\n%s", out)
	}
	if out := mustSucceed(t, as("--storage", "memory")...).stdout; strings.Contains(out, "created") || !strings.Contains(out, "unchanged  stream VOICE_OUT") {
		t.Errorf("second run: want everything unchanged, got\n%s", out)
	}
	mustSucceed(t, as("--verify")...)
	wantFailure(t, cli(t, as("--max-age", "24h")...), exitFailure, "maximum age is 12h0m0s, want 24h0m0s: run provision with --update")
	mustSucceed(t, as("--max-age", "24h", "--update")...)
	wantFailure(t, cli(t, as("--storage", "file", "--update")...), exitFailure, "storage is Memory, want File: it cannot be changed")
}

func TestServerConfigMakesTheUsersKeys(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "users")
	first := mustSucceed(t, "provision", "--server-config", "--keys", dir, "--store-dir", "/data", "--sync-always").stdout
	for _, part := range []string{`store_dir: "/data"`, "sync_interval: always", "system_account: SYS", `{service: "voice.*.*"}`} {
		if !strings.Contains(first, part) {
			t.Errorf("want %q in the configuration, got\n%s", part, first)
		}
	}
	for _, user := range []string{broker.UserRouter, broker.UserBackend, broker.UserAdmin, broker.UserSystem} {
		info, err := os.Stat(filepath.Join(dir, user+seedEnding))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: want a seed of mode 0600, got %v, %v", user, info, err)
		}
	}
	if second := mustSucceed(t, "provision", "--server-config", "--keys", dir, "--sync-always").stdout; second != first {
		t.Errorf("want the same configuration from the same keys, got\n%s", second)
	}
}
