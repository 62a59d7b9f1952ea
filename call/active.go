package call

import "github.com/voicerouter/voicerouter/signal"

// active is the state in which the call has been answered.
func (t *turn) active() Decision {
	a := t.m.Issuer == t.s.Caller
	b := !a
	winner := b && t.m.Party == t.s.Winner
	switch typ := t.m.Type; {
	case (typ == signal.Accept || typ == signal.Ringing) && winner:
		// accept, winner again: nothing. Its own ringing may come late, too.
		return Decision{}
	case (typ == signal.Accept || typ == signal.Ringing) && b && t.s.Winner != "":
		// accept, other named device of B: stop answered_elsewhere to it. The same
		// for a device whose ringing crossed the answer, or it would ring on.
		return t.applied(t.stop(t.m.Issuer, signal.AnsweredElsewhere, stopData{Party: t.s.Winner}))
	case (typ == signal.Accept || typ == signal.Ringing) && b:
		// The winner has no name: it would take a stop for itself.
		return t.refuse(signal.CodeConflict)
	case typ == signal.Busy && b:
		// busy, B: nothing.
		return Decision{}
	case typ == signal.Stop && (winner || a && t.m.Party == t.s.CallerParty):
		// stop, A or winner: ended hangup; deliver to the other.
		return t.hangup(winner)
	case typ == signal.Stop:
		// stop from a losing device of B or from another device of A than the one
		// that started: nothing.
		return Decision{}
	case typ == signal.Start && !t.s.current(t.m.CallID):
		// start, A or B, new call_id: error session_busy.
		return t.refuse(signal.CodeSessionBusy)
	case (typ == signal.Candidate || typ == signal.Update) && (a || winner):
		// candidate update, A or winner: deliver to the other.
		return t.applied(t.deliver())
	default:
		// anything not named above: error wrong_role.
		return t.refuse(signal.CodeWrongRole)
	}
}

// hangup ends an active call. If a winner without a name hangs up, named devices
// beside it may still ring: they could not be stopped before without stopping the
// winner, too.
func (t *turn) hangup(byWinner bool) Decision {
	reason := t.reason(signal.Hangup)
	says := []Say{t.stop(t.other, reason, stopData{})}
	if byWinner && t.s.Winner == "" && t.s.alerting("", false) {
		says = append(says, t.stop(t.m.Issuer, signal.AnsweredElsewhere, stopData{}))
	}
	return t.end(reason, says...)
}
