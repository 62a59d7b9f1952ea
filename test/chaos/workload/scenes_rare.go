package workload

import (
	"context"
	"time"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/voice"
)

func stopCrossesAccept(ctx context.Context, r *run) {
	callID, ok := r.ring(ctx)
	if !ok {
		return
	}
	together(
		func() { r.say(ctx, r.a.dev(0), signal.Stop, r.id(0)) },
		func() { r.say(ctx, r.b.dev(0), signal.Accept, callID) },
	)
	r.await(ctx, r.b, is(signal.Stop))
}

func stopsCross(ctx context.Context, r *run) {
	callID, ok := r.answer(ctx)
	if !ok {
		return
	}
	together(
		func() { r.say(ctx, r.a.dev(0), signal.Stop, r.id(0)) },
		func() { r.say(ctx, r.b.dev(0), signal.Stop, callID) },
	)
}

// sentAgain publishes messages more than once, as an endpoint does that got no
// answer: past the broker's memory of message ids, and within it.
func sentAgain(ctx context.Context, r *run) {
	repeat := func(s *seat, m signal.Message) {
		if r.flip() {
			s.again(ctx, m, r.mode())
			return
		}
		_ = s.say(ctx, m, r.mode()) // it was stored before
	}
	start := r.say(ctx, r.a.dev(0), signal.Start, r.id(0))
	repeat(r.a.dev(0), start)
	m, ok := r.await(ctx, r.b, is(signal.Start))
	if !ok {
		return
	}
	accept := r.say(ctx, r.b.dev(0), signal.Accept, m.CallID)
	repeat(r.b.dev(0), accept)
	r.await(ctx, r.a, is(signal.Accept))
	r.talk(ctx, 1)
	update := r.say(ctx, r.a.dev(0), signal.Update, r.id(0))
	stop := r.say(ctx, r.a.dev(0), signal.Stop, r.id(0))
	together(
		func() { repeat(r.a.dev(0), stop) },
		func() { r.a.dev(0).again(ctx, start, r.mode()) },
		func() { r.a.dev(0).again(ctx, update, r.mode()) },
	)
	r.await(ctx, r.b, is(signal.Stop))
}

// skewed is an answered call between clocks that differ, within what is tolerated.
func skewed(ctx context.Context, r *run) {
	by := func(seconds int) func(*signal.Message) {
		return func(m *signal.Message) {
			m.IssuedAt = m.IssuedAt.Add(time.Duration(seconds) * time.Second)
			m.ExpiresAt = m.IssuedAt.Add(5 * time.Minute)
		}
	}
	fast, slow := 5+r.rng.IntN(40), -r.rng.IntN(200)
	r.say(ctx, r.a.dev(0), signal.Start, r.id(0), by(fast))
	m, ok := r.await(ctx, r.b, is(signal.Start))
	if !ok {
		return
	}
	r.say(ctx, r.b.dev(0), signal.Accept, m.CallID, by(slow))
	r.await(ctx, r.a, is(signal.Accept))
	r.say(ctx, r.b.dev(0), signal.Stop, m.CallID, by(slow))
	r.await(ctx, r.a, is(signal.Stop))
}

// secondCall tries another call while one is on.
func secondCall(ctx context.Context, r *run) {
	callID, ok := r.answer(ctx)
	if !ok {
		return
	}
	refused := func(id string) func(voice.Message) bool {
		return func(m voice.Message) bool { return m.Type == signal.Stop && m.CallID == id }
	}
	r.say(ctx, r.a.dev(0), signal.Start, r.id(1))
	r.await(ctx, r.a, refused(r.id(1)))
	r.say(ctx, r.b.dev(0), signal.Start, r.id(2))
	r.await(ctx, r.b, refused(r.id(2)))
	r.hangUp(ctx, callID)
}

// afterwards speaks of a call that is over, and of one that never was.
func afterwards(ctx context.Context, r *run) {
	callID, ok := r.answer(ctx)
	if !ok {
		return
	}
	r.hangUp(ctx, callID)
	a, b := r.a.dev(0), r.b.dev(0)
	r.say(ctx, a, signal.Start, r.id(0))
	r.say(ctx, b, signal.Accept, callID)
	r.say(ctx, b, signal.Ringing, callID)
	r.say(ctx, a, signal.Candidate, r.id(0))
	r.say(ctx, a, signal.Summary, r.id(0))
	r.say(ctx, b, signal.Summary, callID)
	r.await(ctx, r.a, is(signal.Summary))
	r.say(ctx, b, signal.Candidate, r.id(7))
	r.say(ctx, a, signal.Stop, r.id(8)) // its start comes behind it
	r.say(ctx, a, signal.Start, r.id(8))
	r.await(ctx, r.a, is(signal.Error))
}

// relayedAnswered is a call through a proxy written by hand.
func relayedAnswered(ctx context.Context, r *run) {
	callID, ok := r.ring(ctx)
	if !ok {
		return
	}
	r.say(ctx, r.b.dev(0), signal.Accept, callID)
	if _, ok := r.await(ctx, r.a, is(signal.Accept)); !ok {
		return
	}
	r.talk(ctx, 1)
	r.hangUp(ctx, callID)
}

// relayedRefused is one that is refused or given up.
func relayedRefused(ctx context.Context, r *run) {
	callID, ok := r.ring(ctx)
	if !ok {
		return
	}
	if r.flip() {
		r.say(ctx, r.b.dev(0), signal.Busy, callID)
		r.await(ctx, r.a, is(signal.Busy))
		return
	}
	r.say(ctx, r.a.dev(0), signal.Stop, r.id(0))
	r.await(ctx, r.b, is(signal.Stop))
}

// stopAll has each side stop every call that is not over for it.
func (r *run) stopAll(ctx context.Context) {
	for more := true; more; {
		select {
		case h := <-r.heard:
			r.noteHeard(h)
		default:
			more = false
		}
	}
	for _, e := range r.open() {
		r.say(ctx, e.of.dev(0), signal.Stop, e.callID)
	}
}
