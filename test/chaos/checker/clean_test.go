package checker

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// TestSilentOnClean: whatever endpoints send, in whatever order routers see it and
// however often, a fleet that keeps the law leaves nothing to find.
func TestSilentOnClean(t *testing.T) {
	rows := map[string]int{}
	calls, transitions := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(t)
		start := rapid.SampledFrom([]call.StartSide{call.StartOperator, call.StartBoth, call.StartBoth}).Draw(t, "start")
		s.conversation(history.Conversation{CID: "c1", Start: start, MaskCallID: rapid.Bool().Draw(t, "masks")})
		s.conversation(history.Conversation{CID: "d1", Mode: call.Direct, Proxy: relay})
		cast := []*device{
			s.device(operator, "desk", false), s.device(operator, "lap", false),
			s.device(customer, "", false), s.device(customer, "phone", false), s.device(customer, "pad", false),
		}
		app := newRelay(s)
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			act(t, s, cast, app)
		}
		s.restWith(app)
		r := s.check(s.history())
		if !r.Clean() {
			t.Fatalf("%s:\n%v\n%s", r, r.Findings, s.log)
		}
		for row, n := range s.rows {
			rows[row] += n
		}
		calls, transitions = calls+r.Calls, transitions+r.Transitions
	})
	// Of R3 R4 A1 A4 A5 E5 C8: whichever the dice leave out, never most of them.
	// -short takes too few dice to say.
	if !testing.Short() && (len(rows) < 4 || calls < 50 || transitions < 500) {
		t.Errorf("rows %v, %d calls, %d transitions: the simulation is too tame", rows, calls, transitions)
	}
}

// act is one thing that happens.
func act(t *rapid.T, s *sim, cast []*device, app *bridge) {
	switch rapid.IntRange(0, 9).Draw(t, "act") {
	case 0, 1, 2:
		d := rapid.SampledFrom(cast).Draw(t, "who")
		typ := rapid.SampledFrom(signal.Types()[1:9]).Draw(t, "type")
		ids := []string{"a", "b", "c", "d"}
		if now := s.states["c1"]; now.Live() { // mostly about what goes on
			id := knownAs("c1", now.CallID, now.Caller.String(), d.who, now.MaskCallID)
			ids = append(ids, id, id, id, id)
		}
		if typ == signal.Start { // nobody uses the call_ids of somebody else
			ids = map[string][]string{operator: {"a", "c"}, customer: {"b", "d"}}[d.who]
		}
		d.send(
			typ, proxy, "c1", rapid.SampledFrom(ids).Draw(t, "call_id"),
			func(m *signal.Message) {
				if typ == signal.Start && rapid.IntRange(0, 3).Draw(t, "other offer") == 0 {
					m.PeerInfo = "other"
				}
				m.Reason = rapid.SampledFrom([]signal.Reason{"", signal.ICEFailed, "tired"}).Draw(t, "reason")
			},
		)
	case 3:
		if d := rapid.SampledFrom(cast).Draw(t, "who"); d.seen < len(s.inboxes[d.who]) {
			answer(t, d)
		}
	case 4, 5, 6:
		if n := len(s.flight); n > 0 {
			s.route(rapid.IntRange(0, n-1).Draw(t, "which"), rapid.IntRange(0, 4).Draw(t, "dies") == 0)
		}
	case 7:
		s.pass(time.Duration(rapid.IntRange(0, 70).Draw(t, "seconds")) * time.Second)
	case 8:
		d := rapid.SampledFrom(cast).Draw(t, "who")
		d.send(
			rapid.SampledFrom([]signal.Type{signal.Start, signal.Accept, signal.Busy, signal.Stop}).Draw(t, "type"), relay, "d1",
			rapid.SampledFrom([]string{"x", "y"}).Draw(t, "call_id"), nil,
		)
	case 9:
		app.work()
	}
}

// answer hears a message and reacts as a phone would.
func answer(t *rapid.T, d *device) {
	l, _ := d.hear()
	if l.cid != "c1" || l.typ != signal.Start && l.typ != signal.Accept {
		return
	}
	d.say(rapid.SampledFrom([]signal.Type{
		signal.Ringing, signal.Accept, signal.Accept, signal.Busy, signal.Stop, signal.Candidate, signal.Update,
	}).Draw(t, "answer"), "c1", l.callID)
}

// bridge is a proxy written by hand, which passes on what it hears.
type bridge struct{ *device }

func newRelay(s *sim) *bridge { return &bridge{s.device(relay, "", true)} }

// work handles one message, under a jti made of the one that it handles.
func (b *bridge) work() bool {
	l, ok := b.hear()
	if !ok || l.cid != "d1" || l.typ == signal.Error {
		return ok
	}
	to := customer
	if l.from == customer {
		to = operator
	}
	b.send(l.typ, to, l.cid, l.callID, func(m *signal.Message) { m.JTI = "via-" + digest(12, l.from, l.jti) })
	return true
}

// restWith lets a run come to rest that has a relay in it.
func (s *sim) restWith(b *bridge) {
	for more := true; more; more = len(s.flight) > 0 {
		for len(s.flight) > 0 {
			s.route(0, false)
		}
		for b.work() {
		}
	}
	s.rest()
}

// TestReport: the counts can be read, and every kind is there.
func TestReport(t *testing.T) {
	r := &Report{}
	if got, want := r.String(), "0 lost, 0 duplicated, 0 disordered, 0 split, 0 stuck, 0 leaked"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.add(Finding{Kind: Split, Rule: "x", CID: "c", At: time.Unix(0, 0)})
	if got, want := fmt.Sprint(r.Counts()[Split], r.Clean(), r.Findings[0]), "1 false split: x: cid=c at=1970-01-01T00:00:00Z"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
