package call

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// world is a conversation between honest devices, the broker between them, and
// the routers. What devices send waits in flight until it is acknowledged and is
// delivered to the routers in any order and any number of times; what the routers
// say is delivered to every device in the order of the commits. Timers fire late,
// early as seen from slow devices, and even after they have been replaced.
type world struct {
	t        *rapid.T
	devices  []*device
	state    *State
	at       time.Time
	seq      uint64
	calls    int
	inFlight []*Event
	inbox    map[identity.ID][]Say
	done     map[uint64]bool // sequences of messages that have been applied
	timers   []Timer         // that were set and have not fired; the last is current
	log      []string
	masked   bool // the route has mask_call_id
	chosen   map[string]identity.ID
}

// masking turns mask_call_id on: no call_id may be said to the side that has not
// chosen it.
func (w *world) masking() *world {
	w.masked = true
	return w
}

func newWorld(t *rapid.T, devices ...*device) *world {
	return &world{t: t, devices: devices, at: epoch0, inbox: map[identity.ID][]Say{}, done: map[uint64]bool{}, chosen: map[string]identity.ID{}}
}

func (w *world) logf(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

// newCall draws a call_id so that neither side's are always the lesser.
func (w *world) newCall() string {
	w.calls++
	if w.masked {
		return fmt.Sprintf("%c%d-not-to-be-told", 'a'+rapid.IntRange(0, 25).Draw(w.t, "call_id"), w.calls)
	}
	return fmt.Sprintf("%c%d", 'a'+rapid.IntRange(0, 25).Draw(w.t, "call_id"), w.calls)
}

func (w *world) send(d *device) func(signal.Type, string) {
	return func(typ signal.Type, callID string) {
		w.seq++
		w.at = w.at.Add(time.Millisecond)
		w.logf("%s sends %s %s (#%d)", d, typ, callID, w.seq)
		if typ == signal.Start {
			w.chosen[callID] = d.id
		}
		offer := "offer of " + callID
		if w.masked {
			offer = "offer" // what passes the mask must not name the call
		}
		w.inFlight = append(w.inFlight, &Event{
			At: w.at, Seq: w.seq, MayDefer: true,
			Msg: signal.Message{
				Type: typ, JTI: fmt.Sprintf("j%d", w.seq), Issuer: d.id, Recipient: proxy, CID: "cid1",
				CallID: callID, Party: d.party, PeerInfo: offer,
			},
		})
	}
}

// route has a router handle the i-th message in flight; lost says that it then
// dies before the acknowledgement.
func (w *world) route(i int, lost bool) {
	e := w.inFlight[i]
	e.Delivery++
	e.AckFloor = w.inFlight[0].Seq - 1
	d := w.decide(*e)
	if w.done[e.Seq] && d.Verdict != Repeat {
		w.fail("#%d has been applied and is again: verdict %d", e.Seq, d.Verdict)
	}
	w.done[e.Seq] = d.Next != nil || w.done[e.Seq]
	if d.Verdict != Deferred && !lost {
		w.inFlight = slices.Delete(w.inFlight, i, i+1)
	}
}

func (w *world) decide(e Event) Decision {
	if NeedsRoute(w.state, e) {
		e.Route = testRoute()
		e.Route.MaskCallID = w.masked
	}
	d := Decide(Policy{}, w.state, e)
	w.logf("router: #%d kind %d %s %s: verdict %d %s", e.Seq, e.Kind, e.Msg.Type, e.CallID, d.Verdict, d.Code)
	checkDecision(w.t, w.state, e, d)
	if d.Next != nil {
		w.state = d.Next
		w.logf("  %s", showState(d.Next))
	}
	for _, say := range d.Say {
		w.checkSay(say)
		w.inbox[say.To] = append(w.inbox[say.To], say)
		w.logf("  %s", showSay(say))
	}
	if d.Timer.Op == TimerSet {
		w.timers = append(w.timers, d.Timer)
	}
	return d
}

// checkSay checks that nobody is told a call_id that the other side has chosen.
func (w *world) checkSay(say Say) {
	w.t.Helper()
	if !w.masked {
		return
	}
	text := fmt.Sprintf("%s %s %s %s", say.CallID, say.PeerInfo, say.Data, say.Reason)
	for callID, by := range w.chosen {
		if by != say.To && strings.Contains(text, callID) {
			w.fail("%s is told %s, which %s has chosen: %s", nameOf(say.To), callID, nameOf(by), text)
		}
	}
}

// fire has the i-th timer fire.
func (w *world) fire(i int) {
	timer := w.timers[i]
	w.timers = slices.Delete(w.timers, i, i+1)
	w.decide(Event{Kind: Timeout, At: w.at, CallID: timer.CallID, Epoch: timer.Epoch})
}

// hear has a device read its next message.
func (w *world) hear(d *device) {
	say := w.inbox[d.id][d.read]
	d.read++
	d.hear(say, w.send(d))
	w.logf("%s has heard %s %s", d, say.Type, say.CallID)
}

func (w *world) unread(d *device) bool { return d.read < len(w.inbox[d.id]) }

// step does one thing that may happen now.
func (w *world) step() {
	w.at = w.at.Add(time.Duration(rapid.IntRange(0, 8000).Draw(w.t, "ms")) * time.Millisecond)
	switch what := rapid.IntRange(0, 19).Draw(w.t, "what"); {
	case what < 7 && len(w.inFlight) > 0:
		i := rapid.IntRange(0, len(w.inFlight)-1).Draw(w.t, "message")
		w.route(i, rapid.IntRange(0, 4).Draw(w.t, "lost") == 0)
	case what == 7 && len(w.timers) > 0:
		w.fire(rapid.IntRange(0, len(w.timers)-1).Draw(w.t, "timer"))
	case what == 8:
		w.decide(Event{Kind: ForcedEnd, At: w.at})
	default:
		d := rapid.SampledFrom(w.devices).Draw(w.t, "device")
		if w.unread(d) && rapid.Bool().Draw(w.t, "reads") {
			w.hear(d)
			return
		}
		if wishes := d.wishes(w.newCall, w.send(d)); len(wishes) > 0 {
			wish := rapid.SampledFrom(wishes).Draw(w.t, "wish")
			w.logf("%s: %s", d, wish.name)
			wish.do()
		}
	}
}

// settle lets everything under way arrive, in any order.
func (w *world) settle() {
	for range 10_000 {
		busy := false
		if len(w.inFlight) > 0 {
			w.route(rapid.IntRange(0, len(w.inFlight)-1).Draw(w.t, "message"), false)
			busy = true
		}
		for _, d := range w.devices {
			if w.unread(d) {
				w.hear(d)
				busy = true
			}
		}
		if !busy {
			return
		}
	}
	w.fail("never settles")
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.log {
		w.t.Log(line)
	}
	w.t.Fatalf(format, args...)
}

// agree checks that all devices see the call as the record does, when nothing is
// under way.
func (w *world) agree() {
	w.t.Helper()
	for _, d := range w.devices {
		want := device{}
		if w.state.Live() {
			callID := w.state.leg().as(w.state.CID, d.id)
			a := d.id == w.state.Caller
			switch {
			case w.state.Phase == Ringing && a && d.party == w.state.CallerParty:
				want.out = callID
			case w.state.Phase == Ringing && !a && d.in != "":
				want.in = callID // or its user has refused
			case w.state.Phase == Active && a && d.party == w.state.CallerParty,
				w.state.Phase == Active && !a && d.party == w.state.Winner:
				want.talk = callID
			}
		}
		if d.out != want.out || d.in != want.in || d.talk != want.talk {
			w.fail("%s at the end, want out=%s in=%s talk=%s; record %+v", d, want.out, want.in, want.talk, w.state)
		}
	}
}

// live through a history, check the agreement, and let the last timer fire: then
// nobody may ring or talk any more.
func (w *world) live() {
	w.t.Helper()
	for range rapid.IntRange(1, 80).Draw(w.t, "steps") {
		w.step()
	}
	w.settle()
	w.agree()
	for w.state.Live() {
		if len(w.timers) == 0 {
			w.fail("the call is live and has no timer")
		}
		// The last to be written is the current one: its subject holds only one.
		w.fire(len(w.timers) - 1)
		w.settle()
		w.agree()
	}
}

// TestHonest: whatever the order in which the messages of two honest devices on
// each side arrive, and however often, both sides end in the same state.
func TestHonest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		newWorld(t,
			&device{id: operator, party: "o1", aware: true}, &device{id: operator, party: "o2", aware: true},
			&device{id: customer, party: "k1", aware: true}, &device{id: customer, party: "k2", aware: true},
		).live()
	})
}

