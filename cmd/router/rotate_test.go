package main

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/monitor"
)

// TestRotationKeepsTheProcess: what the work is given, in turn.
func TestRotationKeepsTheProcess(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	begun := make(chan string, 8)
	r := rotation[string]{
		files: func() []string { return []string{file} }, every: time.Millisecond, log: slog.New(slog.DiscardHandler),
		load: func() (string, error) {
			text, err := os.ReadFile(file)
			if strings.HasPrefix(string(text), "broken") || len(text) == 0 { // empty: in the middle of being written
				err = errors.New("broken")
			}
			return string(text), err
		},
		run: func(ctx context.Context, key string) error {
			begun <- key
			if key == "useless" {
				return errors.New("useless")
			}
			<-ctx.Done()
			return nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.keep(ctx) }()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-begun:
			if got != want {
				t.Fatalf("want the work begun with %q, got %q", want, got)
			}
		case err := <-done:
			t.Fatalf("want the work begun with %q, it ended: %v", want, err)
		case <-time.After(10 * time.Second):
			t.Fatalf("want the work begun with %q, nothing happened", want)
		}
	}
	expect("one")
	write("two")
	expect("two")
	write("broken")
	write("three")
	expect("three")
	write("useless")
	expect("useless")
	expect("three")
	write("four")
	expect("four")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("want no error at the end, got %v", err)
	}

	write("useless")
	if err := r.keep(t.Context()); err == nil {
		t.Error("first keys useless: want an error, got none")
	}
}

// TestFilesAreReadForEveryConnection: certificates and passwords rotate under a
// connection.
func TestFilesAreReadForEveryConnection(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	ca.issue(t, "server", x509.ExtKeyUsageServerAuth)
	ca.issue(t, "client", x509.ExtKeyUsageClientAuth)
	password := filepath.Join(ca.dir, "password")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(password, "first\n")
	b := brokertest.Start(t, brokertest.Options{Bare: true, Configure: func(c *broker.Config) {
		c.Router = broker.Credential{User: "worker", Password: "first"}
		c.TLS = broker.TLS{CertFile: ca.path("server.pem"), KeyFile: ca.path("server.key"), CAFile: ca.path("ca.pem")}
		c.Admin, c.Backend = broker.Credential{}, broker.Credential{}
	}})
	var cfg config
	cfg.NATS.URL = b.URL()
	cfg.NATS.User, cfg.NATS.PasswordFile = "worker", password
	cfg.NATS.TLS.CA, cfg.NATS.TLS.Cert, cfg.NATS.TLS.Key = ca.path("ca.pem"), ca.path("client.pem"), ca.path("client.key")
	nc, err := connectLasting(cfg, broker.UserRouter, "test", slog.New(slog.DiscardHandler), new(connection), monitor.New("serve", monitor.Build{}, func() error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	status := nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING)
	if !nc.IsConnected() {
		t.Fatal("want a connection at first, got none")
	}
	// The server drops everybody and takes another password, and the certificate
	// that was used is no longer there.
	if err := os.Remove(ca.path("client.pem")); err != nil {
		t.Fatal(err)
	}
	if err := b.Reload(func(c *broker.Config) { c.Router.Password = "second" }); err != nil {
		t.Fatal(err)
	}
	await := func(want nats.Status) {
		t.Helper()
		for {
			select {
			case got := <-status:
				if got == want {
					return
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("want the connection %s, it is %s", want, nc.Status())
			}
		}
	}
	await(nats.RECONNECTING)
	ca.issue(t, "client", x509.ExtKeyUsageClientAuth)
	write(password, "second\n")
	await(nats.CONNECTED)
}
