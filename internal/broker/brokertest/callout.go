package brokertest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/subjects"
)

// callout makes the keys of the service and has the server ask it.
func (b *Broker) callout(tb testing.TB, cfg *broker.Config) {
	tb.Helper()
	seeds, err := auth.GenerateSeeds()
	if err != nil {
		tb.Fatalf("generate keys: %v", err)
	}
	if b.keys, err = auth.NewKeys(seeds.Issuer, seeds.XKey); err != nil {
		tb.Fatalf("keys of the auth callout service: %v", err)
	}
	cfg.Callout = broker.Callout{Issuer: b.keys.Issuer(), XKey: b.keys.XKey()}
	cfg.Auth = b.role(tb, broker.UserAuth)
	cfg.Identities = nil
}

// AuthKeys returns the keys of the auth callout service.
func (b *Broker) AuthKeys() auth.Keys { return b.keys }

// AuthConn returns a connection with the permissions of the auth callout
// service.
func (b *Broker) AuthConn(tb testing.TB, opts ...nats.Option) *nats.Conn {
	tb.Helper()
	return b.connect(tb, append(append(nkeyOptions(b.roles[broker.UserAuth]), nats.Name(broker.UserAuth),
		nats.CustomInboxPrefix(subjects.InboxPrefix(broker.UserAuth))), opts...))
}

// StartAuth starts one more auth callout service and returns when it takes
// requests. The returned function stops it, as the end of the test does.
func (b *Broker) StartAuth(tb testing.TB, change func(*auth.Options)) (stop func()) {
	tb.Helper()
	opts := auth.Options{Conn: b.AuthConn(tb), Keys: b.keys, RefusalDelay: -1}
	if change != nil {
		change(&opts)
	}
	s, err := auth.New(opts)
	if err != nil {
		tb.Fatalf("auth callout service: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("auth callout service: %v", err)
		}
	})
	tb.Cleanup(stop)
	for s.Ready() != nil {
		select {
		case err := <-done:
			tb.Fatalf("auth callout service ended: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	return stop
}

// Put writes the record of an identity to the directory.
func (b *Broker) Put(tb testing.TB, name string, record identity.Record) {
	tb.Helper()
	nc := b.Admin(tb)
	defer nc.Close()
	kv, err := JetStream(tb, nc).KeyValue(tb.Context(), subjects.BucketIdentities)
	if err != nil {
		tb.Fatalf("open bucket: %v", err)
	}
	put(tb.Context(), tb, kv, identity.MustID(name), record)
}

// Revoke marks an identity as revoked.
func (b *Broker) Revoke(tb testing.TB, name string) {
	tb.Helper()
	record := b.Get(tb, name).Record
	record.Revoked = true
	b.Put(tb, name, record)
}

// PublicNKey returns the public nkey of a user outside the account VOICE.
func (b *Broker) PublicNKey(tb testing.TB, user string) string {
	tb.Helper()
	public, err := b.roles[user].PublicKey()
	if err != nil {
		tb.Fatalf("nkey of %s: %v", user, err)
	}
	return public
}