// TestHonestMasked is TestHonest on a route with mask_call_id: each device uses the
// call_id that it has chosen or was told.
func TestHonestMasked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		newWorld(t,
			&device{id: operator, party: "o1", aware: true}, &device{id: operator, party: "o2", aware: true},
			&device{id: customer, party: "k1", aware: true}, &device{id: customer, party: "k2", aware: true},
		).masking().live()
	})
}

// TestLegacy: clients that know six types never hang, whether the other side knows
// more or not.
func TestLegacy(t *testing.T) {
	t.Parallel()
	t.Run("both", rapid.MakeCheck(func(t *rapid.T) {
		newWorld(t, &device{id: operator}, &device{id: customer}).live()
	}))
	t.Run("masked", rapid.MakeCheck(func(t *rapid.T) {
		newWorld(t, &device{id: operator}, &device{id: customer}).masking().live()
	}))
	t.Run("operator", rapid.MakeCheck(func(t *rapid.T) {
		newWorld(t, &device{id: operator},
			&device{id: customer, party: "k1", aware: true}, &device{id: customer, party: "k2", aware: true}).live()
	}))
	t.Run("customer", rapid.MakeCheck(func(t *rapid.T) {
		newWorld(t, &device{id: customer},
			&device{id: operator, party: "o1", aware: true}, &device{id: operator, party: "o2", aware: true}).live()
	}))
}
