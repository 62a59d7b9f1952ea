package call

import (
	"time"

	"github.com/voicerouter/voicerouter/signal"
)

// Kind says what happened.
type Kind uint8

// The kinds of events.
const (
	// Message: an identity sent something.
	Message Kind = iota
	// Timeout: the timer of a call fired.
	Timeout
	// ForcedEnd: an operator of the service ends the call.
	ForcedEnd
)

// Event is one thing that happened to a conversation, with every fact that the
// decision may use.
type Event struct {
	Kind Kind
	// Msg is the verified message of a Message event.
	Msg signal.Message
	// At is the broker's timestamp of the event. Deadlines and expiry are judged
	// by it.
	At time.Time
	// Seq is the sequence of the message in the inbound stream; AckFloor is a
	// sequence up to which every inbound message is known to be acknowledged (0:
	// none known), so that none of them can be delivered again.
	Seq, AckFloor uint64
	// Delivery counts the deliveries of this message, the first is 1.
	Delivery int
	// MayDefer is false when no further message of this sender may wait.
	MayDefer bool

	// CallID and Epoch are the payload of a Timeout event.
	CallID string
	Epoch  uint64

	// Route is what the directory of routes says, if [NeedsRoute] asked for it:
	// nil if there is none, or none that names Msg.Recipient as its proxy.
	Route *Route
	// RouteBroken reports that a route record exists and cannot be used. Route
	// may be nil then, or name the sides if that much could be read.
	RouteBroken bool
}

// Policy holds the limits that the state machine applies. The zero value of each
// field means its default.
type Policy struct {
	RingTimeout time.Duration // default 60 s
	MaxDuration time.Duration // default 4 h
	// KeepApplied is how long an applied message is remembered at least: three
	// times the ack wait of the inbound consumer. Default 15 s.
	KeepApplied time.Duration
	// Replayable is how long after it was stored a message could be stored once
	// more and still be in time. As long it is remembered, if the list of applied
	// messages has room. Default KeepApplied.
	Replayable time.Duration
	// MaxDeliveries is how often a message that came too early is delivered
	// before it is refused. Default 5.
	MaxDeliveries int
}

// The defaults of [Policy].
const (
	DefaultRingTimeout   = time.Minute
	DefaultMaxDuration   = 4 * time.Hour
	DefaultKeepApplied   = 15 * time.Second
	DefaultMaxDeliveries = 5
)

// withDefaults returns p with a default in place of every zero.
func (p Policy) withDefaults() Policy {
	if p.RingTimeout <= 0 {
		p.RingTimeout = DefaultRingTimeout
	}
	if p.MaxDuration <= 0 {
		p.MaxDuration = DefaultMaxDuration
	}
	if p.KeepApplied <= 0 {
		p.KeepApplied = DefaultKeepApplied
	}
	p.Replayable = max(p.Replayable, p.KeepApplied)
	if p.MaxDeliveries <= 0 {
		p.MaxDeliveries = DefaultMaxDeliveries
	}
	return p
}
