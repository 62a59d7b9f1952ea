package call

import (
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// Decide answers one event of a masked conversation; s is its record, nil if
// there is none. It is pure and total: every state, message and sender has an
// answer. Neither *s nor e is changed, and [Decision.Next] shares no memory with
// them that is ever written.
//
// The rules stand in docs/protocol.md, "State machine": first those about the
// call_id, then the table of states. Each case here quotes its row.
func Decide(p Policy, s *State, e Event) Decision {
	s, e, legs := inward(s, e)
	return legs.outward(decide(p, s, e))
}

func decide(p Policy, s *State, e Event) Decision {
	t := newTurn(p, s, e)
	switch e.Kind {
	case Message:
		return t.once(t.masked)
	case Timeout:
		return t.timeout()
	case ForcedEnd:
		return t.forcedEnd()
	default:
		return Decision{}
	}
}

// NeedsRoute reports whether [Decide] needs e.Route to answer e. A route is read
// once per call, when it starts; while a call is live the identities in its
// record count, and afterwards those two may still speak about it.
func NeedsRoute(s *State, e Event) bool {
	if e.Kind != Message || s.applied(hashOf(e.Msg.Issuer, e.Msg.JTI)) {
		return false
	}
	s, e, _ = inward(s, e)
	return needsRoute(s, e.Msg, moment(e.At))
}

func needsRoute(s *State, m signal.Message, at time.Time) bool {
	if s.Live() {
		return false
	}
	if _, ours := s.Counterpart(m.Issuer); !ours || m.Recipient != s.Proxy {
		return true
	}
	_, past := s.past(m.CallID, at)
	return m.Type == signal.Start && !past && !s.current(m.CallID)
}

// turn is one event being decided on.
type turn struct {
	policy Policy
	e      Event
	m      signal.Message // e.Msg
	s      *State         // never nil, never written
	// other is the counterpart of the sender, or of nobody for other events.
	other identity.ID
	// mask is what may be said across it.
	mask mask
	// route is the route, if the sides were judged by it; broken says that they
	// could be read and nothing else is to be done with it.
	route  *Route
	broken bool
}

func newTurn(p Policy, s *State, e Event) *turn {
	e.At = moment(e.At)
	if s == nil {
		s = &State{Mode: Masked, Phase: None}
	}
	return &turn{policy: p.withDefaults(), e: e, m: e.Msg, s: s}
}

// moment is a point in time as records keep it: UTC, in whole milliseconds.
func moment(at time.Time) time.Time { return at.UTC().Truncate(time.Millisecond) }

// once applies a message once. The marks are looked at before anything else: a
// message among them has been committed with everything that it caused.
func (t *turn) once(decide func() Decision) Decision {
	hash := hashOf(t.m.Issuer, t.m.JTI)
	if t.s.applied(hash) {
		return Decision{Verdict: Repeat}
	}
	d := decide()
	if d.Next == nil || d.Next.mark(Mark{Hash: hash, Seq: t.e.Seq, At: t.e.At}, t.e.AckFloor, t.policy) {
		return d
	}
	return t.full(d)
}

// full answers a message for whose mark there is no room. It waits for room like
// one that came too early, and no longer: as long as it waits nothing behind it
// counts as acknowledged, and no mark in the fleet may go that is younger. Then it
// is refused, which leaves no trace in the record. What ends a call is applied
// without a mark: the second time it finds the call over.
func (t *turn) full(d Decision) Decision {
	switch {
	case d.Verdict == Applied && (t.m.Type == signal.Stop || t.m.Type == signal.Busy):
		return d
	case t.mayWait():
		return Decision{Verdict: Deferred}
	default:
		return t.refusal(signal.CodeRateLimited)
	}
}

// masked answers a message to a proxy: who speaks, then the rules about the
// call_id, then the table.
func (t *turn) masked() Decision {
	if !t.admit() {
		return t.stranger()
	}
	if t.m.Type.HasData() && t.outgrows() {
		return t.refuse(signal.CodeOversized)
	}
	past, isPast := t.s.past(t.m.CallID, t.e.At)
	switch {
	case t.s.current(t.m.CallID):
		return t.table()
	case isPast:
		return t.pastCall(past)
	case t.m.CallID == "", t.m.Type == signal.Setup, t.m.Type == signal.Error:
		return t.refuse(signal.CodeWrongRole)
	case t.m.Type != signal.Start:
		return t.unseenCall()
	case t.broken:
		return t.refuse(signal.CodeRouteInvalid)
	case !t.s.room(t.m.Issuer, t.e.At):
		// "At most 32; beyond, start -> rate_limited."
		return t.refuse(signal.CodeRateLimited)
	default:
		return t.table()
	}
}

// table is the table of states: for the current call_id, or a start with a new one.
func (t *turn) table() Decision {
	switch {
	case t.s.Phase == Ringing:
		return t.ringing()
	case t.s.Phase == Active:
		return t.active()
	case t.s.Phase == Ended && t.s.current(t.m.CallID):
		return t.ended()
	default:
		return t.idle()
	}
}

// admit finds out which side the sender is; false means that he is on none.
func (t *turn) admit() bool {
	if t.s.Mode == Direct {
		return false // the keys of the modes differ: such a record is nobody's here
	}
	if needsRoute(t.s, t.m, t.e.At) {
		return t.admitByRoute(t.e.Route)
	}
	t.mask = mask{t.s.Operator, t.s.OperatorName, t.s.DataAllow}
	var ok bool
	t.other, ok = t.s.Counterpart(t.m.Issuer)
	return ok && t.m.Recipient == t.s.Proxy
}

func (t *turn) admitByRoute(r *Route) bool {
	if r == nil || t.m.Issuer.IsZero() {
		return false
	}
	t.route, t.broken = r, t.e.RouteBroken || r.check() != nil
	t.mask = mask{r.Operator, r.OperatorName, r.DataAllow}
	switch t.m.Issuer {
	case r.Customer:
		t.other = r.Operator
	case r.Operator:
		t.other = r.Customer
	default:
		return false
	}
	return r.Proxy == t.m.Recipient || t.broken && r.Proxy.IsZero()
}

// stranger answers whoever is on no side: "anything, X -> error unknown_call, same
// words and size as for a cid that does not exist". It writes nothing, so that
// nobody fills the record of a conversation that is not his. Only a start on a
// route that names nobody any more is told what is wrong: there is no side left
// whose secret that could be.
func (t *turn) stranger() Decision {
	code := signal.CodeUnknownCall
	if t.e.RouteBroken && t.e.Route == nil && t.m.Type == signal.Start && needsRoute(t.s, t.m, t.e.At) {
		code = signal.CodeRouteInvalid
	}
	return Decision{Verdict: Stranger, Code: code, Say: []Say{ErrorSay(t.m, code)}}
}

// next copies the record for writing, with everything that any write brings.
func (t *turn) next() *State {
	n := t.s.clone()
	n.Version = Version
	if n.CID == "" {
		n.CID = t.m.CID
	}
	if r := t.route; r != nil && !t.broken && n.Phase == None {
		n.Proxy, n.Customer, n.Operator = r.Proxy, r.Customer, r.Operator
		n.MaskCallID = r.MaskCallID // the route is not asked about the next stop
	}
	n.prune(t.e.At)
	n.Last = Last{Type: string(t.m.Type), From: t.m.Issuer, Party: t.m.Party, CallID: t.m.CallID, At: t.e.At}
	return n
}

// applied is a decision that remembers the message and says what is given.
func (t *turn) applied(say ...Say) Decision {
	return Decision{Verdict: Applied, Next: t.next(), Say: say}
}

// deferOr has a message that came too early delivered again, and refuses it with
// code once that has been tried often enough, or no more may wait.
func (t *turn) deferOr(code signal.Code) Decision {
	if t.mayWait() {
		return Decision{Verdict: Deferred}
	}
	return t.refuse(code)
}

func (t *turn) mayWait() bool { return t.e.MayDefer && t.e.Delivery < t.policy.MaxDeliveries }
