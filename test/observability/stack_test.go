package observability

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Identities of the stack.
const (
	operator = "1112223334"
	customer = "1111111111"
	proxy    = "proxy"
)

// Conversations of the stack. A conversation takes 32 calls in ten minutes, so
// that people who talk take turns on several.
var talking, unanswered = []string{"c1", "c2", "c3", "c4"}, "c5"

// stack is what people call through.
type stack struct {
	dir, bin, port string
	admin, people  string // files of keys, relative to dir
	targets        []string
	nats           *process
}

func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{dir: t.TempDir(), port: freePort(t)}
	s.bin = filepath.Join(s.dir, "bin")
	s.build(t, "router", "github.com/voicerouter/voicerouter/cmd/router")
	return s
}

// startFleet runs what is run in production, each part a process of its own:
// nats-server, two workers, an auth callout service.
func startFleet(t *testing.T) *stack {
	t.Helper()
	s := newStack(t)
	s.admin, s.people = "keys/admin.nk", "people"
	s.build(t, "nats-server", "github.com/nats-io/nats-server/v2")
	config := s.router(t, "provision", "--server-config", "--keys", "keys", "--store-dir", "data", "--host", "127.0.0.1", "--port", s.port)
	if err := os.WriteFile(filepath.Join(s.dir, "nats-server.conf"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	s.startNATS(t)
	s.patiently(t, "provision")
	s.router(t, "identity", "add", proxy, "--role", "app", "--generate", "--dir", "proxies")
	for _, id := range []string{operator, customer} {
		s.router(t, "identity", "add", id, "--generate", "--dir", s.people)
	}
	s.start(t, "router auth", "ROUTER_NATS_NKEY_FILE=keys/auth.nk", "ROUTER_HTTP_ADDR="+s.target(t),
		"ROUTER_AUTH_ISSUER_FILE=keys/callout-issuer.nk", "ROUTER_AUTH_XKEY_FILE=keys/callout-xkey.nk")
	for range 2 {
		s.start(t, "router serve", "ROUTER_NATS_NKEY_FILE=keys/router.nk", "ROUTER_HTTP_ADDR="+s.target(t),
			"ROUTER_PROXY_KEYS=proxies", "ROUTER_RING_TIMEOUT=5s")
	}
	s.converse(t)
	return s
}

// startDev runs "router dev", which is all of that in one process.
func startDev(t *testing.T) *stack {
	t.Helper()
	s := newStack(t)
	s.admin, s.people = "dev/users/admin.nk", "dev/keys"
	s.start(t, "router dev --dir dev --ring-timeout 5s --port "+s.port+" --http "+s.target(t))
	s.converse(t)
	return s
}

// target returns an address for the metrics of one process.
func (s *stack) target(t *testing.T) string {
	t.Helper()
	addr := "127.0.0.1:" + freePort(t)
	s.targets = append(s.targets, addr)
	return addr
}

// converse creates the conversations.
func (s *stack) converse(t *testing.T) {
	t.Helper()
	for _, cid := range append(talking, unanswered) {
		s.patiently(t, "call", "create", "--cid", cid, "--proxy", proxy, "--operator", operator, "--customer", customer, "--no-setup")
	}
}

func (s *stack) build(t *testing.T, name, path string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(s.bin, name), path)
	c.Dir = root // with the versions of the product, not of this module
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", path, err, out)
	}
}

// command prepares a program that belongs to the test's stack.
func (s *stack) command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join(s.bin, name), args...)
	c.Dir = s.dir
	c.Env = append(os.Environ(), "ROUTER_NATS_URL=nats://127.0.0.1:"+s.port, "ROUTER_NATS_NKEY_FILE="+s.admin)
	return c
}

// router runs a command of the router to its end and returns what it printed.
func (s *stack) router(t *testing.T, args ...string) []byte {
	t.Helper()
	c := s.command(t, "router", args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("router %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return out
}

// patiently runs a command of the router until it succeeds.
func (s *stack) patiently(t *testing.T, args ...string) {
	t.Helper()
	eventually(t, "router "+strings.Join(args, " "), func() error {
		out, err := s.command(t, "router", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// start runs "program command" until the test ends.
func (s *stack) start(t *testing.T, line string, environment ...string) *process {
	t.Helper()
	words := strings.Fields(line)
	c := s.command(t, words[0], words[1:]...)
	c.Env = append(c.Env, environment...)
	return run(t, c)
}

func (s *stack) startNATS(t *testing.T) {
	t.Helper()
	s.nats = s.start(t, "nats-server -c nats-server.conf")
}

// process is a program that runs beside the test.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	once sync.Once
}

// run starts a program; it is stopped with the test, and what it printed is shown
// if the test has failed.
func run(t *testing.T, c *exec.Cmd) *process {
	t.Helper()
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // the test's context ends before its clean-up
	c.WaitDelay = 30 * time.Second
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: c, done: make(chan struct{})}
	go func() {
		_ = c.Wait() // however it ends, it was told to
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s printed\n%s", strings.Join(c.Args, " "), tail(out.Bytes()))
		}
	})
	return p
}

// tail returns the last of what a program printed.
func tail(out []byte) []byte { return out[max(0, len(out)-4000):] }

func (p *process) stop() {
	p.once.Do(func() {
		_ = p.cmd.Process.Signal(os.Interrupt)
		<-p.done
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// eventually waits until check returns nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.NewTimer(90 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("not within 90 s: %s: %v", what, err)
		case <-tick.C:
		}
	}
}
