package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/subjects"
)

// runServer runs a nats-server from a configuration that the command printed.
func runServer(t *testing.T, conf string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "nats-server.conf")
	if err := os.WriteFile(name, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(name)
	if err != nil {
		t.Fatalf("the server's own parser: %v", err)
	}
	opts.Port, opts.NoSigs, opts.NoLog = server.RANDOM_PORT, true, true
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("want the server ready, it is not")
	}
	return s.ClientURL()
}

// TestOperatorMode follows the recipe of docs/adr/0013-auth-callout.md, "Operator
// mode", from keys to permissions.
func TestOperatorMode(t *testing.T) {
	t.Parallel()
	keys := filepath.Join(t.TempDir(), "keys")
	conf := mustSucceed(t, "provision", "--operator-config", "--keys", keys, "--store-dir", t.TempDir(), "--host", "127.0.0.1").stdout
	url := runServer(t, conf)
	admin := func(args ...string) []string {
		return append(args, "--server", url, "--creds", filepath.Join(keys, "admin.creds"), "--inbox-prefix", "_INBOX_admin")
	}
	mustSucceed(t, admin("provision", "--storage", "memory")...)
	for _, add := range [][]string{{"alice"}, {"mallory"}, {"helpdesk", "--role", "app"}} {
		mustSucceed(t, admin(append([]string{"identity", "add", "--generate", "--dir", keys}, add...)...)...)
	}
	account := regexp.MustCompile(`# VOICE\n +(A[A-Z0-9]{55}):`).FindStringSubmatch(conf)
	if account == nil {
		t.Fatalf("want the account VOICE in the configuration, got\n%s", conf)
	}
	creds := func(id, key string) []string {
		return admin("identity", "creds", id, "--dir", keys, "--signing-key", filepath.Join(keys, key), "--account", account[1])
	}
	for id, role := range map[string]identity.Role{"alice": identity.RoleUser, "mallory": identity.RoleUser, "helpdesk": identity.RoleApp} {
		mustSucceed(t, creds(id, signingKey(role))...)
		info, err := os.Stat(filepath.Join(keys, id+credsEnding))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("want credentials of mode 0600, got %v, %v", info, err)
		}
	}
	wantFailure(t, cli(t, creds("alice", "signing-user.nk")...), exitFailure, "never replaced")
	for _, name := range []string{"*", ">", "a.b", "{{name()}}", ""} {
		wantFailure(t, cli(t, creds(name, "signing-user.nk")...), exitUsage, "is not an identity")
	}
	mustSucceed(t, admin("identity", "revoke", "mallory")...)
	wantFailure(t, cli(t, append(creds("mallory", "signing-user.nk"), "--out", filepath.Join(keys, "again.creds"))...), exitFailure, "revoked")

	connect := func(id string) (*nats.Conn, chan error) {
		t.Helper()
		seen := make(chan error, 8)
		nc, err := nats.Connect(url, nats.UserCredentials(filepath.Join(keys, id+credsEnding)), nats.CustomInboxPrefix(subjects.InboxPrefix(id)),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { seen <- err }))
		if err != nil {
			t.Fatalf("connect as %s: %v", id, err)
		}
		t.Cleanup(nc.Close)
		return nc, seen
	}
	alice, refused := connect("alice")
	if _, err := alice.Request(subjects.Voice("alice", "stop"), []byte("{}"), 5*time.Second); err != nil {
		t.Errorf("as itself: want a PubAck, got %v", err)
	}
	for _, subject := range []string{
		subjects.Voice("mallory", "stop"), subjects.Voice("alice", "invented"), subjects.Inbox("alice", "start"), subjects.State("c1"),
		subjects.RequestNext(subjects.StreamOut, subjects.AppConsumer("alice")),
	} {
		if err := alice.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-refused:
			if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), subject) {
				t.Errorf("%s: want a permissions violation, got %v", subject, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s: want a permissions violation, got none", subject)
		}
	}
	if _, err := alice.SubscribeSync("live.>"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-refused:
		if !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("live.>: want a permissions violation, got %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("live.>: want a permissions violation, got none")
	}
	app, _ := connect("helpdesk")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	m, err := app.RequestWithContext(ctx, subjects.RequestConsumerInfo(subjects.StreamOut, subjects.AppConsumer("helpdesk")), nil)
	if err != nil || strings.Contains(string(m.Data), `"error"`) {
		t.Errorf("app: want its durable described, got %v, %v", m, err)
	}
	worker, violated := connect(broker.UserRouter)
	if err := worker.Publish(subjects.Voice("alice", "stop"), nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-violated:
	case <-time.After(5 * time.Second):
		t.Error("worker: want a permissions violation for the inbound stream, got none")
	}
}
