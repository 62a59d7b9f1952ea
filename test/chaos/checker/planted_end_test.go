package checker

import (
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

func TestFindsSplit(t *testing.T) {
	const rule = "do not agree"
	// instead replaces the last stop in an inbox before it is heard.
	instead := func(s *stage, to string, m signal.Message) {
		s.drop(subjects.Inbox(to, "stop"), true)
		s.inboxes[to] = s.inboxes[to][:len(s.inboxes[to])-1]
		m.Type, m.JTI, m.CallID = signal.Stop, "instead", "a"
		s.letterTo(to, m)
	}
	findAll(t, Split, []plant{
		{name: "told another reason", rule: rule, do: func(s *stage) {
			s.ring()
			s.desk.say(signal.Stop, "c1", "a")
			s.route(0, false)
			instead(s, customer, signal.Message{Reason: signal.NoAnswer})
			s.rest()
		}},
		{name: "the sides told different reasons", rule: rule, do: func(s *stage) {
			s.ring()
			s.pass(2 * time.Minute)
			instead(s, customer, signal.Message{Reason: signal.Cancelled})
			s.rest()
		}},
		{name: "one side is not told", rule: rule, also: []Kind{Lost}, do: func(s *stage) {
			s.answer()
			s.phone.say(signal.Stop, "c1", "a")
			s.route(0, false)
			s.drop(subjects.Inbox(operator, "stop"), true)
			s.inboxes[operator] = s.inboxes[operator][:len(s.inboxes[operator])-1]
			s.rest()
		}},
		{name: "a handler heard another reason", rule: rule, do: func(s *stage) { s.whole() }, edit: func(h *history.History) {
			for i := range h.Heard {
				if h.Heard[i].Type == signal.Stop {
					h.Heard[i].Reason = signal.Declined
				}
			}
		}},
		{name: "told of an end that is in no record", rule: rule, also: []Kind{Lost, Leaked, Disordered}, do: func(s *stage) {
			s.answer()
			s.letterTo(operator, signal.Message{Type: signal.Stop, JTI: "s1", CallID: "a", Reason: signal.Hangup})
			s.letterTo(customer, signal.Message{Type: signal.Stop, JTI: "s2", CallID: "a", Reason: signal.Hangup})
			s.settle()
		}},
		{name: "busy told as stop", rule: rule, also: []Kind{Lost}, do: func(s *stage) {
			s.ring()
			s.phone.say(signal.Busy, "c1", "a")
			s.route(0, false)
			s.drop(subjects.Inbox(operator, "busy"), true)
			s.inboxes[operator] = s.inboxes[operator][:len(s.inboxes[operator])-1]
			s.letterTo(operator, signal.Message{Type: signal.Stop, JTI: "s1", CallID: "a", Reason: signal.Declined})
			s.rest()
		}},
		{name: "told another reason, and nobody heard it", rule: rule, also: []Kind{Lost}, do: func(s *stage) {
			s.ring()
			s.desk.say(signal.Stop, "c1", "a")
			s.route(0, false)
			instead(s, customer, signal.Message{Reason: signal.NoAnswer})
		}},
		{name: "told of an end that is in no record, and nobody heard it", rule: rule, also: []Kind{Lost}, do: func(s *stage) {
			s.answer()
			s.letterTo(operator, signal.Message{Type: signal.Stop, JTI: "s1", CallID: "a", Reason: signal.Hangup})
		}},
		{name: "a proxy written by hand keeps a stop to itself", rule: rule, do: func(s *stage) {
			s.desk.send(signal.Start, relay, "d1", "x", nil)
			s.restWith(s.app)
			s.desk.send(signal.Stop, relay, "d1", "x", nil)
			s.rest()
		}},
	})
}

func TestFindsStuck(t *testing.T) {
	const rule = "outlived its timer"
	lose := func(s *stage) { // the timer of c1
		delete(s.timers, "c1")
		delete(s.armed, "c1")
	}
	late := func(s *stage, by time.Duration) { // it fires, late
		timer := s.timers["c1"]
		lose(s)
		s.now = timer.At.Add(by)
		s.timers["c1"] = timer
		s.fire("c1")
		s.rest()
	}
	findAll(t, Stuck, []plant{
		{name: "rings for ever", rule: rule, do: func(s *stage) {
			s.ring()
			lose(s)
			s.pass(10 * time.Minute)
		}},
		{name: "active for ever", rule: rule, do: func(s *stage) {
			s.answer()
			lose(s)
			s.pass(5 * time.Hour)
		}},
		{name: "ended late", rule: rule, do: func(s *stage) {
			s.ring()
			late(s, 6*time.Second)
		}},
		{name: "ended long after a fault", rule: rule, do: func(s *stage) {
			s.ring()
			s.pass(50 * time.Second)
			s.rec.Fault(history.Fault{Kind: "worker-kill"})("mended")
			late(s, 20*time.Second)
		}},
		{name: "answered long after it should have timed out", rule: rule, do: func(s *stage) {
			s.ring()
			lose(s)
			s.pass(2 * time.Minute)
			s.phone.say(signal.Accept, "c1", "a")
			s.rest()
		}},
	})
}

// TestFaultsStopTheClock: what a fault delayed is not stuck.
func TestFaultsStopTheClock(t *testing.T) {
	for name, fault := range map[string]func(s *stage){
		"of half a minute": func(s *stage) {
			mend := s.rec.Fault(history.Fault{Kind: "server-stop"})
			s.pass(30 * time.Second)
			mend("started")
			s.pass(8 * time.Second) // 28 s late
		},
		"of a moment": func(s *stage) {
			s.rec.Fault(history.Fault{Kind: "step-down"})
			s.pass(13 * time.Second) // 8 s late
		},
		"one after the other": func(s *stage) {
			for range 3 {
				s.rec.Fault(history.Fault{Kind: "step-down"})("")
				s.pass(9 * time.Second)
			}
		},
	} {
		s := newStage(t)
		s.ring()
		s.pass(55 * time.Second)
		timer := s.timers["c1"]
		delete(s.timers, "c1")
		fault(s)
		s.timers["c1"] = timer
		s.fire("c1")
		s.rest()
		if r := s.check(s.history()); !r.Clean() {
			t.Errorf("%s: %v", name, r.Findings)
		}
	}
}

func TestFindsLeaked(t *testing.T) {
	const naming = "names the other side"
	findAll(t, Leaked, []plant{
		{name: "in data", rule: naming, do: func(s *stage) {
			s.answer()
			s.desk.send(signal.Update, proxy, "c1", "a", func(m *signal.Message) { m.Data = object("media", operator) })
			s.rest()
		}},
		{name: "in peer_info", rule: naming, do: func(s *stage) {
			s.desk.send(signal.Start, proxy, "c1", "a", func(m *signal.Message) { m.PeerInfo = "o=" + operator + " 1 1" })
			s.rest()
		}},
		{name: "in a header", rule: naming, do: func(s *stage) {
			s.ring()
			s.stored[1].Header = map[string][]string{"Nats-Msg-Id": {operator + ".j1"}}
			s.rest()
		}},
		{name: "in the name of a header", rule: naming, do: func(s *stage) {
			s.ring()
			s.stored[1].Header = map[string][]string{"Of-" + operator: {""}}
			s.rest()
		}},
		{name: "in the protected header", rule: naming, do: func(s *stage) {
			key, err := identity.GenerateKey(operator)
			if err != nil {
				t.Fatal(err)
			}
			s.key = key
			s.ring()
			s.rest()
		}},
		{name: "by a proxy written by hand", rule: naming, do: func(s *stage) {
			s.app.send(signal.Start, customer, "d1", "x", func(m *signal.Message) { m.Data = object("operator", operator) })
			s.rest()
		}},
		{name: "a timer of a call that is over", rule: "a timer of a call", do: func(s *stage) {
			s.ring()
			kept := s.armed["c1"]
			s.desk.say(signal.Stop, "c1", "a")
			s.rest()
			s.armed["c1"] = kept
		}},
		{name: "a timer that was replaced", rule: "a timer that has been replaced", do: func(s *stage) {
			s.ring()
			kept := s.armed["c1"]
			s.phone.say(signal.Accept, "c1", "a")
			s.settle()
			s.armed["c1"] = kept
		}},
		{name: "an unacknowledged message", rule: "nobody acknowledged", do: func(s *stage) {
			s.left.Consumers = []Consumer{{Name: "router", Unacked: 1}}
		}},
		{name: "an undelivered timeout", rule: "nobody acknowledged", do: func(s *stage) {
			s.left.Consumers = []Consumer{{Name: "router"}, {Name: "timeouts", Pending: 2}}
		}},
		{name: "a consumer", rule: "nobody uses", do: func(s *stage) { s.left.Strangers = []string{"nK3x"} }},
		{name: "a message in the inbound stream", rule: "no router took", do: func(s *stage) { s.left.Waiting = 1 }},
		{name: "goroutines", rule: "a resource that grew", do: func(s *stage) {
			s.left.Resources = []Resource{{Name: "go_goroutines", Before: 100, After: 151, Slack: 50}}
		}},
	})
}

// TestRestIsNoLeak: what is within bounds is not reported.
func TestRestIsNoLeak(t *testing.T) {
	s := newStage(t)
	s.answer() // the duration timer stands, and the call goes on
	s.left = Leftovers{Consumers: []Consumer{{Name: "router"}}, Resources: []Resource{{Name: "go_goroutines", Before: 100, After: 150, Slack: 50}}}
	if r := s.check(s.history()); !r.Clean() || len(r.Live) != 1 {
		t.Errorf("%v, live %v", r.Findings, r.Live)
	}
}
