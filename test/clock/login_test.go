package clock

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/voice"
)

// client connects an identity with the SDK.
func (w *world) client(name string, log *slog.Logger) *voice.Client {
	w.t.Helper()
	id := w.Get(w.t, name)
	seed, err := id.NKey.Seed()
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := voice.Connect(w.t.Context(), voice.Options{
		SelfID: name, SigningKey: id.Key, NKeySeed: seed, Logger: log,
		NATSOptions: []nats.Option{nats.InProcessServer(eager{w.Server})},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			w.t.Errorf("close %s: %v", name, err)
		}
	})
	return c
}

// journal notes when a client lost its connection and when it was back.
type journal struct {
	mu         sync.Mutex
	lost, back []time.Time
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch r.Message {
	case "connection lost, reconnecting":
		j.lost = append(j.lost, time.Now())
	case "reconnected":
		j.back = append(j.back, time.Now())
	}
	return nil
}

func (j *journal) times() (lost, back []time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]time.Time{}, j.lost...), append([]time.Time{}, j.back...)
}

// tally counts what handlers were called with.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) add(what, callID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what+" "+callID]++
}

func (c *tally) of(what, callID string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[what+" "+callID]
}

// TestLoginExpires: what the broker grants an identity lasts for an hour; then
// its connection is closed, and the SDK is back within a second. Over six
// hours, no message is lost or handed over twice.
func TestLoginExpires(t *testing.T) {
	const life, every = 6 * time.Hour, 7 * time.Minute
	inBubble(t, brokertest.Options{Callout: true}, func(t *testing.T, w *world) {
		w.worker(nil)
		var log journal
		var heard tally
		op, cu := w.client(operator, slog.New(slog.DiscardHandler)), w.client(customer, slog.New(&log))
		cu.Voice().OnStart(func(_, cid, callID, _ string, _ any) {
			heard.add("start", callID)
			if err := cu.Voice().Busy(proxy, cid, callID); err != nil {
				t.Errorf("busy %s: %v", callID, err)
			}
		})
		op.Voice().OnBusy(func(_, _, callID string) { heard.add("busy", callID) })

		began := time.Now()
		var calls []string
		for time.Since(began) < life {
			callID := fmt.Sprint("k", len(calls))
			calls = append(calls, callID)
			w.route(callID, nil)
			if err := op.Voice().Start(proxy, callID, callID, "offer", nil); err != nil {
				t.Fatalf("start %s: %v", callID, err)
			}
			time.Sleep(every)
		}
		for _, callID := range calls {
			if s, b := heard.of("start", callID), heard.of("busy", callID); s != 1 || b != 1 {
				t.Errorf("%s: %d starts and %d busies were handed over, want one of each", callID, s, b)
			}
		}
		lost, back := log.times()
		if len(lost) < 6 || len(back) != len(lost) {
			t.Fatalf("over %s the connection was lost %d times and back %d times, want 6 times", life, len(lost), len(back))
		}
		previous := began
		for i := range lost {
			about(t, "the login expired", lost[i], previous.Add(auth.DefaultTTL*9/10-time.Second), auth.DefaultTTL/10+2*time.Second)
			about(t, "the client was back", back[i], lost[i], time.Second)
			previous = back[i]
		}
	})
}

// TestRefusedForHours: an identity that is revoked is cut off and refused for as
// long as it is. The SDK goes on trying; it is back within seconds of being
// admitted again, and hears of the call that rings.
//
// That nobody answers the server's question at all is tested in package auth, in
// real time: nats.go holds a mutex while it waits for that answer, and who waits
// for a mutex keeps the clock of a bubble from advancing.
func TestRefusedForHours(t *testing.T) {
	inBubble(t, brokertest.Options{Callout: true}, func(t *testing.T, w *world) {
		w.worker(nil)
		w.route("c1", nil)
		var log journal
		heard := make(chan time.Time, 8)
		cu, op := w.client(customer, slog.New(&log)), w.endpoint(operator)
		cu.Voice().OnStart(func(_, _, _, _ string, _ any) { heard <- time.Now() })
		w.Revoke(t, customer)
		time.Sleep(50 * time.Minute)
		if lost, back := log.times(); len(lost) != 1 || len(back) > 0 {
			t.Fatalf("the connection of a revoked identity was lost %d times and back %d times, want it lost once", len(lost), len(back))
		}
		w.Put(t, customer, w.Get(t, customer).Record)
		granted := op.say(signal.Start, "c1", "k1")
		time.Sleep(50 * time.Second)
		if _, back := log.times(); len(back) != 1 {
			t.Fatalf("the client was back %d times, want once", len(back))
		} else {
			about(t, "the client was back", back[0], granted, 4*time.Second)
		}
		select {
		case at := <-heard:
			about(t, "the client heard of the call", at, granted, 5*time.Second)
		default:
			t.Error("the client did not hear of the call that rings")
		}
	})
}
