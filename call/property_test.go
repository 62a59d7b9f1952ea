package call

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// TestTotal: every state, reachable or not, has an answer to every event; nothing
// given is changed.
func TestTotal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		at := epoch0.Add(time.Duration(rapid.IntRange(0, 1300).Draw(t, "seconds")) * time.Second)
		e := drawEvent(t, at)
		given, before := [2]any{s, e.Route}, [2]any{snapshot(s), copyRoute(e.Route)}
		d := Decide(Policy{}, s, e)
		if diff := cmp.Diff(before, given, cmp.Comparer(sameID)); diff != "" {
			t.Fatalf("Decide changed what it was given:\n%s", diff)
		}
		checkDecision(t, s, e, d)
		checkAudience(t, e, d)
		scribble(d.Next)
		if diff := cmp.Diff(before, given, cmp.Comparer(sameID)); diff != "" {
			t.Fatalf("Next shares memory with what was given:\n%s", diff)
		}
		checkDecision(t, s, e, DecideDirect(Policy{}, s, e))
	})
}

// TestTotalNonsense: not even records and events that cannot exist make it panic.
func TestTotalNonsense(t *testing.T) {
	t.Parallel()
	for _, s := range []*State{nil, {}, {Phase: Ringing}, {Phase: Active, Mode: Masked}, {Phase: "x", CallID: "c"}, {Mode: Direct, CID: "cid1"}} {
		for _, typ := range append(signal.Types(), "") {
			for _, kind := range []Kind{Message, Timeout, ForcedEnd, 99} {
				for _, r := range []*Route{nil, {}, testRoute()} {
					e := Event{Kind: kind, Route: r, Msg: signal.Message{Type: typ, CallID: "c"}}
					Decide(Policy{}, s, e)
					DecideDirect(Policy{}, s, e)
					e.Msg.Issuer, e.Msg.Recipient = customer, proxy
					Decide(Policy{}, s, e)
					DecideDirect(Policy{}, s, e)
				}
			}
		}
	}
}

// snapshot copies a record independently of clone, which is under test.
func snapshot(s *State) *State {
	if s == nil {
		return nil
	}
	c := *s
	c.DataAllow = append([]string(nil), s.DataAllow...)
	c.Parties = append([]Party(nil), s.Parties...)
	c.Past = append([]PastCall(nil), s.Past...)
	c.Applied = append([]Mark(nil), s.Applied...)
	return &c
}

func copyRoute(r *Route) *Route {
	if r == nil {
		return nil
	}
	c := *r
	c.DataAllow = append([]string(nil), r.DataAllow...)
	return &c
}

// scribble writes over everything in n that could be shared.
func scribble(n *State) {
	if n == nil {
		return
	}
	for i := range n.Past {
		n.Past[i] = PastCall{}
	}
	for i := range n.Applied {
		n.Applied[i] = Mark{}
	}
	for i := range n.Parties {
		n.Parties[i] = Party{}
	}
	for i := range n.DataAllow {
		n.DataAllow[i] = "scribble"
	}
}

// checkAudience checks who is told what: nobody outside of the route is told
// anything but that there is no such call, and nobody is told the other's name.
func checkAudience(t *rapid.T, e Event, d Decision) {
	t.Helper()
	for _, say := range d.Say {
		if say.To != customer && say.To != operator && (d.Verdict != Stranger || say.To != e.Msg.Issuer) {
			t.Fatalf("%v is told %s", say.To, say.Type)
		}
		if d.Verdict == Stranger && (say.Type != signal.Error || d.Next != nil) {
			t.Fatalf("a stranger is told %s", say.Type)
		}
		text := string(say.Data) + say.PeerInfo
		for _, id := range []identity.ID{customer, operator, stranger} {
			if strings.Contains(text, id.String()) {
				t.Fatalf("%v is told %v's identity in %s", say.To, id, text)
			}
		}
		crosses := e.Kind == Message && say.To != e.Msg.Issuer
		if strings.Contains(text, "Eve") || strings.Contains(text, "Ann") || crosses && strings.Contains(text, `"party"`) {
			t.Fatalf("%v is told %s", say.To, text)
		}
		if strings.Contains(text, "Bob") && (say.To != customer || !say.Type.HasData()) {
			t.Fatalf("%v is told the operator's name in %s", say.To, say.Type)
		}
	}
}

