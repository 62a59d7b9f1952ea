package call

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// Verdict says what became of an event.
type Verdict uint8

// The verdicts.
const (
	// Nothing: the event is legal and changes nothing. Like every decision that
	// writes no state it counts only if the record was current when it was taken.
	Nothing Verdict = iota
	// Applied: Next is to be written.
	Applied
	// Repeat: the message is among the applied ones; acknowledge it. It counts
	// even on a stale record.
	Repeat
	// Stranger: the sender is not on the route (X of the table); refused with
	// the same words as for a conversation that does not exist. It is judged by
	// the route alone and counts even on a stale record.
	Stranger
	// Deferred: the message is to be delivered again shortly.
	Deferred
	// Refused: Code says why; Next records that it was said, so that a second
	// delivery cannot end differently. Next is nil if the list of applied messages
	// is full.
	Refused
)

// Decision is the answer to one event. Everything in it belongs into one atomic
// batch: either all of it is stored or none of it.
type Decision struct {
	Verdict Verdict
	// Code is set for Refused and Stranger.
	Code signal.Code
	// Next is the record to write, nil if it stays as it is. It is written with a
	// compare-and-swap against the record that was decided on.
	Next *State
	// Say is what goes out, in this order.
	Say []Say
	// Timer is what becomes of the call's timer.
	Timer Timer
}

// Say is one outgoing message. Package router adds issuer, jti and times, and
// signs.
type Say struct {
	To       identity.ID
	Type     signal.Type
	CallID   string
	PeerInfo string
	Data     jsontext.Value
	Reason   signal.Reason
	// Forward says that the sender's own envelope is passed on as it came (direct
	// mode); all but To and Type is unused.
	Forward bool
}

// TimerOp is what happens to the timer of a call.
type TimerOp uint8

// The timer operations.
const (
	TimerKeep   TimerOp = iota // leave it
	TimerSet                   // write it, replacing any other
	TimerCancel                // purge it, in the batch that makes it moot
)

// Timer is an operation on the one timer of a conversation.
type Timer struct {
	Op TimerOp
	// At, CallID and Epoch describe the timer of TimerSet.
	At     time.Time
	CallID string
	Epoch  uint64
}
