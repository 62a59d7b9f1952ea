package checker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// stage is a run into which a defect is planted.
type stage struct {
	*sim
	desk, phone, pad *device // of the operator; of the customer
	app              *bridge
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := newSim(t)
	s.conversation(history.Conversation{CID: "c1", Start: call.StartBoth})
	s.conversation(history.Conversation{CID: "d1", Mode: call.Direct, Proxy: relay})
	return &stage{
		sim: s, desk: s.device(operator, "desk", false),
		phone: s.device(customer, "phone", false), pad: s.device(customer, "pad", false), app: newRelay(s),
	}
}

// ring starts call a, which rings at the phone.
func (s *stage) ring() {
	s.desk.say(signal.Start, "c1", "a")
	s.settle()
	s.phone.say(signal.Ringing, "c1", "a")
	s.settle()
}

// answer has the phone take the call.
func (s *stage) answer() {
	s.ring()
	s.phone.say(signal.Accept, "c1", "a")
	s.settle()
}

// whole is a call from start to end.
func (s *stage) whole() {
	s.answer()
	s.desk.say(signal.Candidate, "c1", "a")
	s.phone.say(signal.Update, "c1", "a")
	s.settle()
	s.desk.say(signal.Stop, "c1", "a")
	s.settle()
}

// vanish has the routers acknowledge what is in flight, and do nothing.
func (s *stage) vanish() {
	s.flight = nil
	s.settle()
}

// drop removes the stored messages with a subject, the last of them if last is set.
func (s *sim) drop(subject string, last bool) {
	matches := func(m Message) bool { return m.Subject == subject }
	if !last {
		s.stored = slices.DeleteFunc(s.stored, matches)
		return
	}
	for i, m := range slices.Backward(s.stored) {
		if matches(m) {
			s.stored = slices.Delete(s.stored, i, i+1)
			return
		}
	}
}

// letterTo writes a letter from the proxy into an inbox.
func (s *sim) letterTo(to string, m signal.Message) {
	m.Issuer, m.Recipient, m.CID = identity.MustID(proxy), identity.MustID(to), "c1"
	m.IssuedAt, m.ExpiresAt = s.now, s.now.Add(time.Hour)
	payload, err := m.Encode()
	if err != nil {
		s.t.Fatalf("encode: %v", err)
	}
	s.put(subjects.Inbox(to, string(m.Type)), s.key.Sign(payload))
}

// write stores a version of the record that change makes of the last one.
func (s *sim) write(key string, change func(*call.State)) {
	s.tick()
	next := *s.states[key]
	next.Past, next.Parties = slices.Clone(next.Past), slices.Clone(next.Parties)
	next.Last = call.Last{Type: call.LastForcedEnd, From: identity.Router, CallID: next.CallID, At: s.now}
	change(&next)
	data, err := next.Encode()
	if err != nil {
		s.t.Fatalf("record: %v", err)
	}
	s.states[key] = &next
	s.put(subjects.State(key), data)
}

// amend changes the last version of the record where it stands.
func (s *sim) amend(key string, change func(*call.State)) {
	next := *s.states[key]
	change(&next)
	data, err := next.Encode()
	if err != nil {
		s.t.Fatalf("record: %v", err)
	}
	for i, m := range slices.Backward(s.stored) {
		if m.Subject == subjects.State(key) {
			s.stored[i].Data = data
			return
		}
	}
}

// forget empties the list of applied messages of a record.
func (s *sim) forget(key string) {
	next := *s.states[key]
	next.Applied = nil
	s.states[key] = &next
}

// hears has a handler called with a letter that nobody stored.
func (d *device) hears(typ signal.Type, callID string, reason signal.Reason) {
	d.n++
	d.s.tick()
	d.heard(letter{typ: typ, cid: "c1", callID: callID, from: proxy, reason: reason, jti: "x" + d.id + string(rune('a'+d.n)), seq: d.s.out, at: d.s.now})(nil)
}

// plant is one defect: what it is, and the findings that it must lead to.
type plant struct {
	name string
	// rule is a part of the rule of a finding of the kind of this table.
	rule string
	// also are other kinds that the same defect amounts to.
	also []Kind
	do   func(s *stage)
	// edit changes the history after the run.
	edit func(h *history.History)
}

// findAll plants each defect in a run of its own. The checker must find it, and
// nothing of any other kind.
func findAll(t *testing.T, kind Kind, plants []plant) {
	t.Helper()
	for _, p := range plants {
		t.Run(strings.ReplaceAll(p.name, " ", "-"), func(t *testing.T) {
			s := newStage(t)
			p.do(s)
			h := s.history()
			if p.edit != nil {
				p.edit(h)
			}
			r := s.check(h)
			found := slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind == kind && strings.Contains(f.Rule, p.rule) })
			if !found {
				t.Errorf("want %s: %s, got %s\n%v\n%s", kind, p.rule, r, r.Findings, s.log)
			}
			for _, f := range r.Findings {
				if f.Kind != kind && !slices.Contains(p.also, f.Kind) {
					t.Errorf("found besides: %s", f)
				}
			}
		})
	}
}

// TestScriptsAreClean: what the defects are planted into has none.
func TestScriptsAreClean(t *testing.T) {
	for name, script := range map[string]func(*stage){
		"whole": (*stage).whole, "unanswered": (*stage).ring, "active": (*stage).answer, "relayed": (*stage).relayed,
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			script(s)
			s.restWith(s.app)
			if r := s.check(s.history()); !r.Clean() || len(r.Notes) > 0 {
				t.Errorf("%s\n%v\n%v\n%s", r, r.Findings, r.Notes, s.log)
			}
		})
	}
}

// relayed is a call through a proxy written by hand.
func (s *stage) relayed() {
	for _, step := range []struct {
		who *device
		typ signal.Type
	}{{s.desk, signal.Start}, {s.phone, signal.Accept}, {s.desk, signal.Stop}} {
		step.who.send(step.typ, relay, "d1", "x", nil)
		s.restWith(s.app)
	}
}
