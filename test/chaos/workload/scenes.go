package workload

import (
	"context"
	"time"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/voice"
)

// scene is one course that a call takes.
type scene struct {
	name   string
	weight int
	direct bool
	play   func(context.Context, *run)
}

// scenes lists them all. The weights add up to 100.
func scenes() []scene {
	return []scene{
		{"answered", 22, false, answered},
		{"trickled", 8, false, trickled},
		{"busy", 7, false, busy},
		{"declined", 5, false, declined},
		{"cancelled", 7, false, cancelled},
		{"no answer", 4, false, unanswered},
		{"glare", 7, false, glare},
		{"two devices", 7, false, twoDevices},
		{"branch busy", 3, false, branchBusy},
		{"stop crosses accept", 6, false, stopCrossesAccept},
		{"stops cross", 4, false, stopsCross},
		{"sent again", 5, false, sentAgain},
		{"skewed clocks", 3, false, skewed},
		{"second call", 2, false, secondCall},
		{"afterwards", 2, false, afterwards},
		{"relayed", 5, true, relayedAnswered},
		{"relayed refusals", 3, true, relayedRefused},
	}
}

// draw picks the scene of a run.
func (r *run) draw() scene {
	all := scenes()
	n := r.rng.IntN(100)
	for _, s := range all {
		if s.direct && r.slot.relay == "" {
			continue
		}
		if n -= s.weight; n < 0 {
			return s
		}
	}
	return all[0]
}

// ring starts the first call and waits until it rings at the called side; ok is
// false if it does not. callID is how that side knows it.
func (r *run) ring(ctx context.Context) (callID string, ok bool) {
	r.say(ctx, r.a.dev(0), signal.Start, r.id(0))
	m, ok := r.await(ctx, r.b, is(signal.Start))
	return m.CallID, ok
}

// answer has the first device of the called side ring and accept.
func (r *run) answer(ctx context.Context) (callID string, ok bool) {
	if callID, ok = r.ring(ctx); !ok {
		return callID, false
	}
	r.say(ctx, r.b.dev(0), signal.Ringing, callID)
	r.talk(ctx, 0.2)
	r.say(ctx, r.b.dev(0), signal.Accept, callID)
	_, ok = r.await(ctx, r.a, is(signal.Accept, signal.Stop))
	return callID, ok
}

// hangUp has one side stop the call and waits until the other has heard it.
func (r *run) hangUp(ctx context.Context, callID string) {
	if r.flip() {
		r.say(ctx, r.a.dev(0), signal.Stop, r.id(0))
		r.await(ctx, r.b, is(signal.Stop))
		return
	}
	r.say(ctx, r.b.dev(0), signal.Stop, callID, func(m *signal.Message) { m.Reason = signal.Hangup })
	r.await(ctx, r.a, is(signal.Stop))
}

func answered(ctx context.Context, r *run) {
	callID, ok := r.answer(ctx)
	if !ok {
		return
	}
	r.talk(ctx, 1)
	if r.flip() {
		together(
			func() { r.say(ctx, r.a.dev(0), signal.Update, r.id(0)) },
			func() { r.say(ctx, r.b.dev(0), signal.Update, callID) },
		)
	}
	r.talk(ctx, 1)
	r.hangUp(ctx, callID)
}

// trickled sends candidates from the first moment on, some of them too early.
func trickled(ctx context.Context, r *run) {
	together(
		func() { r.say(ctx, r.a.dev(0), signal.Candidate, r.id(0)) },
		func() { r.say(ctx, r.a.dev(0), signal.Start, r.id(0)) },
		func() { r.say(ctx, r.a.dev(0), signal.Candidate, r.id(0)) },
	)
	m, ok := r.await(ctx, r.b, is(signal.Start))
	if !ok {
		return
	}
	d := r.b.dev(0)
	r.say(ctx, d, signal.Ringing, m.CallID)
	together(
		func() { r.say(ctx, d, signal.Candidate, m.CallID) },
		func() { r.say(ctx, d, signal.Accept, m.CallID) },
	)
	if _, ok := r.await(ctx, r.a, is(signal.Accept)); !ok {
		return
	}
	for range 3 {
		together(
			func() { r.say(ctx, r.a.dev(0), signal.Candidate, r.id(0)) },
			func() { r.say(ctx, d, signal.Candidate, m.CallID) },
		)
	}
	r.talk(ctx, 1)
	r.hangUp(ctx, m.CallID)
}

