package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	cli := func(seed string) string { return fmt.Sprintf("--server %s --nkey %s", s.server.URL(), seed) }
	as := func(name string) string {
		return fmt.Sprintf("nats %s --inbox-prefix %s", cli(s.path("keys", name+seedEnding)), subjects.InboxPrefix(name))
	}
	user := func(name string) string { return cli(s.path("users", name+seedEnding)) }
	return fmt.Sprintf(`The router runs at %[1]s until it is interrupted.

  operator  %[2]s   signs with %[3]s
  customer  %[4]s   signs with %[5]s
  proxy     %[6]s        the router signs for it

Create a conversation and look at it (go run ./cmd/router, if router is not installed):
  router call create %[7]s --cid c1 --proxy %[6]s --customer %[4]s --operator %[2]s --operator-name Bob
  router call timeline %[7]s c1
  nats %[7]s kv get %[8]s c1

Listen as an identity, with the nats command line tool:
  %[9]s sub '%[10]s'
  %[11]s sub '%[12]s'

Add an identity; it can connect at once:
  router identity add %[13]s --generate --dir %[14]s 1113334445

`, s.server.URL(), devOperator, s.path("keys", devOperator+jwkEnding), devCustomer, s.path("keys", devCustomer+jwkEnding), devProxy,
		user("backend"), subjects.BucketRoutes,
		as(devOperator), subjects.LiveAll(devOperator), as(devCustomer), subjects.LiveAll(devCustomer),
		user("admin"), s.path("keys"))
}
