package call

import (
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// pastCall answers whoever is on the route and speaks of a call_id that is over.
func (t *turn) pastCall(past PastCall) Decision {
	if past.Reason == signal.Glare && past.ReplacedBy != "" {
		return t.glareLoser(past)
	}
	switch t.m.Type {
	case signal.Start:
		// start, past call_id: error call_ended.
		return t.refuse(signal.CodeCallEnded)
	case signal.Accept:
		// accept, past call_id: stop with that call's reason, to the sender.
		return t.applied(t.stop(t.m.Issuer, past.Reason, stopData{}))
	case signal.Summary:
		// summary, past call_id: deliver.
		return t.summary()
	case signal.Ringing:
		// ringing, past call_id that the sender's side hung up: see lateRinging.
		return t.lateRinging(past.HungUp)
	default:
		// anything else, past call_id: nothing.
		return Decision{}
	}
}

// lateRinging answers a device whose ringing arrives after the end of its call.
// It is nothing if the end was said to the device's side. It was not if another
// device answered and hung up before anything was known of this one: only then it
// would ring on, and is stopped.
func (t *turn) lateRinging(hungUp identity.ID) Decision {
	if t.m.Issuer != hungUp {
		return Decision{}
	}
	return t.applied(t.stop(t.m.Issuer, signal.AnsweredElsewhere, stopData{}))
}

// glareLoser answers later messages on the call_id that lost: "Later messages on
// the loser -> stop glare".
func (t *turn) glareLoser(past PastCall) Decision {
	switch t.m.Type {
	case signal.Accept, signal.Start, signal.Ringing, signal.Busy, signal.Candidate, signal.Update:
		return t.applied(t.stop(t.m.Issuer, signal.Glare, stopData{ReplacedBy: past.ReplacedBy}))
	case signal.Summary:
		return t.summary()
	default:
		// The sender of a stop knows already.
		return Decision{}
	}
}

// summary delivers the summary of a call that is over.
func (t *turn) summary() Decision {
	if t.broken {
		return t.refuse(signal.CodeRouteInvalid)
	}
	return t.applied(t.deliver())
}

// unseenCall answers anything but a start on a call_id that has never been seen.
func (t *turn) unseenCall() Decision {
	switch {
	case t.m.Type == signal.Stop:
		// stop, call_id never seen: remembered as a tombstone; nothing is said.
		if !t.s.room(t.m.Issuer, t.e.At) {
			return Decision{} // its start would be refused anyway: see room
		}
		d := t.applied()
		d.Next.remember(PastCall{
			CallID: t.m.CallID, Reason: t.reason(signal.Cancelled), At: t.e.At, By: t.m.Issuer,
		})
		return d
	case t.broken:
		return t.refuse(signal.CodeRouteInvalid)
	case t.m.Type == signal.Candidate:
		// candidate, call_id never seen: defer, then error unknown_call.
		return t.deferOr(signal.CodeUnknownCall)
	default:
		// anything else, call_id never seen (start excepted): error unknown_call.
		return t.refuse(signal.CodeUnknownCall)
	}
}
