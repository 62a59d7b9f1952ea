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

func TestFindsLost(t *testing.T) {
	const vanished = "nothing came of it"
	findAll(t, Lost, []plant{
		{name: "a start", rule: vanished, do: func(s *stage) {
			s.desk.say(signal.Start, "c1", "a")
			s.vanish()
		}},
		{name: "the stop of a ringing call that then times out", rule: vanished, do: func(s *stage) {
			s.ring()
			s.desk.say(signal.Stop, "c1", "a")
			s.vanish()
			s.rest()
		}},
		{name: "the stop of an active call", rule: vanished, do: func(s *stage) {
			s.answer()
			s.phone.say(signal.Stop, "c1", "a")
			s.vanish()
			s.rest()
		}},
		{name: "an accept", rule: vanished, do: func(s *stage) {
			s.ring()
			s.phone.say(signal.Accept, "c1", "a")
			s.vanish()
			s.rest()
		}},
		{name: "a candidate", rule: vanished, do: func(s *stage) {
			s.answer()
			s.desk.say(signal.Candidate, "c1", "a")
			s.vanish()
			s.rest()
		}},
		{name: "a start that is refused in silence", rule: vanished, do: func(s *stage) {
			s.whole()
			s.pass(time.Second)
			s.desk.say(signal.Start, "c1", "a")
			s.vanish()
		}},
		{name: "a message of nobody on the route", rule: vanished, do: func(s *stage) {
			s.whole()
			s.app.say(signal.Stop, "c1", "a")
			s.vanish()
		}},
		{name: "a start to a proxy written by hand", rule: vanished, do: func(s *stage) {
			s.desk.send(signal.Start, relay, "d1", "x", nil)
			s.vanish()
		}},
		{name: "half a batch, the start", rule: "decided and not said", also: []Kind{Disordered}, do: func(s *stage) {
			s.desk.say(signal.Start, "c1", "a")
			s.route(0, false)
			s.drop(subjects.Inbox(customer, "start"), false)
			s.inboxes[customer] = nil
			s.rest()
		}},
		{name: "half a batch, a stop of two", rule: "decided and not said", also: []Kind{Split}, do: func(s *stage) {
			s.ring()
			s.pass(2 * time.Minute)
			s.drop(subjects.Inbox(operator, "stop"), true)
			s.inboxes[operator] = s.inboxes[operator][:1]
			s.rest()
		}},
		{name: "half a batch, a candidate", rule: "decided and not said", do: func(s *stage) {
			s.answer()
			s.desk.say(signal.Candidate, "c1", "a")
			s.route(0, false)
			s.drop(subjects.Inbox(customer, "candidate"), true)
			s.inboxes[customer] = s.inboxes[customer][:len(s.inboxes[customer])-1]
			s.rest()
		}},
		{name: "half a batch, an error", rule: "refused and not said", also: []Kind{Split}, do: func(s *stage) {
			s.whole()
			s.desk.say(signal.Start, "c1", "a")
			s.route(0, false)
			s.drop(subjects.Inbox(operator, "error"), true)
			s.inboxes[operator] = s.inboxes[operator][:0]
			s.desk.seen = 0
		}},
		{name: "an accept that its handler never saw", rule: "stored and not heard", do: func(s *stage) {
			s.ring()
			s.phone.say(signal.Accept, "c1", "a")
			s.route(0, false)
			s.desk.seen++
			s.rest()
		}},
		{name: "a message to an app that none of its processes saw", rule: "stored and not heard", do: func(s *stage) {
			s.desk.send(signal.Busy, relay, "d1", "x", nil)
			s.route(0, false)
			s.app.seen++
		}},
		{name: "a message sent again after no answer", rule: vanished, do: func(s *stage) {
			s.desk.say(signal.Start, "c1", "a")
			s.vanish()
		}, edit: func(h *history.History) {
			first := h.Sends[0]
			first.Outcome = history.Outcome{Error: "no answer"}
			h.Sends = append([]history.Send{first}, h.Sends...)
		}},
	})
}

