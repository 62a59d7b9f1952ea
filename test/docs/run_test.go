package docs

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReadmeRun runs the commands of the README's section "Run it" as they stand
// there, with the router of this tree and a nats-server of its own process; only
// the ports are others. What the README starts in a terminal of its own runs
// until the test ends, and the next command is repeated until that is ready.
func TestReadmeRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two programs and runs them")
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "bin")
	build(t, bin, "router", "github.com/voicerouter/voicerouter/cmd/router")
	build(t, bin, "nats-server", "github.com/nats-io/nats-server/v2")
	port := freePort(t)
	ports := strings.NewReplacer("4222", port, "127.0.0.1:9091", "127.0.0.1:0")

	environment := append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "ROUTER_HTTP_ADDR=127.0.0.1:0")
	script := between(t, "../../README.md", "<!-- run:begin -->\n```sh\n", "```\n<!-- run:end -->")
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		assignments, exported := strings.CutPrefix(line, "export ")
		command, background := strings.CutSuffix(line, " &")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case exported:
			environment = append(environment, strings.Fields(ports.Replace(assignments))...)
		case background:
			start(t, dir, environment, ports.Replace(command))
		default:
			if strings.Contains(line, "> nats-server.conf") {
				line = strings.Replace(line, " >", " --host 127.0.0.1 --port "+port+" >", 1)
			}
			succeed(t, dir, environment, line)
		}
	}
}

func build(t *testing.T, bin, name, path string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, name), path).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", path, err, out)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// start runs a command until the test ends. Its output is shown if the test fails.
func start(t *testing.T, dir string, environment []string, command string) {
	t.Helper()
	var out strings.Builder
	c := exec.Command("sh", "-c", "exec env "+command)
	c.Dir, c.Env, c.Stdout, c.Stderr = dir, environment, &out, &out
	if err := c.Start(); err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			_ = c.Process.Kill()
			<-done
			t.Errorf("%s: still there 30 s after an interrupt", command)
		}
		if t.Failed() {
			t.Logf("%s printed\n%s", command, out.String())
		}
	})
}

// succeed runs a command until it succeeds, or patience ends.
func succeed(t *testing.T, dir string, environment []string, command string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		c := exec.CommandContext(t.Context(), "sh", "-c", command)
		c.Dir, c.Env = dir, environment
		out, err := c.CombinedOutput()
		if err == nil {
			t.Logf("%s\n%s", command, out)
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(fmt.Errorf("%s: %w\n%s", command, err, out))
		}
	}
}
