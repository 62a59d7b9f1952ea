package call

import (
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// ended is the state after a call, for messages on its call_id.
func (t *turn) ended() Decision {
	switch t.m.Type {
	case signal.Accept:
		// accept: stop with the reason.
		return t.applied(t.stop(t.m.Issuer, t.s.Reason, stopData{}))
	case signal.Start:
		// start: call_ended.
		return t.refuse(signal.CodeCallEnded)
	case signal.Summary:
		// summary: deliver.
		return t.summary()
	case signal.Ringing:
		// ringing of a device besides the one that answered and hung up.
		if t.s.AnsweredAt.IsZero() || t.s.EndedBy != t.s.Callee() || t.m.Party == t.s.Winner {
			return Decision{}
		}
		return t.lateRinging(t.s.EndedBy)
	default:
		// else nothing.
		return Decision{}
	}
}

// end ends the current call by the sender of the message.
func (t *turn) end(reason signal.Reason, say ...Say) Decision {
	d := t.applied(say...)
	d.Next.finish(reason, t.m.Issuer, t.e.At)
	d.Timer = Timer{Op: TimerCancel}
	return d
}

// finish writes the end of the current call into s. Its call_id is past from now
// on; the rest stays until the next start, as call detail record.
func (s *State) finish(reason signal.Reason, by identity.ID, at time.Time) {
	past := PastCall{CallID: s.CallID, Reason: reason, At: at}
	if s.Phase == Active && by == s.Callee() {
		past.HungUp = by
	}
	s.Phase, s.Reason, s.EndedBy, s.EndedAt, s.Deadline = Ended, reason, by, at, never
	s.remember(past)
}

// reason is the reason of a stop: what the client says if it is one of the
// protocol's, else what the table says.
func (t *turn) reason(table signal.Reason) signal.Reason {
	if t.m.Reason.Known() {
		return t.m.Reason
	}
	return table
}

var (
	nobody identity.ID
	never  time.Time
)
