package call

import "github.com/voicerouter/voicerouter/signal"

// DecideDirect answers one message of a direct conversation, which is passed on
// as it came; s is the record of this cid between these two ends, nil if there is
// none. It has two rules only: a message is applied once, and a start behind its
// own stop is dropped. Roles are judged before, by package router.
func DecideDirect(p Policy, s *State, e Event) Decision {
	t := newTurn(p, s, e)
	if e.Kind != Message {
		return Decision{}
	}
	return t.once(t.direct)
}

func (t *turn) direct() Decision {
	if t.s.Mode != Direct && t.s.CID != "" {
		return t.stranger() // the keys of the modes differ: such a record is nobody's here
	}
	if _, stopped := t.s.past(t.m.CallID, t.e.At); stopped && t.m.Type == signal.Start {
		return Decision{}
	}
	d := t.applied(Say{To: t.m.Recipient, Type: t.m.Type, Forward: true})
	n := d.Next
	n.Mode, n.Phase, n.Customer, n.Operator = Direct, None, t.m.Issuer, t.m.Recipient
	if n.Operator.String() < n.Customer.String() {
		n.Customer, n.Operator = n.Operator, n.Customer
	}
	if t.m.Type == signal.Stop && t.m.CallID != "" {
		n.tombstone(PastCall{CallID: t.m.CallID, Reason: t.reason(signal.Hangup), At: t.e.At, By: t.m.Issuer})
	}
	return d
}

// tombstone remembers p in place of the oldest if there are too many: in direct
// mode nobody's start is refused.
func (s *State) tombstone(p PastCall) {
	s.remember(p)
	if len(s.Past) > MaxPast {
		s.Past = append(s.Past[:0], s.Past[len(s.Past)-MaxPast:]...)
	}
}
