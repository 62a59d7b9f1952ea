package checker

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// until is when every message up to the sequence of m is known to be acknowledged
// by the routers.
func (w *world) until(m *message) time.Time {
	i, _ := slices.BinarySearchFunc(w.floors, m.seq, func(f history.Floor, seq uint64) int { return cmp.Compare(f.Seq, seq) })
	if m.seq > 0 && i < len(w.floors) {
		return later(w.floors[i].At, m.At)
	}
	return w.opts.Now
}

// lostMessages finds messages that the broker acknowledged and that no record
// shows, nobody answered, and no row of the tables lets pass in silence.
func (w *world) lostMessages() {
	for _, m := range w.messages {
		if !m.acked || m.answered || len(m.versions) > 0 {
			continue
		}
		if w.silent(m) {
			continue
		}
		w.report.add(Finding{
			Kind: Lost, Rule: "acknowledged, and nothing came of it", CID: m.CID, CallID: m.CallID, Who: m.From, JTI: m.JTI, At: m.At,
			Detail: fmt.Sprintf("%s, sequence %d in VOICE_IN; the record was %s", m.Type, m.seq, describe(m.line.last())),
		})
	}
}

// silent reports whether m rightly left no trace on a record that was in force
// between its publication and the time by which it was handled.
func (w *world) silent(m *message) bool {
	t := m.line
	for i := range len(t.versions) + 1 {
		if i < len(t.versions) && t.versions[i].at.Before(m.At.Add(-w.opts.Skew)) {
			continue // this record was over when m was sent
		}
		if i > 0 && t.versions[i-1].at.After(m.handled.Add(w.opts.Skew)) {
			break // and this one began when m had been handled
		}
		s := t.state(i)
		if _, ok := nothing(s, m, t.cid); ok {
			return true
		}
	}
	return false
}

func describe(s *call.State) string {
	return fmt.Sprintf("%s %s %s", s.Phase, s.CallID, s.Reason)
}

// said is what a record obliges the routers to say: a type, to somebody, about a
// call.
type said struct {
	to, cid, callID string
	typ             signal.Type
}

// unsaid compares what transitions oblige the routers to say with what inboxes
// hold. A transition without it is half a batch.
func (w *world) unsaid() {
	type count struct {
		due, found int
		at         time.Time
	}
	counts := map[said]*count{}
	get := func(s said) *count {
		if counts[s] == nil {
			counts[s] = &count{}
		}
		return counts[s]
	}
	for _, t := range w.lines() {
		for i := range t.versions {
			w.untold(&t.versions[i])
			w.notForwarded(t, &t.versions[i])
			for _, o := range obligations(t, i) {
				c := get(o)
				c.at = t.versions[i].at
				c.due++
			}
		}
	}
	for to, letters := range w.letters {
		for _, l := range letters {
			if w.conversations[l.cid].Mode != call.Direct {
				get(said{to, l.cid, l.callID, l.typ}).found++
			}
		}
	}
	for s, c := range counts {
		f := Finding{CID: s.cid, CallID: s.callID, Who: s.to, At: c.at}
		switch {
		case c.found < c.due:
			f.Kind, f.Rule = Lost, "decided and not said"
			f.Detail = fmt.Sprintf("%d of %d %s in the inbox", c.found, c.due, s.typ)
		case c.found > c.due && counted(s.typ):
			f.Kind, f.Rule = Duplicated, "said more often than decided"
			f.Detail = fmt.Sprintf("%d %s in the inbox, %d decided", c.found, s.typ, c.due)
		default:
			continue
		}
		w.report.add(f)
	}
}

// counted reports whether the obligations know every message of this type that
// the routers may say.
func counted(t signal.Type) bool {
	switch t {
	case signal.Start, signal.Ringing, signal.Accept, signal.Busy, signal.Candidate, signal.Update:
		return true
	default:
		return false
	}
}

// obligations lists what the i-th transition of t must have said.
func obligations(t *timeline, i int) []said {
	v, before := &t.versions[i], t.state(i)
	s := v.s
	caller, callee := s.Caller.String(), s.Callee().String()
	about := func(to string, typ signal.Type) said {
		return said{to, t.cid, knownAs(t.cid, s.CallID, caller, to, s.MaskCallID), typ}
	}
	other := callee
	if s.Last.From.String() == callee {
		other = caller
	}
	switch ended := s.Phase == call.Ended && before.Phase != call.Ended; {
	case s.Last.Code != "":
		return refused(t, v)
	case s.CallID != before.CallID || s.Caller != before.Caller:
		return []said{about(callee, signal.Start)}
	case ended && !fromMessage(s):
		return []said{about(caller, signal.Stop), about(callee, signal.Stop)}
	case ended:
		return []said{about(other, signal.Type(s.Last.Type))} // stop or busy
	case s.Phase == call.Active && before.Phase == call.Ringing:
		return []said{about(caller, signal.Accept)}
	case s.Phase == call.Ringing && s.RingingAt != before.RingingAt:
		return []said{about(caller, signal.Ringing)}
	case s.Last.Type == string(signal.Candidate), s.Last.Type == string(signal.Update):
		// Of another call it can only be one that lost to glare: C3.
		if s.Last.CallID == s.CallID && (s.Phase == call.Ringing || s.Phase == call.Active) {
			return []said{about(other, signal.Type(s.Last.Type))}
		}
		return nil
	default:
		return nil
	}
}

// refused is what is said with an error to whoever waits on a refused start or
// accept, unless it speaks of the live call. The error itself is found by the jti
// in it: see [message].answered.
func refused(t *timeline, v *version) []said {
	m, s := v.by, v.s
	if m == nil || m.Type != signal.Start && m.Type != signal.Accept {
		return nil
	}
	live := s.Phase == call.Ringing || s.Phase == call.Active
	if live && m.CallID == knownAs(t.cid, s.CallID, s.Caller.String(), m.From, s.MaskCallID) {
		return nil
	}
	return []said{{m.From, t.cid, m.CallID, signal.Stop}}
}

// untold finds messages that a record shows as refused and nobody told their
// sender of.
func (w *world) untold(v *version) {
	if m := v.by; m != nil && v.s.Last.Code != "" && !m.answered {
		w.report.add(Finding{
			Kind: Lost, Rule: "refused and not said", CID: m.CID, CallID: m.CallID, Who: m.From, JTI: m.JTI, At: v.at,
			Detail: fmt.Sprintf("%s, code %s", m.Type, v.s.Last.Code),
		})
	}
}

// notForwarded finds messages that a record in direct mode shows as passed on and
// that did not arrive.
func (w *world) notForwarded(t *timeline, v *version) {
	if m := v.by; t.direct && m != nil && v.s.Last.Code == "" && w.arrived[heardBy{m.To, m.From, m.JTI}] == 0 {
		w.report.add(Finding{
			Kind: Lost, Rule: "decided and not said", CID: m.CID, CallID: m.CallID, Who: m.To, JTI: m.JTI, At: v.at,
			Detail: fmt.Sprintf("%s of %s, direct", m.Type, m.From),
		})
	}
}