// history plays random events against one record, as a router would.
func history(t *rapid.T, step func(before *State, e Event, d Decision)) *State {
	var s *State
	at := epoch0
	for i := range rapid.IntRange(1, 60).Draw(t, "length") {
		at = at.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
		e := drawEvent(t, at)
		e.Seq = uint64(i) + 1
		if e.Kind == Timeout && s.Live() && rapid.Bool().Draw(t, "current timer") {
			e.CallID, e.Epoch = s.CallID, s.Epoch
		}
		d := Decide(Policy{}, s, e)
		step(s, e, d)
		if d.Next != nil {
			s = d.Next
		}
	}
	return s
}

// TestEndedNeverRingsAgain: a call_id that is over never becomes live again.
func TestEndedNeverRingsAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		over := map[string]time.Time{}
		history(t, func(s *State, e Event, d Decision) {
			if d.Next == nil {
				return
			}
			if s.Live() && (!d.Next.Live() || d.Next.CallID != s.CallID) {
				over[s.CallID] = e.At
			}
			if when, was := over[d.Next.CallID]; was && d.Next.Live() && e.At.Sub(when) <= KeepPast {
				t.Fatalf("%s is %s again %v after its end", d.Next.CallID, d.Next.Phase, e.At.Sub(when))
			}
		})
	})
}

// TestStrangersLearnNothing: whoever is on no side is told the same, byte for
// byte, whatever stands in the record, and leaves no trace.
func TestStrangersLearnNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := history(t, func(_ *State, e Event, d Decision) { checkAudience(t, e, d) })
		e := Event{At: epoch0.Add(time.Hour), Delivery: 1, MayDefer: true, Route: testRoute(), Msg: drawMessage(t)}
		e.Msg.Issuer = stranger
		got := Decide(Policy{}, s, e)
		e.Route = nil
		want := Decide(Policy{}, nil, e)
		if diff := cmp.Diff(want, got, cmp.Comparer(sameID)); diff != "" || got.Verdict != Stranger {
			t.Fatalf("a stranger can tell a conversation from none (-none +some):\n%s", diff)
		}
	})
}

// TestTwiceIsOnce: a message that has been applied is a repeat at any later time,
// and one that was answered with nothing still is immediately after.
func TestTwiceIsOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var sent []Event
		history(t, func(s *State, e Event, d Decision) {
			after := s
			if d.Next != nil {
				after = d.Next
			}
			if e.Kind != ForcedEnd && d.Verdict == Nothing {
				if again := Decide(Policy{}, after, e); again.Verdict != Nothing {
					t.Fatalf("nothing, then %+v", again)
				}
			}
			if e.Kind == Message && d.Next != nil {
				sent = append(sent, e)
			}
			for _, old := range sent {
				old.Delivery++
				if again := Decide(Policy{}, after, old); again.Verdict != Repeat || again.Next != nil || again.Say != nil {
					t.Fatalf("%+v applied twice: %+v", old, again)
				}
			}
		})
	})
}

// TestRouteOnlyWhenAsked: the route does not count unless NeedsRoute asks for it.
func TestRouteOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, e := drawState(t), drawEvent(t, epoch0.Add(time.Minute))
		if NeedsRoute(s, e) {
			return
		}
		got := Decide(Policy{}, s, e)
		e.Route, e.RouteBroken = nil, false
		if diff := cmp.Diff(Decide(Policy{}, s, e), got, cmp.Comparer(sameID)); diff != "" {
			t.Fatalf("a route that was not asked for counts (-without +with):\n%s", diff)
		}
	})
}
