package router

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestUnexplained: the server refuses every batch with one message in it, for a
// reason that nobody foresaw. At first all wait; when that goes on the others are
// committed without it; in the end it is put aside. Nothing goes on for ever.
func TestUnexplained(t *testing.T) {
	const bad = "c2"
	b := newBench(t)
	w, r := b.worker()
	for i := range 5 {
		b.route(fmt.Sprint("c", i))
		b.publish(operator, signal.Start, fmt.Sprint("c", i), "k")
	}
	w.ledger.refuse = func(groups []*group) error {
		for _, g := range groups {
			if g.key == bad && g.next != nil {
				return &jetstream.APIError{Code: 400, ErrorCode: 19999}
			}
		}
		return nil
	}
	jobs := b.fetch(r, 5)
	deliver := func(delivery int, jobs ...*job) {
		for _, j := range jobs {
			j.event.Delivery = delivery
			j.source = &nakRecorder{message: j.source}
		}
		w.settle(t.Context(), w.groups(t, jobs), 1)
	}
	deliver(1, jobs...)
	if n := b.stored(subjects.FilterState); n != 0 {
		t.Errorf("%d calls committed on the first delivery, want the batch to wait", n)
	}
	deliver(suspectAfter, jobs...)
	if n := b.stored(subjects.FilterState); n != 4 {
		t.Errorf("%d calls committed, want 4: the batch without the message at fault", n)
	}
	if n := b.stored(subjects.FilterRejected); n != 0 {
		t.Errorf("%d messages put aside, want none: it may be the store", n)
	}
	deliver(condemnAfter, jobs[2])
	if n := b.stored(subjects.Rejected(string(signal.CodeInternal), operator)); n != 1 {
		t.Errorf("%d messages under rejected.internal, want 1", n)
	}
}

// TestUnexplainedStore: if what is put aside cannot be stored either, it is the
// store, and the message waits for it.
func TestUnexplainedStore(t *testing.T) {
	b := newBench(t)
	w, r := b.worker()
	b.route("c1")
	b.publish(operator, signal.Start, "c1", "k")
	w.ledger.refuse = func([]*group) error { return &jetstream.APIError{Code: 400, ErrorCode: 19999} }
	j := b.fetch(r, 1)[0]
	naks := &nakRecorder{message: j.source}
	j.source, j.event.Delivery = naks, 10*condemnAfter
	w.settle(t.Context(), w.groups(t, []*job{j}), 1)
	if len(naks.delays) != 1 {
		t.Errorf("sent back %d times, want once", len(naks.delays))
	}
}

// TestContended: a call that loses every race is sent back in the end.
func TestContended(t *testing.T) {
	b := newBench(t)
	w, r := b.worker()
	b.route("c1")
	b.publish(operator, signal.Start, "c1", "k")
	tried := 0
	w.ledger.refuse = func([]*group) error {
		if tried++; tried > maxAttempts {
			return nil
		}
		return &jetstream.APIError{Code: 400, ErrorCode: codeWrongLastSequence}
	}
	j := b.fetch(r, 1)[0]
	naks := &nakRecorder{message: j.source}
	j.source = naks
	w.settle(t.Context(), w.groups(t, []*job{j}), 1)
	if tried != maxAttempts || len(naks.delays) != 1 {
		t.Errorf("tried %d times and sent back %d times, want %d and once", tried, len(naks.delays), maxAttempts)
	}
}

// TestPanic: a message that no decision can be taken on, or that cannot even be
// read, is put aside and stops nobody.
func TestPanic(t *testing.T) {
	t.Run("decide", func(t *testing.T) {
		b := newBench(t)
		w, r := b.worker()
		b.route("c1")
		b.publish(operator, signal.Start, "c1", "k")
		w.deferrals = nil // as good as any other way to panic
		b.work(w, r, 1)
		if n := b.stored(subjects.Rejected(string(signal.CodeInternal), operator)); n != 1 {
			t.Errorf("%d messages under rejected.internal, want 1", n)
		}
		if n := b.stored(subjects.Inbox(operator, string(signal.Error))); n != 1 {
			t.Errorf("the sender was told %d times, want once", n)
		}
	})
	t.Run("verify", func(t *testing.T) {
		b := newBench(t)
		w, r := b.worker()
		b.route("c1")
		b.publish(operator, signal.Start, "c1", "k")
		b.publish(customer, signal.Start, "c1", "k2")
		w.opts.Directory = brokenFor{w.opts.Directory, operator}
		b.work(w, r, 2)
		if n := b.stored(subjects.Rejected(string(signal.CodeInternal), operator)); n != 1 {
			t.Errorf("%d messages under rejected.internal, want 1", n)
		}
		if n := b.stored(subjects.Inbox(operator, string(signal.Start))); n != 1 {
			t.Errorf("%d starts of the other side delivered, want 1", n)
		}
	})
}

// brokenFor is a directory that panics when asked for one identity by a verifier.
type brokenFor struct {
	identity.Directory
	id string
}

func (d brokenFor) Lookup(ctx context.Context, id identity.ID) (identity.Record, error) {
	if id.String() == d.id {
		panic("broken directory")
	}
	return d.Directory.Lookup(ctx, id)
}