func busy(ctx context.Context, r *run) {
	if callID, ok := r.ring(ctx); ok {
		r.say(ctx, r.b.dev(0), signal.Busy, callID)
		r.await(ctx, r.a, is(signal.Busy))
	}
}

func declined(ctx context.Context, r *run) {
	if callID, ok := r.ring(ctx); ok {
		r.say(ctx, r.b.dev(1), signal.Ringing, callID)
		r.say(ctx, r.b.dev(0), signal.Stop, callID)
		r.await(ctx, r.a, is(signal.Stop))
	}
}

// cancelled stops while it rings, or before it does.
func cancelled(ctx context.Context, r *run) {
	if r.flip() {
		together(
			func() { r.say(ctx, r.a.dev(0), signal.Start, r.id(0)) },
			func() { r.say(ctx, r.a.dev(0), signal.Stop, r.id(0)) },
		)
		r.talk(ctx, 1)
		return
	}
	if _, ok := r.ring(ctx); ok {
		r.talk(ctx, 1)
		r.say(ctx, r.a.dev(0), signal.Stop, r.id(0))
		r.await(ctx, r.b, is(signal.Stop))
	}
}

// unanswered rings until the timer fires.
func unanswered(ctx context.Context, r *run) {
	callID, ok := r.ring(ctx)
	if !ok {
		return
	}
	r.say(ctx, r.b.dev(0), signal.Ringing, callID)
	select {
	case <-time.After(r.w.opts.RingTimeout):
	case <-ctx.Done():
	}
	r.await(ctx, r.a, is(signal.Stop))
	r.await(ctx, r.b, is(signal.Stop))
}

// glare has both sides call at once; whoever hears a start answers it.
func glare(ctx context.Context, r *run) {
	together(
		func() { r.say(ctx, r.a.dev(0), signal.Start, r.id(0)) },
		func() { r.say(ctx, r.b.dev(0), signal.Start, r.id(1)) },
	)
	for {
		h, ok := r.awaitAny(ctx, func(h heard) bool { return is(signal.Start, signal.Accept, signal.Stop)(h.m) })
		if !ok {
			return
		}
		side := r.side(h.seat)
		switch {
		case h.m.Type == signal.Start: // the loser's may ring for a moment
			r.say(ctx, side.dev(0), signal.Accept, h.m.CallID)
		case h.m.Type == signal.Accept:
			r.talk(ctx, 1)
			r.say(ctx, side.dev(0), signal.Stop, h.m.CallID)
			return
		case h.m.Reason != signal.Glare:
			return // it did not ring
		}
	}
}

// twoDevices has both devices of the called side accept at once.
func twoDevices(ctx context.Context, r *run) {
	callID, ok := r.ring(ctx)
	if !ok {
		return
	}
	phone, pad := r.b.dev(0), r.b.dev(1)
	together(
		func() { r.say(ctx, phone, signal.Ringing, callID) },
		func() { r.say(ctx, pad, signal.Ringing, callID) },
	)
	together(
		func() { r.say(ctx, phone, signal.Accept, callID) },
		func() { r.say(ctx, pad, signal.Accept, callID) },
	)
	if _, ok := r.await(ctx, r.a, is(signal.Accept)); !ok {
		return
	}
	r.talk(ctx, 1)
	r.say(ctx, r.a.dev(0), signal.Stop, r.id(0))
	r.await(ctx, r.b, func(m voice.Message) bool { return m.Type == signal.Stop && m.Reason != signal.AnsweredElsewhere })
}

// branchBusy has one device refuse while the other rings on and answers.
func branchBusy(ctx context.Context, r *run) {
	if len(r.b.seats) < 2 {
		busy(ctx, r)
		return
	}
	callID, ok := r.ring(ctx)
	if !ok {
		return
	}
	phone, pad := r.b.dev(0), r.b.dev(1)
	r.say(ctx, phone, signal.Ringing, callID)
	r.say(ctx, pad, signal.Ringing, callID)
	r.say(ctx, pad, signal.Busy, callID)
	r.say(ctx, phone, signal.Accept, callID)
	if _, ok := r.await(ctx, r.a, is(signal.Accept, signal.Busy)); ok {
		r.hangUp(ctx, callID)
	}
}
