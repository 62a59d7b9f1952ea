package checker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// The records between which the transitions of TestForbidden lead.
var (
	opID, cuID = identity.MustID(operator), identity.MustID(customer)
	t0         = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
)

func none() *call.State { return &call.State{Phase: call.None} }

func ringing() *call.State {
	return &call.State{
		Phase: call.Ringing, CID: "c1", CallID: "k", Caller: opID, CallerParty: "desk", Operator: opID, Customer: cuID,
		Proxy: identity.MustID(proxy), Parties: []call.Party{{Name: "phone"}}, Epoch: 1,
		Last: call.Last{Type: "start", From: opID, CallID: "k", At: t0},
	}
}

func active() *call.State {
	s := ringing()
	s.Phase, s.Winner, s.AnsweredAt, s.Epoch = call.Active, "phone", t0, 2
	s.Last = call.Last{Type: "accept", From: cuID, Party: "phone", CallID: "k", At: t0}
	return s
}

// over ends a call by a message.
func over(s *call.State, typ string, from identity.ID, device string, reason signal.Reason) *call.State {
	s.Phase, s.Reason, s.EndedBy = call.Ended, reason, from
	s.Past = append(s.Past, call.PastCall{CallID: s.CallID, Reason: reason, At: t0})
	s.Last = call.Last{Type: typ, From: from, Party: device, CallID: s.CallID, At: t0}
	return s
}

// TestForbidden: each transition is legal, and what is done to it is not.
func TestForbidden(t *testing.T) {
	declined := func() *call.State { return over(ringing(), "stop", cuID, "phone", signal.Declined) }
	hangup := func() *call.State { return over(active(), "stop", opID, "desk", signal.Hangup) }
	busy := func() *call.State { return over(ringing(), "busy", cuID, "phone", signal.BusyHere) }
	timeout := func() *call.State { return over(ringing(), "timeout", identity.Router, "", signal.NoAnswer) }
	again := func() *call.State {
		s := ringing()
		s.Last = call.Last{Type: "candidate", From: opID, CallID: "k", At: t0}
		return s
	}
	crossing := func() *call.State { // the customer's lesser call_id replaces the operator's
		s := ringing()
		s.CallID, s.Caller, s.Epoch = "a", cuID, 2
		s.Past = []call.PastCall{{CallID: "k", Reason: signal.Glare, ReplacedBy: "a", At: t0}}
		s.Last = call.Last{Type: "start", From: cuID, CallID: "a", At: t0}
		return s
	}
	for _, test := range []struct {
		p, n  func() *call.State
		fault string
		do    func(p, n *call.State)
	}{
		{none, ringing, "without a start", func(_, n *call.State) { n.Last.Type = "candidate" }},
		{none, ringing, "without a start", func(_, n *call.State) { n.Last.Code = signal.CodeForbidden }},
		{none, ringing, "not the one that was started", func(_, n *call.State) { n.Last.From = cuID }},
		{none, ringing, "not the one that was started", func(_, n *call.State) { n.Last.CallID = "other" }},
		{active, crossing, "replaced an active call", func(_, n *call.State) { n.Epoch = 3 }},
		{declined, ringing, "for the second time", func(p, n *call.State) { n.Past, p.CallID, n.Epoch = p.Past, "j", 2 }},
		{ringing, crossing, "same side replaced", func(_, n *call.State) { n.Caller, n.Last.From = opID, opID }},
		{ringing, crossing, "greater call_id", func(_, n *call.State) { n.CallID, n.Last.CallID = "z", "z" }},
		{ringing, active, "another call without", func(_, n *call.State) { n.CallID = "other" }},
		{none, active, "another call without", func(_, _ *call.State) {}},
		{ringing, active, "without an accept", func(_, n *call.State) { n.Last.Type = "ringing" }},
		{ringing, active, "somebody else than the callee", func(_, n *call.State) { n.Last.From = opID }},
		{ringing, active, "another device won", func(_, n *call.State) { n.Winner = "pad" }},
		{ringing, busy, "busy ended", func(_, n *call.State) { n.Last.From, n.EndedBy = opID, opID }},
		{active, busy, "busy ended", func(_, n *call.State) { n.Epoch = 2 }},
		{active, hangup, "takes no part", func(_, n *call.State) { n.Last.Party = "lap" }},
		{active, hangup, "takes no part", func(_, n *call.State) { n.Last.From, n.Last.Party, n.EndedBy = cuID, "pad", cuID }},
		{ringing, declined, "ends no call", func(_, n *call.State) { n.Last.Type = "candidate" }},
		{ringing, declined, "was refused", func(_, n *call.State) { n.Last.Code = signal.CodeWrongRole }},
		{ringing, declined, "want reason declined", func(_, n *call.State) { n.Reason = "tired" }},
		{ringing, declined, "ended by 1111111111", func(_, n *call.State) { n.EndedBy = opID }},
		{ringing, busy, "want reason busy", func(_, n *call.State) { n.Reason = signal.Declined }},
		{ringing, timeout, "want reason no_answer", func(_, n *call.State) { n.Reason = signal.MaxDuration }},
		{ringing, timeout, "ended by router", func(_, n *call.State) { n.EndedBy = cuID }},
		{ringing, again, "the end of a call changed", func(_, n *call.State) { n.Reason = signal.Hangup }},
		{ringing, again, "the answer of a call changed", func(_, n *call.State) { n.Winner = "pad" }},
		{ringing, again, "the sides of a call changed", func(_, n *call.State) { n.Proxy = identity.MustID("other") }},
		{ringing, again, "a device that rang was forgotten", func(_, n *call.State) { n.Parties = nil }},
		{ringing, again, "epoch of the timer went back", func(p, _ *call.State) { p.Epoch = 2 }},
		{ringing, declined, "is not remembered", func(_, n *call.State) { n.Past = nil }},
		{declined, declined, "forgotten too early", func(_, n *call.State) { n.Past = nil }},
		{declined, declined, "reason of a past call changed", func(_, n *call.State) { n.Past[0].Reason = signal.BusyHere }},
		{declined, active, "no row leads", func(p, n *call.State) { n.Past, p.Winner = p.Past, "phone" }},
	} {
		p, n := test.p(), test.n()
		test.do(p, n)
		if _, fault := forbidden(p, n); !strings.Contains(fault, test.fault) {
			t.Errorf("%s, then %s %s: got %q, want %q", describe(p), n.Last.Type, describe(n), fault, test.fault)
		}
	}
	for _, legal := range [][2]*call.State{
		{none(), ringing()},
		{ringing(), active()},
		{ringing(), declined()},
		{active(), hangup()},
		{ringing(), busy()},
		{ringing(), timeout()},
		{ringing(), again()},
		{ringing(), crossing()},
		{declined(), declined()},
	} {
		if _, fault := forbidden(legal[0], legal[1]); fault != "" {
			t.Errorf("%s, then %s %s: got %q", describe(legal[0]), legal[1].Last.Type, describe(legal[1]), fault)
		}
	}
}

// TestRowsAreNamed: what is passed over in silence can be looked up.
func TestRowsAreNamed(t *testing.T) {
	rows := []string{"C8", "C10", "R3", "R4", "A1", "A4", "A5", "E5"}
	s := active()
	m := &message{}
	m.From, m.CallID, m.Type, m.Party = customer, "k", signal.Busy, "phone"
	if row, ok := nothing(s, m, "c1"); !ok || !slices.Contains(rows, row) {
		t.Errorf("got %q, %t", row, ok)
	}
}
