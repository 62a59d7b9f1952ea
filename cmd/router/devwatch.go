package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/subjects"
)

// admit lets every identity of the directory connect, and nobody else.
func (s *sandbox) admit(ctx context.Context, log *slog.Logger) error {
	identities, err := readIdentities(ctx, s.kv, func(key string, err error) {
		if log != nil {
			log.Warn("identity skipped", "bucket", subjects.BucketIdentities, "key", key, "error", err)
		}
	})
	if err != nil {
		return err
	}
	return s.server.SetIdentities(endpoints(identities))
}

// followIdentities keeps the server's users equal to the directory until ctx
// ends.
func (s *sandbox) followIdentities(ctx context.Context, log *slog.Logger) {
	for ctx.Err() == nil {
		if err := s.follow(ctx, log); err != nil && ctx.Err() == nil {
			log.Warn("identities are not followed, trying again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (s *sandbox) follow(ctx context.Context, log *slog.Logger) error {
	w, err := s.kv.WatchAll(ctx, jetstream.UpdatesOnly())
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }()
	// What changed before the watch began.
	if err := s.admit(ctx, log); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case entry, ok := <-w.Updates():
			if !ok {
				return errors.New("watcher closed")
			}
			if entry == nil {
				continue
			}
			if err := s.admit(ctx, log); err != nil {
				return err
			}
			log.Info("identities reloaded", "changed", printable(entry.Key()))
		}
	}
}

// guide tells how to talk to the sandbox.
func (s *sandbox) guide() string {
	url := s.server.URL()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("The router runs at %s until it is interrupted.\n", url)
	line("  operator %s   signs with %s", devOperator, s.path("keys", devOperator+jwkEnding))
	line("  customer %s   signs with %s", devCustomer, s.path("keys", devCustomer+jwkEnding))
	line("  proxy    %-10s   the router signs for it", devProxy)
	line("\nIn another terminal (\"go run ./cmd/router\" where router is not installed):\n")
	line("  export ROUTER_NATS_URL=%s ROUTER_NATS_NKEY_FILE=%s", url, s.path("users", "admin"+seedEnding))
	line("  router call create --cid c1 --proxy %s --customer %s --operator %s --operator-name Bob", devProxy, devCustomer, devOperator)
	line("  router call timeline c1")
	line("  router identity add 1113334445 --generate --dir %s", s.path("keys"))
	line("\nListen as an identity, or look at a route as the backend does, with the nats command line tool:\n")
	for _, name := range []string{devOperator, devCustomer} {
		line("  nats --server %s --nkey %s --inbox-prefix %s sub '%s'", url, s.path("keys", name+seedEnding), subjects.InboxPrefix(name), subjects.LiveAll(name))
	}
	line("  nats --server %s --nkey %s kv get %s c1\n", url, s.path("users", "backend"+seedEnding), subjects.BucketRoutes)
	return b.String()
}
