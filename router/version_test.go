package router

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// later turns what this release wrote into what a later one might.
func later(data []byte) []byte {
	return bytes.Replace(data, []byte(`"v":1`), []byte(`"v":2`), 1)
}

// ringing makes a call ring and returns its record as stored.
func (b *bench) ringing(w *worker, r *Router, cid string) msgget.Message {
	b.t.Helper()
	b.route(cid)
	b.publish(operator, signal.Start, cid, "k1")
	b.work(w, r, 1)
	return b.last(subjects.State(cid))
}

func (b *bench) last(subject string) msgget.Message {
	b.t.Helper()
	m, err := msgget.Last(b.t.Context(), b.nc, subjects.StreamOut, subject)
	if err != nil {
		b.t.Fatalf("%s: %v", subject, err)
	}
	return m
}

func (b *bench) store(subject string, data []byte) {
	b.t.Helper()
	if _, err := b.js.Publish(b.t.Context(), subject, data); err != nil {
		b.t.Fatal(err)
	}
}

// running runs a worker until the test ends.
func (b *bench) running(priority int) *Router {
	b.t.Helper()
	r, err := New(Options{
		Conn: b.Router(b.t), Directory: b.Directory(), Priority: priority,
		Proxies: map[identity.ID]identity.PrivateKey{identity.MustID(proxy): b.Get(b.t, proxy).Key},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	return r
}

// TestNewerRecord: a worker that cannot read a record leaves it and its messages
// to one that can, although it is served first itself; and all else, for the
// next call may be as new. It goes on with what nobody else takes.
func TestNewerRecord(t *testing.T) {
	b := newBench(t)
	w, r := b.worker()
	record := b.ringing(w, r, "c1")
	b.store(subjects.State("c1"), later(record.Data))
	newer := b.last(subjects.State("c1"))
	b.publish(customer, signal.Busy, "c1", "k1")

	older := b.running(1)
	b.eventually("the older worker has met the record", older.yields.Load)
	<-time.After(2 * pullExpiry) // what it asked for before is over
	got := make(chan message)
	_, other := b.worker()
	p := b.puller(other, got)
	p.ask.Priority = 8
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx, nil) }()
	take := func(typ signal.Type) (deliveries uint64) {
		t.Helper()
		select {
		case m := <-got:
			meta, err := m.Metadata()
			if err != nil || m.Subject() != subjects.Voice(customer, string(typ)) {
				t.Fatalf("got %s, %v; want a %s", m.Subject(), err, typ)
			}
			if err := m.Ack(); err != nil {
				t.Fatal(err)
			}
			return meta.NumDelivered
		case <-time.After(30 * time.Second):
			t.Fatalf("the %s never reached the newer worker", typ)
			return 0
		}
	}
	if n := take(signal.Busy); n < 2 || n > 6 {
		t.Errorf("the message was delivered %d times until the newer worker got it, want 2 to 6", n)
	}
	b.publish(customer, signal.Stop, "c1", "k1")
	if n := take(signal.Stop); n != 1 {
		t.Errorf("the next message was delivered %d times until the newer worker got it, want once", n)
	}
	if m := b.last(subjects.State("c1")); m.Seq != newer.Seq || !bytes.Equal(m.Data, newer.Data) {
		t.Errorf("the record was overwritten: %s", m.Data)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	b.route("c2")
	b.publish(operator, signal.Start, "c2", "k2")
	b.eventually("another call rings without the newer worker", func() bool {
		_, err := msgget.Last(t.Context(), b.nc, subjects.StreamOut, subjects.State("c2"))
		return err == nil
	})
}

func (b *bench) eventually(what string, holds func() bool) {
	b.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			b.t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// TestNewerTimer: a timeout that a later release will understand is neither
// dropped nor acted upon; one that is no timeout at all is dropped.
func TestNewerTimer(t *testing.T) {
	b := newBench(t)
	w, r := b.worker()
	b.ringing(w, r, "c1")
	b.running(1)
	b.store(subjects.Timeout("c1"), []byte(`{"v":2,"call_id":{"of":"k1"},"epoch":1}`))
	b.store(subjects.Timeout("c1"), []byte(`{"v":1,"epoch":"none"}`))
	info := func() (pending, redelivered int) {
		c, err := b.js.Consumer(t.Context(), subjects.StreamOut, subjects.ConsumerTimeouts)
		if err != nil {
			t.Fatal(err)
		}
		return c.CachedInfo().NumAckPending, c.CachedInfo().NumRedelivered
	}
	b.eventually("the newer timeout was sent back, the other one is gone", func() bool {
		pending, redelivered := info()
		return pending == 1 && redelivered == 1
	})
	if s := b.state("c1"); s.Phase != call.Ringing {
		t.Errorf("the call is %s %s, want ringing", s.Phase, s.Reason)
	}
	b.store(subjects.Timeout("c1"), []byte(`{"call_id":"k1","epoch":1}`)) // of the release before timers had versions
	b.eventually("an older timeout counts", func() bool { return b.state("c1").Phase == call.Ended })
	b.eventually("the newer timeout alone waits", func() bool { pending, _ := info(); return pending == 1 })
}

// TestFaultDelay: what waits for a newer worker comes again every 8 s at the
// latest, what waits for a person every minute.
func TestFaultDelay(t *testing.T) {
	for _, c := range []struct {
		fault    error
		delivery int
		want     time.Duration
	}{
		{call.ErrNewerVersion, 0, time.Second},
		{call.ErrNewerVersion, 1, time.Second},
		{call.ErrNewerVersion, 3, 4 * time.Second},
		{call.ErrNewerVersion, 1 << 20, 8 * time.Second},
		{call.ErrState, 5, 16 * time.Second},
		{call.ErrState, 1 << 20, 64 * time.Second},
	} {
		if got := faultDelay(c.fault, c.delivery); got != c.want {
			t.Errorf("delivery %d with %v: want a delay of %s, got %s", c.delivery, c.fault, c.want, got)
		}
	}
}
