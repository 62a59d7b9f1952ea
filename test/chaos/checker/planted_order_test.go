package checker

import (
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// swap has a device hear the last two of n letters in the other order.
func swap(d *device, n int) {
	d.seen = n - 1
	d.hear()
	d.seen = n - 2
	d.hear()
	d.seen = n
}

func TestFindsDisorderedHandlers(t *testing.T) {
	const saw = "a handler saw"
	plants := []plant{
		{name: "a start after its stop", rule: saw, do: func(s *stage) {
			s.desk.say(signal.Start, "c1", "a")
			s.desk.say(signal.Stop, "c1", "a")
			s.route(0, false)
			s.route(0, false)
			swap(s.phone, 2)
			s.rest()
		}},
		{name: "an accept before the start", rule: saw, do: func(s *stage) {
			s.phone.hears(signal.Accept, "b", "")
			s.rest()
		}},
		{name: "ringing at the callee", rule: saw, do: func(s *stage) {
			s.ring()
			s.pad.hears(signal.Ringing, "a", "")
			s.rest()
		}},
		{name: "an accept after the stop", rule: saw, do: func(s *stage) {
			s.ring()
			s.desk.say(signal.Stop, "c1", "a")
			s.settle()
			s.desk.hears(signal.Stop, "a", signal.Cancelled)
			s.desk.hears(signal.Accept, "a", "")
		}},
		{name: "an update after the stop", rule: saw, do: func(s *stage) {
			s.whole()
			s.phone.hears(signal.Update, "a", "")
		}},
		{name: "a candidate of the callee before its accept", rule: saw, do: func(s *stage) {
			s.ring()
			s.desk.hears(signal.Candidate, "a", "")
			s.rest()
		}},
		{name: "a candidate before the start", rule: saw, do: func(s *stage) {
			s.pad.hears(signal.Candidate, "a", "")
			s.whole()
		}},
		{name: "an update before the accept", rule: saw, do: func(s *stage) {
			s.ring()
			s.phone.hears(signal.Update, "a", "")
			s.rest()
		}},
		{name: "ringing after the accept", rule: saw, do: func(s *stage) {
			s.answer()
			s.desk.hears(signal.Ringing, "a", "")
			s.rest()
		}},
		{name: "a second start", rule: saw, do: func(s *stage) {
			s.ring()
			s.phone.hears(signal.Start, "a", "")
			s.rest()
		}},
		{name: "the start of a call of one's own", rule: saw, do: func(s *stage) {
			s.ring()
			s.desk.hears(signal.Start, "a", "")
			s.rest()
		}},
		{name: "the stop of a call that nobody knows", rule: saw, do: func(s *stage) {
			s.whole()
			s.pad.hears(signal.Stop, "zz", signal.Cancelled)
		}},
		{name: "out of the order of the stream", rule: "out of the order", do: func(s *stage) {
			s.answer()
			s.desk.say(signal.Candidate, "c1", "a")
			s.desk.say(signal.Candidate, "c1", "a")
			s.route(0, false)
			s.route(0, false)
			swap(s.pad, len(s.inboxes[customer]))
			s.rest()
		}},
		{name: "a start behind its stop in direct mode", rule: "a handler saw", do: func(s *stage) {
			s.desk.send(signal.Start, relay, "d1", "x", nil)
			s.desk.send(signal.Stop, relay, "d1", "x", nil)
			s.route(0, false)
			s.route(0, false)
			swap(s.app.device, 2)
		}},
	}
	for i := range plants { // some hear what nobody has stored
		plants[i].also = []Kind{Lost}
	}
	findAll(t, Disordered, plants)
}

// TestLateErrors: an error that comes with a sync behind newer messages is no
// disorder under a fault. Without one it is.
func TestLateErrors(t *testing.T) {
	for _, faulty := range []bool{true, false} {
		s := newStage(t)
		if faulty {
			s.rec.Fault(history.Fault{Kind: "partition"})("healed")
		}
		s.desk.say(signal.Candidate, "c1", "zz") // deferred, then unknown_call
		for len(s.flight) > 0 {
			s.route(0, false)
		}
		s.ring()
		n := len(s.inboxes[operator])
		s.desk.seen = 0 // the error, once more and last
		h := s.history()
		first := h.Heard[0]
		h.Heard = append(h.Heard[1:], first)
		s.desk.seen = n
		r := s.check(h)
		if r.Clean() != faulty || (r.Overtaken == 1) != faulty {
			t.Errorf("fault %t: %s, %d overtaken: %v", faulty, r, r.Overtaken, r.Findings)
		}
	}
}

// TestForeignStop: so is the stop of a call that another device of the same identity
// had started. The one that started it must not hear it late.
func TestForeignStop(t *testing.T) {
	for _, c := range []struct{ faulty, caller bool }{{true, false}, {false, false}, {true, true}} {
		s := newStage(t)
		if c.faulty {
			s.rec.Fault(history.Fault{Kind: "partition"})("healed")
		}
		s.phone.say(signal.Start, "c1", "a")
		s.settle()
		s.desk.say(signal.Stop, "c1", "a")
		s.route(0, false) // both devices are told of the end,
		s.desk.say(signal.Start, "c1", "b")
		s.route(0, false) // and of the next call
		late := s.pad
		if c.caller {
			late = s.phone
		}
		swap(late, len(s.inboxes[customer]))
		s.rest()
		tolerated := c.faulty && !c.caller
		if r := s.check(s.history()); r.Clean() != tolerated || (r.Overtaken == 1) != tolerated {
			t.Errorf("fault %t, caller %t: %s, %d overtaken: %v", c.faulty, c.caller, r, r.Overtaken, r.Findings)
		}
	}
}

// TestBehindOnesOwnStop: so is what belongs to a call that the device has hung up
// itself. One that did not must not hear it late.
func TestBehindOnesOwnStop(t *testing.T) {
	for _, c := range []struct{ faulty, own bool }{{true, true}, {false, true}, {true, false}} {
		s := newStage(t)
		if c.faulty {
			s.rec.Fault(history.Fault{Kind: "partition"})("healed")
		}
		s.answer()
		s.phone.say(signal.Update, "c1", "a")
		s.route(0, false) // the desk does not hear this one now
		who := s.phone
		if c.own {
			who = s.desk
		}
		who.say(signal.Stop, "c1", "a")
		s.route(0, false)
		if c.own {
			s.desk.say(signal.Start, "c1", "b")
			s.route(0, false)
			s.phone.say(signal.Ringing, "c1", "b")
			s.route(0, false)
		}
		swap(s.desk, len(s.inboxes[operator]))
		s.rest()
		tolerated := c.faulty && c.own
		if r := s.check(s.history()); r.Clean() != tolerated || (r.Overtaken == 1) != tolerated {
			t.Errorf("fault %t, own %t: %s, %d overtaken: %v", c.faulty, c.own, r, r.Overtaken, r.Findings)
		}
	}
}

func TestFindsDisorderedRecords(t *testing.T) {
	const table, memory = "in no table", "forgot or changed"
	stopped := func(reason signal.Reason) func(*call.State) {
		return func(n *call.State) {
			n.Phase, n.Reason, n.EndedBy, n.EndedAt, n.Deadline = call.Ended, reason, identity.Router, n.Last.At, time.Time{}
			n.Past = append(n.Past, call.PastCall{CallID: n.CallID, Reason: reason, At: n.Last.At})
		}
	}
	whatever := []Kind{Lost, Split, Stuck, Leaked}
	findAll(t, Disordered, []plant{
		{name: "a call that comes to life again", rule: table, also: whatever, do: func(s *stage) {
			s.whole()
			s.write("c1", func(n *call.State) { n.Phase, n.Reason, n.Deadline = call.Active, "", s.now.Add(time.Hour) })
		}},
		{name: "active without an accept", rule: table, also: whatever, do: func(s *stage) {
			s.ring()
			s.write("c1", func(n *call.State) { n.Phase = call.Active })
		}},
		{name: "the caller answers itself", rule: table, also: whatever, do: func(s *stage) {
			s.ring()
			s.write("c1", func(n *call.State) {
				n.Phase = call.Active
				n.Last.Type, n.Last.From = "accept", identity.MustID(operator)
			})
		}},
		{name: "a wrong reason", rule: table, also: whatever, do: func(s *stage) {
			s.ring()
			s.write("c1", stopped(signal.Hangup))
		}},
		{name: "ended by whom it was not", rule: table, also: whatever, do: func(s *stage) {
			s.ring()
			s.desk.say(signal.Stop, "c1", "a")
			s.settle()
			s.amend("c1", func(n *call.State) { n.EndedBy = identity.MustID(customer) })
		}},
		{name: "a reason that changes after the end", rule: table, also: whatever, do: func(s *stage) {
			s.whole()
			s.write("c1", func(n *call.State) { n.Reason = signal.Declined })
		}},
		{name: "a past reason that changes", rule: memory, also: whatever, do: func(s *stage) {
			s.whole()
			s.write("c1", func(n *call.State) { n.Past[0].Reason = signal.Declined })
		}},
		{name: "a call_id that is forgotten", rule: memory, also: whatever, do: func(s *stage) {
			s.whole()
			s.write("c1", func(n *call.State) { n.Past = nil })
		}},
		{name: "an epoch that goes back", rule: memory, also: whatever, do: func(s *stage) {
			s.answer()
			s.write("c1", func(n *call.State) { n.Epoch = 1 })
		}},
		{name: "a call_id that rings twice", rule: table, also: whatever, do: func(s *stage) {
			s.whole()
			s.write("c1", func(n *call.State) {
				n.Phase, n.CallID, n.Caller, n.Reason, n.Epoch = call.Ringing, "b", n.Callee(), "", n.Epoch+1
				n.Deadline, n.Last = s.now.Add(time.Minute), call.Last{Type: "start", From: n.Caller, CallID: "b", At: s.now}
				n.Past = append(n.Past, call.PastCall{CallID: "b", Reason: signal.Cancelled, At: s.now})
			})
			s.write("c1", func(n *call.State) {
				n.Last = call.Last{Type: "start", From: n.Caller, CallID: "a", At: s.now}
				n.CallID = "a"
			})
		}},
		{name: "the greater call_id survives glare", rule: table, also: whatever, do: func(s *stage) {
			s.ring()
			s.write("c1", func(n *call.State) {
				n.Past = append(n.Past, call.PastCall{CallID: "a", Reason: signal.Glare, ReplacedBy: "b", At: s.now})
				n.Last = call.Last{Type: "start", From: n.Callee(), CallID: "b", At: s.now}
				n.CallID, n.Caller, n.Epoch = "b", n.Callee(), n.Epoch+1
			})
		}},
		{name: "a direct start behind its stop", rule: table, also: whatever, do: func(s *stage) {
			s.desk.send(signal.Stop, relay, "d1", "x", nil)
			s.settle()
			key := subjects.DirectKey("d1", operator, relay)
			s.write(key, func(n *call.State) {
				n.Last = call.Last{Type: "start", From: identity.MustID(operator), CallID: "x", At: s.now}
			})
		}},
		{name: "a device that was not remembered", rule: "no linearization", also: whatever, do: func(s *stage) {
			s.desk.say(signal.Start, "c1", "a")
			s.settle()
			s.phone.say(signal.Ringing, "c1", "a")
			s.settle()
			s.amend("c1", func(n *call.State) { n.Parties = nil })
		}},
		{name: "a timer that fires early", rule: "before it was sent or due", also: whatever, do: func(s *stage) {
			s.ring()
			s.fire("c1")
			s.settle()
		}},
		{name: "a message applied before it was sent", rule: "before it was sent", also: whatever, do: func(s *stage) {
			s.whole()
		}, edit: func(h *history.History) { h.Sends[0].At = h.Sends[0].At.Add(time.Hour) }},
		{name: "silence where the state machine speaks", rule: "no linearization", also: whatever, do: func(s *stage) {
			s.ring()
			s.phone.say(signal.Ringing, "c1", "a") // R3, silent
			s.settle()
			s.phone.say(signal.Accept, "c1", "a")
			s.settle()
			s.amend("c1", func(n *call.State) { n.Epoch++ })
		}},
	})
}
