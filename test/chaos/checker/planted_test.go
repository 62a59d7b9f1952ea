package checker

import (
	"testing"
	"time"

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
		{name: "a stop that its handler never saw, before all were closed", rule: "stored and not heard", do: func(s *stage) {
			s.answer()
			s.desk.say(signal.Stop, "c1", "a")
			s.route(0, false)
			s.pad.seen++
			s.rest()
			for _, d := range s.devices {
				s.tick()
				d.end(false)
			}
		}},
		{name: "a message to an app that none of its processes saw", rule: "stored and not heard", do: func(s *stage) {
			s.desk.send(signal.Busy, relay, "d1", "x", nil)
			s.route(0, false)
			s.app.seen++
		}},
		{name: "a message that a record in direct mode passed on", rule: "decided and not said", do: func(s *stage) {
			s.desk.send(signal.Busy, relay, "d1", "x", nil)
			s.route(0, false)
			s.drop(subjects.Inbox(relay, "busy"), true)
			s.inboxes[relay] = nil
		}},
		{name: "a stored message that is gone again", rule: "heard and no longer stored", do: func(s *stage) {
			s.whole()
			s.drop(subjects.Inbox(operator, "ringing"), true)
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

// TestColdStart: a process that began in the middle of a run is not told of calls
// that end before its first message, however late the answer comes; of all others
// it is.
func TestColdStart(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(s *stage, late *device)
		lost int
	}{
		"ended before the answer": {func(s *stage, late *device) {
			s.pass(15 * time.Second)
			s.desk.say(signal.Stop, "c1", "a")
			s.route(0, false)
			s.pass(30 * time.Second)
			late.seen = len(s.inboxes[customer]) // all of it is over
			s.desk.say(signal.Start, "c1", "b")
			s.route(0, false)
			late.hear()
		}, 0},
		"ended behind the answer": {func(s *stage, late *device) {
			late.hear() // the start of a
			s.pass(30 * time.Second)
			s.desk.say(signal.Stop, "c1", "a")
			s.route(0, false)
			late.seen = len(s.inboxes[customer])
		}, 1},
	} {
		s := newStage(t)
		s.ring()
		mend := s.rec.Fault(history.Fault{Kind: "server-stop"})
		late := s.device(customer, "tab", false)
		late.seen = 0
		test.do(s, late)
		mend("")
		s.rest()
		if r := s.check(s.history()); r.Counts()[Lost] != test.lost || r.Clean() != (test.lost == 0) {
			t.Errorf("%s: %s: %v", name, r, r.Findings)
		}
	}
}

// TestToleratesErrorsSaidAgain: what no record remembers may be said twice.
func TestToleratesErrorsSaidAgain(t *testing.T) {
	s := newStage(t)
	s.app.say(signal.Stop, "c1", "a") // a stranger
	s.route(0, true)
	s.rest()
	if n := len(s.inboxes[relay]); n != 2 {
		t.Fatalf("%d letters, want the error twice", n)
	}
	s.app.seen = 1 // the second is dropped, by its jti
	h := s.history()
	h.Heard = h.Heard[:1]
	if r := s.check(h); !r.Clean() {
		t.Errorf("%v", r.Findings)
	}
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
