package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/subjects"
)

// devRun is a running "router dev".
type devRun struct {
	dir, url string
	cancel   context.CancelFunc
	code     chan int
	stderr   bytes.Buffer // to be read when code has been received
}

func startDev(t *testing.T, dir string, flags ...string) *devRun {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	d := &devRun{dir: dir, cancel: cancel, code: make(chan int, 1)}
	r, w := io.Pipe()
	go func() {
		code := run(ctx, append([]string{"dev", "--dir", dir, "--port", "0", "--http", "127.0.0.1:0"}, flags...), w, &d.stderr)
		_ = w.Close()
		d.code <- code
	}()
	lines := bufio.NewScanner(r)
	guide := regexp.MustCompile(`^The router runs at (nats://127\.0\.0\.1:\d+) `)
	for d.url == "" {
		if !lines.Scan() {
			t.Fatalf("want the guide, got exit %d: %s", <-d.code, d.stderr.String())
		}
		if m := guide.FindStringSubmatch(lines.Text()); m != nil {
			d.url = m[1]
		}
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	t.Cleanup(cancel)
	return d
}

// stop ends it as a signal would.
func (d *devRun) stop(t *testing.T) {
	t.Helper()
	d.cancel()
	select {
	case code := <-d.code:
		if code != exitOK {
			t.Errorf("want exit 0 after the signal, got %d:\n%s", code, d.stderr.String())
		}
	case <-time.After(30 * time.Second):
		t.Fatal("want router dev ended after the signal, it has not")
	}
}

// as returns the flags of a user of the account ROUTER.
func (d *devRun) as(user string, args ...string) []string {
	return append(args, "--server", d.url, "--nkey", filepath.Join(d.dir, "users", user+seedEnding))
}

// voice connects an identity whose keys are in dir.
func (d *devRun) voice(dir, id string) (*nats.Conn, error) {
	nkey, err := nats.NkeyOptionFromSeed(filepath.Join(dir, id+seedEnding))
	if err != nil {
		return nil, err
	}
	return nats.Connect(d.url, nkey, nats.Name(id), nats.CustomInboxPrefix(subjects.InboxPrefix(id)))
}

func TestDevIsReadyToUse(t *testing.T) {
	t.Parallel()
	d := startDev(t, filepath.Join(t.TempDir(), "dev"))
	keys := filepath.Join(d.dir, "keys")
	operator, err := d.voice(keys, devOperator)
	if err != nil {
		t.Fatalf("connect as the operator: %v", err)
	}
	defer operator.Close()
	live, err := operator.SubscribeSync(subjects.LiveAll(devOperator))
	if err != nil {
		t.Fatal(err)
	}
	if err := operator.Flush(); err != nil {
		t.Fatal(err)
	}

	create := []string{
		"call", "create", "--cid", "c1", "--proxy", devProxy, "--customer", devCustomer, "--operator", devOperator,
		"--operator-name", "Bob", "--ttl", "1h", "--timeout", "10s",
	}
	created := mustSucceed(t, d.as("backend", create...)...)
	if want := "conversation c1 created\n"; created.stdout != want {
		t.Errorf("want %q, got %q", want, created.stdout)
	}
	m, err := live.NextMsg(10 * time.Second)
	if err != nil || !strings.HasSuffix(m.Subject, ".inbox.setup") {
		t.Errorf("want a setup for the operator, got %v, %v", m, err)
	}
	wantFailure(t, cli(t, d.as("backend", create...)...), exitFailure, router.ServiceExists)

	got := mustSucceed(t, d.as("backend", "call", "get", "c1", "--json")...)
	var answer router.GetResponse
	if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil || answer.Route == nil || answer.Route.OperatorName != "Bob" {
		t.Errorf("want the route, got %s, %v", got.stdout, err)
	}
	for _, args := range [][]string{{"call", "get", "c1"}, {"call", "list"}, {"call", "list", "--all", "--json"}, {"call", "timeline", "c1"}} {
		mustSucceed(t, d.as("backend", args...)...)
	}
	wantFailure(t, cli(t, d.as("backend", "call", "end", "c1")...), exitFailure, router.ServiceNotFound)
	wantFailure(t, cli(t, d.as("backend", "identity", "list")...), exitFailure, "this credential may not do that", "KV_voice_identities")
	d.stop(t)
}

func TestDevFollowsTheDirectory(t *testing.T) {
	t.Parallel()
	d := startDev(t, filepath.Join(t.TempDir(), "dev"))
	dir := t.TempDir()
	for _, args := range [][]string{
		{"identity", "add", "1113334445", "--generate", "--dir", dir},
		{"identity", "add", "app2", "--role", "app", "--generate", "--dir", dir},
	} {
		out := mustSucceed(t, d.as("admin", args...)...).stdout
		wantKeyFiles(t, dir, args[2], out)
	}
	for _, id := range []string{"1113334445", "app2"} {
		d.connects(t, dir, id, true)
	}
	wantFailure(t, cli(t, d.as("admin", "identity", "add", "app2", "--generate", "--dir", t.TempDir())...), exitFailure, "exists already")
	wantFailure(t, cli(t, d.as("admin", "identity", "add", "app2", "--replace", "--generate", "--dir", dir)...), exitFailure, "never replaced")
	shown := mustSucceed(t, d.as("admin", "identity", "show", "app2")...).stdout
	var record identity.Record
	if err := json.Unmarshal([]byte(shown), &record); err != nil || record.Role != identity.RoleApp || len(record.Keys) != 1 {
		t.Errorf("want the record of app2, got %s, %v", shown, err)
	}
	mustSucceed(t, d.as("admin", "provision", "--verify")...)

	mustSucceed(t, d.as("admin", "identity", "revoke", "app2")...)
	d.connects(t, dir, "app2", false)
	if list := mustSucceed(t, d.as("admin", "identity", "list")...).stdout; !regexp.MustCompile(`app2 +app +revoked`).MatchString(list) {
		t.Errorf("want app2 listed as revoked, got\n%s", list)
	}
	conf := mustSucceed(t, d.as("admin", "provision", "--server-config", "--with-identities", "--keys", filepath.Join(d.dir, "users"))...).stdout
	if !strings.Contains(conf, `"voice.1113334445.start"`) || strings.Contains(conf, `"voice.app2.start"`) {
		t.Errorf("want the identities that are not revoked in the configuration, got\n%s", conf)
	}
	wantFailure(t, cli(t, d.as("admin", "identity", "show", "nobody")...), exitFailure, "nobody: unknown identity")

	// A second run finds everything as it was left.
	d.stop(t)
	again := startDev(t, d.dir)
	again.connects(t, dir, "1113334445", true)
	again.connects(t, dir, "app2", false)
	again.stop(t)
}

// connects waits until an identity can connect, or can no longer.
func (d *devRun) connects(t *testing.T, dir, id string, want bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		nc, err := d.voice(dir, id)
		if err == nil {
			nc.Close()
		}
		if (err == nil) == want {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("identity %s: want connecting possible %t, got %v", id, want, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// wantKeyFiles checks the files of a generated identity, and that no secret of
// theirs was printed.
func wantKeyFiles(t *testing.T, dir, id, output string) {
	t.Helper()
	files := keyFilesOf(dir, id)
	for _, name := range []string{files.jwk, files.seed} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: want mode 0600, got %v", name, info.Mode())
		}
		if !strings.Contains(output, name) {
			t.Errorf("want %s printed, got %s", name, output)
		}
	}
	var private struct{ D string }
	jwk, err := os.ReadFile(files.jwk)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(jwk, &private, json.MatchCaseInsensitiveNames(true)); err != nil || private.D == "" {
		t.Fatalf("%s: want a private JWK, got %v", files.jwk, err)
	}
	seed, err := os.ReadFile(files.seed)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{private.D, strings.TrimSpace(string(seed))} {
		if strings.Contains(output, secret) {
			t.Errorf("want no private key printed, got %s", output)
		}
	}
}

// TestDevInsecure lets clients in without a credential, and says so.
func TestDevInsecure(t *testing.T) {
	t.Parallel()
	d := startDev(t, filepath.Join(t.TempDir(), "dev"), "--insecure")
	nc, err := nats.Connect(d.url)
	if err != nil {
		t.Fatalf("connect without a credential: %v", err)
	}
	defer nc.Close()
	if _, err := nc.Request(subjects.Voice(devOperator, "stop"), []byte("{}"), 5*time.Second); err != nil {
		t.Errorf("want a PubAck, got %v", err)
	}
	d.stop(t)
	if !strings.Contains(d.stderr.String(), "level=WARN msg=\"INSECURE") {
		t.Errorf("want it logged loudly, got\n%s", d.stderr.String())
	}
}

func TestDevIsSecure(t *testing.T) {
	t.Parallel()
	d := startDev(t, filepath.Join(t.TempDir(), "dev"))
	if nc, err := nats.Connect(d.url); err == nil {
		nc.Close()
		t.Error("want a connection without a credential refused, got one")
	}
	d.stop(t)
	if strings.Contains(d.stderr.String(), "INSECURE") {
		t.Errorf("want no warning, got\n%s", d.stderr.String())
	}
}
