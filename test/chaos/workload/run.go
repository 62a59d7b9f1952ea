package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/voice"
)

// run is one call, or two that cross.
type run struct {
	w     *Workload
	slot  *slot
	n     uint64
	rng   *rand.Rand
	cid   string
	a, b  *party // who calls, who is called
	heard chan heard
	past  []heard // what was not waited for yet

	scene  string
	direct bool

	mu   sync.Mutex
	jtis int
	ends []end
}

// end is a call as one side knows it: whether it is over for that side.
type end struct {
	of     *party
	callID string
	over   bool
}

// note remembers that a side knows of a call, or that it is over.
func (r *run) note(of *party, callID string, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.ends {
		if e := &r.ends[i]; e.of == of && e.callID == callID {
			e.over = e.over || over
			return
		}
	}
	r.ends = append(r.ends, end{of, callID, over})
}

// side is the party of a seat.
func (r *run) side(s *seat) *party {
	if s.self == r.b.self {
		return r.b
	}
	return r.a
}

// noteHeard is note for what a device hears.
func (r *run) noteHeard(h heard) {
	of := r.side(h.seat)
	switch {
	case h.m.Type == signal.Start:
		r.note(of, h.m.CallID, false)
	case h.m.Type == signal.Busy, h.m.Type == signal.Stop && h.m.Reason != signal.AnsweredElsewhere:
		r.note(of, h.m.CallID, true)
	}
}

// open lists the calls that some side thinks to be on.
func (r *run) open() []end {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.ends), func(e end) bool { return e.over })
}

// heard is a message that a device heard.
type heard struct {
	seat *seat
	m    voice.Message
}

// knows reports whether an old client knows a type.
func knows(t signal.Type) bool { return slices.Contains(sixTypes, t) }

// play makes the call and sees to it that it ends.
func (r *run) play(ctx context.Context, s scene) {
	r.scene, r.direct = s.name, s.direct
	s.play(ctx, r)
	// Whatever went wrong, both sides know how to end it, also when the time for the
	// call is over; what they cannot say in time the timers of the fleet say.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*r.w.opts.Patience)
	defer cancel()
	r.stopAll(ctx)
}

// dev is the i-th device of a side, or its only one.
func (p *party) dev(i int) *seat { return p.seats[min(i, len(p.seats)-1)] }

// id is the k-th call_id of this run. The first character is drawn, so that none is
// always the lesser.
func (r *run) id(k int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%c%d.%d", 'a'+(r.n*7+uint64(k)*13+r.w.opts.Seed)%26, r.n, k)
}

// message is one of this run. Its jti is drawn.
func (r *run) message(typ signal.Type, callID string) signal.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jtis++
	to := r.w.opts.Cast.Proxy
	if r.direct {
		to = r.slot.relay
	}
	m := signal.Message{
		Type: typ, JTI: fmt.Sprintf("%016x%08x", r.rng.Uint64(), r.jtis), Recipient: identity.MustID(to), CID: r.cid, CallID: callID,
	}
	if typ.HasPeerInfo() {
		m.PeerInfo = fmt.Sprintf("v=0\r\no=- %d 2 IN IP4 127.0.0.1\r\ns=-\r\n", r.rng.Uint32())
	}
	return m
}

func (r *run) mode() call.Mode {
	if r.direct {
		return call.Direct
	}
	return call.Masked
}

// say sends a message of this type and returns it. Errors are in the history; the
// call goes on as it can.
func (r *run) say(ctx context.Context, from *seat, typ signal.Type, callID string, change ...func(*signal.Message)) signal.Message {
	m := r.message(typ, callID)
	now := time.Now()
	m.IssuedAt, m.ExpiresAt = now, now.Add(5*time.Minute)
	for _, f := range change {
		f(&m)
	}
	if from.legacy && !knows(typ) {
		return m
	}
	ctx, cancel := context.WithTimeout(ctx, r.w.opts.Patience)
	defer cancel()
	of := r.side(from)
	if typ == signal.Start {
		r.note(of, callID, false)
	}
	if err := from.say(ctx, m, r.mode()); err != nil {
		r.w.opts.Logger.Info("not sent", "type", typ, "cid", r.cid, "err", err)
	} else if typ == signal.Stop {
		r.note(of, callID, true)
	}
	return m
}

// together runs functions concurrently.
func together(all ...func()) {
	var wg sync.WaitGroup
	for _, f := range all {
		wg.Go(f)
	}
	wg.Wait()
}

// await waits until a device of p hears a message that matches.
func (r *run) await(ctx context.Context, p *party, matches func(voice.Message) bool) (voice.Message, bool) {
	h, ok := r.awaitAny(ctx, func(h heard) bool { return h.seat.self == p.self && matches(h.m) })
	return h.m, ok
}

// awaitAny waits until a message fits that a device of either side hears.
func (r *run) awaitAny(ctx context.Context, fits func(heard) bool) (heard, bool) {
	if i := slices.IndexFunc(r.past, fits); i >= 0 {
		h := r.past[i]
		r.past = slices.Delete(r.past, i, i+1)
		return h, true
	}
	timer := time.NewTimer(r.w.opts.Patience)
	defer timer.Stop()
	for {
		select {
		case h := <-r.heard:
			r.noteHeard(h)
			if fits(h) {
				return h, true
			}
			r.past = append(r.past, h)
		case <-timer.C:
			r.w.opts.Logger.Info("waited in vain", "scene", r.scene, "cid", r.cid)
			return heard{}, false
		case <-ctx.Done():
			return heard{}, false
		}
	}
}

// is matches a type.
func is(types ...signal.Type) func(voice.Message) bool {
	return func(m voice.Message) bool { return slices.Contains(types, m.Type) }
}

// talk lets some time pass.
func (r *run) talk(ctx context.Context, share float64) {
	d := time.Duration(r.rng.ExpFloat64() * share * float64(r.w.opts.Talk))
	select {
	case <-time.After(min(d, 4*r.w.opts.Talk)):
	case <-ctx.Done():
	}
}

func (r *run) flip() bool { return r.rng.IntN(2) == 0 }