func TestFindsDuplicated(t *testing.T) {
	const twice, stored, decided = "handled twice", "stored twice", "said more often"
	again := func(d *device) { // the last letter once more
		d.seen--
		d.hear()
	}
	findAll(t, Duplicated, []plant{
		{name: "a handler called twice", rule: twice, do: func(s *stage) {
			s.ring()
			again(s.phone)
			s.rest()
		}},
		{name: "a stop handled twice", rule: twice, do: func(s *stage) {
			s.whole()
			again(s.pad)
		}},
		{name: "an app whose handler had returned", rule: twice, do: func(s *stage) {
			s.desk.send(signal.Busy, relay, "d1", "x", nil)
			s.settle()
			again(s.app.device)
		}},
		{name: "one message under two sequences", rule: stored, do: func(s *stage) {
			s.ring()
			l := s.inboxes[customer][0]
			s.put(l.Subject, l.Data)
			s.rest()
		}},
		{name: "an accept said twice", rule: decided, also: []Kind{Disordered}, do: func(s *stage) {
			s.answer()
			s.letterTo(operator, signal.Message{Type: signal.Accept, JTI: "other", CallID: "a"})
			s.settle()
			s.desk.say(signal.Stop, "c1", "a")
			s.rest()
		}},
		{name: "a candidate applied twice", rule: "two transitions", do: func(s *stage) {
			s.answer()
			s.desk.say(signal.Candidate, "c1", "a")
			s.route(0, true)
			s.forget("c1")
			s.flight[0].e.Seq++ // stored twice in VOICE_IN
			s.rest()
		}},
		{name: "an update applied twice, far apart", rule: "two transitions", do: func(s *stage) {
			s.answer()
			s.phone.say(signal.Update, "c1", "a")
			s.route(0, true)
			lagging := s.flight
			s.flight = nil
			s.desk.say(signal.Candidate, "c1", "a")
			s.settle()
			s.forget("c1")
			lagging[0].e.Seq += 10
			s.flight = lagging
			s.rest()
		}},
		{name: "a stop passed on twice in direct mode", rule: "two transitions", do: func(s *stage) {
			s.desk.send(signal.Stop, relay, "d1", "x", nil)
			s.route(0, true)
			s.forget(subjects.DirectKey("d1", operator, relay))
			s.rest()
		}},
	})
}

// TestOvertaken: under a fault a client may drop what the end of a call has made
// moot. Without one it may not.
func TestOvertaken(t *testing.T) {
	for _, faulty := range []bool{true, false} {
		s := newStage(t)
		s.ring()
		if faulty {
			s.rec.Fault(history.Fault{Kind: "partition"})("healed")
		}
		s.desk.say(signal.Candidate, "c1", "a")
		s.desk.say(signal.Stop, "c1", "a")
		s.route(0, false)
		s.route(0, false)
		s.pad.seen++ // the candidate is lost live, and comes behind the stop
		s.rest()
		r := s.check(s.history())
		if r.Clean() != faulty || (r.Overtaken == 1) != faulty || !faulty && r.Counts()[Lost] != 1 {
			t.Errorf("fault %t: %s, %d overtaken: %v", faulty, r, r.Overtaken, r.Findings)
		}
	}
}

// TestToleratesAppHandlers: an app's handler that was killed half way or returned
// an error is called again, and another process may be called with what the first
// had handled.
func TestToleratesAppHandlers(t *testing.T) {
	for name, first := range map[string]func(h *history.Heard, p *history.Process){
		"killed half way":   func(h *history.Heard, p *history.Process) { h.Returned, p.Killed = time.Time{}, true },
		"returned an error": func(h *history.Heard, _ *history.Process) { h.Error = "not now" },
		"another process":   func(h *history.Heard, _ *history.Process) { h.Process = "other" },
	} {
		s := newStage(t)
		s.desk.send(signal.Busy, relay, "d1", "x", nil)
		s.settle()
		s.app.seen--
		s.settle()
		h := s.history()
		for i := range h.Processes {
			if p := &h.Processes[i]; p.ID == s.app.id {
				first(&h.Heard[0], p)
			}
		}
		h.Processes = append(h.Processes, history.Process{ID: "other", Self: relay, App: true, Began: h.Processes[0].Began})
		if r := s.check(h); !r.Clean() {
			t.Errorf("%s: %v", name, r.Findings)
		}
	}
}

func TestFindsDisorderedHandlers(t *testing.T) {
	const saw = "a handler saw"
	swap := func(d *device, n int) { // the last two of n letters in the other order
		d.seen = n - 1
		d.hear()
		d.seen = n - 2
		d.hear()
		d.seen = n
	}
	findAll(t, Disordered, []plant{
		{name: "a start after its stop", rule: saw, do: func(s *stage) {
			s.desk.say(signal.Start, "c1", "a")
			s.desk.say(signal.Stop, "c1", "a")
			s.route(0, false)
			s.route(0, false)
			swap(s.phone, 2)
			s.rest()
		}},
		{name: "an accept before the start", rule: saw, also: []Kind{Lost}, do: func(s *stage) {
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
	})
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
