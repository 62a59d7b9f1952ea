package call

import (
	"slices"

	"github.com/voicerouter/voicerouter/signal"
)

// MaxParties is how many devices of the callee a record remembers. Further ones
// ring unnoticed, and learn of the end like all others.
const MaxParties = 32

// ringing is the state in which the callee's devices ring.
func (t *turn) ringing() Decision {
	a, current := t.m.Issuer == t.s.Caller, t.s.current(t.m.CallID)
	b := !a
	switch typ := t.m.Type; {
	case typ == signal.Ringing && b:
		// ringing, B: the first of each party remembered; the first of all to A.
		return t.alert()
	case typ == signal.Start && a && current && offerOf(t.m.PeerInfo) == t.s.Offer:
		// start, A, same call_id, same peer_info: nothing.
		return Decision{}
	case typ == signal.Start && a && current:
		// start, A, same call_id, other peer_info: error duplicate_start.
		return t.refuse(signal.CodeDuplicateStart)
	case typ == signal.Start && a:
		// start, A, new call_id: error session_busy.
		return t.refuse(signal.CodeSessionBusy)
	case typ == signal.Start && current:
		// start, B, same call_id: error conflict.
		return t.refuse(signal.CodeConflict)
	case typ == signal.Start && !t.s.Start.allows(t.m.Issuer == t.s.Operator):
		// start, B (an allowed side, else forbidden).
		return t.refuse(signal.CodeForbidden)
	case typ == signal.Start:
		// start, B, new call_id: glare.
		return t.glare()
	case typ == signal.Accept && b:
		// accept, B: active, winner = party.
		return t.answer()
	case typ == signal.Busy && b && t.m.Party != "" && t.s.alerting(t.m.Party, false):
		// busy, B, named party while other named parties ring: that branch ends.
		return t.branchBusy()
	case typ == signal.Busy && b:
		// busy, B, otherwise: ended busy; deliver to A; stop to B's other devices.
		return t.end(signal.BusyHere, append([]Say{t.deliver()}, t.stopOthers(signal.BusyHere)...)...)
	case typ == signal.Stop && a:
		// stop, A: ended cancelled; deliver to B.
		reason := t.reason(signal.Cancelled)
		return t.end(reason, t.stop(t.other, reason, stopData{}))
	case typ == signal.Stop:
		// stop, B: ended declined; deliver to A; stop to B's other devices.
		reason := t.reason(signal.Declined)
		says := []Say{t.stop(t.other, reason, stopData{})}
		return t.end(reason, append(says, t.stopOthers(reason)...)...)
	case typ == signal.Candidate && a:
		// candidate, A: deliver to B.
		return t.applied(t.deliver())
	case (typ == signal.Candidate || typ == signal.Update) && b:
		// candidate update, B: defer, then error too_early.
		return t.deferOr(signal.CodeTooEarly)
	default:
		// anything not named above: error wrong_role.
		return t.refuse(signal.CodeWrongRole)
	}
}

// alert remembers a device that rings.
func (t *turn) alert() Decision {
	known := slices.ContainsFunc(t.s.Parties, func(p Party) bool { return p.Name == t.m.Party })
	if known || len(t.s.Parties) >= MaxParties {
		return Decision{}
	}
	d := t.applied()
	d.Next.Parties = append(d.Next.Parties, Party{Name: t.m.Party})
	if t.s.RingingAt.IsZero() {
		d.Next.RingingAt = t.e.At
		d.Say = []Say{t.deliver()}
	}
	return d
}

// answer makes the call active.
func (t *turn) answer() Decision {
	d := t.applied(t.deliver())
	n := d.Next
	n.Phase, n.Winner, n.AnsweredAt = Active, t.m.Party, t.e.At
	if n.Winner != "" && t.s.alerting(n.Winner, true) {
		// Stop answered_elsewhere with data.party = winner to B's identity if the
		// winner named a party and others rang.
		d.Say = append(d.Say, t.stop(t.m.Issuer, signal.AnsweredElsewhere, stopData{Party: n.Winner}))
	}
	t.arm(&d, t.policy.MaxDuration)
	return d
}

// branchBusy ends the branch of one device. The device is remembered even if it
// has not rung yet: its ringing may have been overtaken.
func (t *turn) branchBusy() Decision {
	d := t.applied()
	n := d.Next
	if i := slices.IndexFunc(n.Parties, func(p Party) bool { return p.Name == t.m.Party }); i >= 0 {
		n.Parties[i].Busy = true
	} else if len(n.Parties) < MaxParties {
		n.Parties = append(n.Parties, Party{Name: t.m.Party, Busy: true})
	}
	return d
}

// stopOthers stops the devices of B besides the sender. A sender that names its
// party sees that it is not meant, so the stop always goes out: the ringing of
// another device may still be under way. A sender without a name would take the
// stop for itself, which is harmless as it has ended the call, but useless unless
// other devices rang.
func (t *turn) stopOthers(reason signal.Reason) []Say {
	if t.m.Party == "" && !t.s.alerting("", false) {
		return nil
	}
	return []Say{t.stop(t.m.Issuer, reason, stopData{Party: t.m.Party})}
}

// glare settles two calls that cross: the lesser call_id, byte by byte, survives.
func (t *turn) glare() Decision {
	incumbent, newcomer := t.s.CallID, t.m.CallID
	if incumbent < newcomer {
		d := t.applied(t.stopCall(t.m.Issuer, newcomer, signal.Glare, stopData{ReplacedBy: incumbent}))
		d.Next.remember(PastCall{CallID: newcomer, Reason: signal.Glare, At: t.e.At, ReplacedBy: incumbent, By: t.m.Issuer})
		return d
	}
	// The losing call was delivered: it is stopped on both sides, and only then
	// the surviving one rings.
	lost := stopData{ReplacedBy: newcomer}
	d := t.applied(
		t.stopCall(t.s.Caller, incumbent, signal.Glare, lost),
		t.stopCall(t.m.Issuer, incumbent, signal.Glare, lost),
		t.deliver(),
	)
	d.Next.remember(PastCall{CallID: incumbent, Reason: signal.Glare, At: t.e.At, ReplacedBy: newcomer})
	t.ring(&d)
	return d
}
