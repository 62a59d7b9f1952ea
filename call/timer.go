package call

import (
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// The types that [Last] shows for events that are no messages.
const (
	LastTimeout   = "timeout"
	LastForcedEnd = "forced_end"
)

// timeout answers a timer that fired. Whether it counts is decided by call_id and
// epoch alone: no clock is asked. Timeouts leave no mark: the epoch makes them
// idempotent.
func (t *turn) timeout() Decision {
	if !t.s.Live() {
		return Decision{}
	}
	if t.e.CallID != t.s.CallID || t.e.Epoch != t.s.Epoch {
		// stale timeout: write the current timer anew. The one that fired purged
		// its subject, and a replacement written at that moment is lost. The record
		// is written as well, so that the timer depends on the record being current.
		d := t.byRouter(LastTimeout)
		d.Timer = Timer{Op: TimerSet, At: t.s.Deadline, CallID: t.s.CallID, Epoch: t.s.Epoch}
		return d
	}
	reason := signal.MaxDuration // active, timeout: ended max_duration; stop to both.
	if t.s.Phase == Ringing {
		reason = signal.NoAnswer // ringing, timeout: ended no_answer; stop to both.
	}
	d := t.byRouter(LastTimeout)
	t.stopBoth(&d, reason)
	return d // the timer purged itself when it fired
}

// forcedEnd ends the call for an operator of the service: "ended admin_terminated;
// stop to both".
func (t *turn) forcedEnd() Decision {
	if !t.s.Live() || t.e.CallID != "" && t.e.CallID != t.s.CallID {
		return Decision{}
	}
	d := t.byRouter(LastForcedEnd)
	t.stopBoth(&d, signal.AdminTerminated)
	d.Timer = Timer{Op: TimerCancel}
	return d
}

// byRouter is a decision on an event that is no message.
func (t *turn) byRouter(typ string) Decision {
	callID := t.e.CallID
	if !subjects.ValidCallID(callID) {
		callID = t.s.CallID
	}
	d := t.applied()
	d.Next.Last = Last{Type: typ, From: identity.Router, CallID: callID, At: t.e.At}
	return d
}

func (t *turn) stopBoth(d *Decision, reason signal.Reason) {
	d.Next.finish(reason, identity.Router, t.e.At)
	d.Say = []Say{
		t.stopCall(t.s.Caller, t.s.CallID, reason, stopData{}),
		t.stopCall(t.s.Callee(), t.s.CallID, reason, stopData{}),
	}
}

// arm sets the timer of the call of d.Next.
func (t *turn) arm(d *Decision, after time.Duration) {
	n := d.Next
	n.Epoch++
	n.Deadline = moment(t.e.At.Add(after))
	d.Timer = Timer{Op: TimerSet, At: n.Deadline, CallID: n.CallID, Epoch: n.Epoch}
}
