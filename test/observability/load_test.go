package observability

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/voice"
)

// load lets people call through the stack until the test ends.
type load struct {
	stack *stack
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

func startLoad(t *testing.T, s *stack) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{stack: s, stop: cancel}
	caller, callee := l.client(t, operator), l.client(t, customer)
	v := callee.Voice()
	v.OnStart(func(_, cid, callID, _ string, _ any) {
		if cid != unanswered {
			_ = errors.Join(v.Ringing(proxy, cid, callID), v.Accept(proxy, cid, callID, "answer", nil))
		}
	})
	accepted := make(chan string, 16)
	caller.Voice().OnAccept(func(_, _, callID, _ string, _ any) {
		select {
		case accepted <- callID:
		default:
		}
	})
	t.Cleanup(func() {
		cancel()
		l.wg.Wait()
	})
	l.wg.Go(func() { call(ctx, caller.Voice(), accepted) })
	l.wg.Go(func() { ring(ctx, caller.Voice()) })
	l.wg.Go(func() { l.offend(ctx, t) })
	return l
}

func (l *load) client(t *testing.T, id string) *voice.Client {
	t.Helper()
	key, err := identity.ReadPrivateKey(filepath.Join(l.stack.dir, l.stack.people, id+".jwk"))
	if err != nil {
		t.Fatal(err)
	}
	return l.connect(t, id, key)
}

// connect returns a client that signs with this key, whether it is the
// identity's or not.
func (l *load) connect(t *testing.T, id string, key identity.PrivateKey) *voice.Client {
	t.Helper()
	var client *voice.Client
	eventually(t, id+" connects", func() (err error) {
		client, err = voice.Connect(t.Context(), voice.Options{
			URL: "nats://127.0.0.1:" + l.stack.port, SelfID: id, SigningKey: key,
			NKeyFile: filepath.Join(l.stack.dir, l.stack.people, id+".nk"),
			Logger:   slog.New(slog.DiscardHandler), SendTimeout: 3 * time.Second,
		})
		return err
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = client.Close(ctx)
	})
	return client
}

// call makes calls that are answered, below the limits of one caller. A candidate
// is sent before its start, so that the router defers it.
func call(ctx context.Context, v *voice.Voice, accepted <-chan string) {
	for n := 0; ctx.Err() == nil; n++ {
		cid, callID := talking[n%len(talking)], voice.NewID()
		_ = v.Candidate(proxy, cid, callID, "early")
		_ = v.Start(proxy, cid, callID, "offer", nil)
		for waiting := true; waiting; {
			select {
			case answered := <-accepted:
				waiting = answered != callID
			case <-time.After(5 * time.Second): // the broker is down
				waiting = false
			case <-ctx.Done():
				return
			}
		}
		_ = v.Update(proxy, cid, callID, "hold", nil)
		rest(ctx, 2*time.Second)
		_ = v.Stop(proxy, cid, callID)
	}
}

// rest waits, at most until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// ring makes calls that nobody answers.
func ring(ctx context.Context, v *voice.Voice) {
	for ctx.Err() == nil {
		_ = v.Start(proxy, unanswered, voice.NewID(), "offer", nil)
		rest(ctx, 6*time.Second) // longer than it rings
	}
}

// offend sends what is refused: messages with a wrong signature, connections with
// a wrong key.
func (l *load) offend(ctx context.Context, t *testing.T) {
	key, err := identity.GenerateKey("1")
	if err != nil {
		t.Error(err)
		return
	}
	v := l.connect(t, customer, key).Voice()
	for ctx.Err() == nil {
		_ = v.Send(ctx, signal.Message{Type: signal.Ringing, Recipient: identity.MustID(proxy), CID: talking[0], CallID: "x"})
		l.intrude(t)
		rest(ctx, time.Second)
	}
}

// intrude tries to connect as the customer with a key that is not his.
func (l *load) intrude(t *testing.T) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Error(err)
		return
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Error(err)
		return
	}
	nc, err := nats.Connect("nats://127.0.0.1:"+l.stack.port, nats.Name(customer), nats.Nkey(public, pair.Sign))
	if err == nil {
		nc.Close()
		t.Error("somebody connected as the customer with a key that is not his")
	}
}
