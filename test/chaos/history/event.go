package history

import (
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
)

// Process is the life of one client: one [voice.Client], which hands no message
// over twice.
//
// [voice.Client]: https://pkg.go.dev/github.com/voicerouter/voicerouter/voice#Client
type Process struct {
	// ID is unique in the run.
	ID string `json:"id"`
	// Self is its identity, Party the name of the device, "" if it has none.
	Self  string `json:"self"`
	Party string `json:"party,omitzero"`
	// App is set if it drains the durable consumer of an app, where one process
	// of several is active.
	App bool `json:"app,omitzero"`
	// Knows lists the types that it understands; empty: all.
	Knows []signal.Type `json:"knows,omitempty"`

	// Began is when it was ready to receive. Ended is zero while it lives. Killed
	// is set if it ended without waiting for its handlers.
	Began  time.Time `json:"-"`
	Ended  time.Time `json:"-"`
	Killed bool      `json:"-"`
}

// Conversation says who takes part in a conversation: its route, or the two ends
// that a proxy written by hand connects.
type Conversation struct {
	CID      string         `json:"cid"`
	Mode     call.Mode      `json:"mode"`
	Proxy    string         `json:"proxy"`
	Operator string         `json:"operator"`
	Customer string         `json:"customer"`
	Start    call.StartSide `json:"start,omitzero"`
	// MaskCallID is that of the route.
	MaskCallID bool `json:"mask_call_id,omitzero"`
}

// Result says what the sender knows about a send.
type Result string

// The results.
const (
	// Unknown: no answer. The message may or may not be stored.
	Unknown Result = ""
	// Acked: the broker has stored the message.
	Acked Result = "acked"
	// Refused: the message is not stored.
	Refused Result = "refused"
)

// Send is one message that an endpoint published. A message that is published
// again, under the same JTI, is another Send.
type Send struct {
	Process string      `json:"process"`
	JTI     string      `json:"jti"`
	Type    signal.Type `json:"type"`
	CID     string      `json:"cid"`
	CallID  string      `json:"call_id,omitzero"`
	From    string      `json:"from"`
	To      string      `json:"to"`
	Party   string      `json:"party,omitzero"`
	Mode    call.Mode   `json:"mode"`
	// Reason is what the sender says in a stop.
	Reason signal.Reason `json:"reason,omitzero"`
	// PeerInfo and Data are the claims, to judge what comes of them.
	PeerInfo string `json:"peer_info,omitzero"`
	Data     string `json:"data,omitzero"`

	// At is when the endpoint began to publish; Done is when it knew the outcome,
	// zero if it never did.
	At      time.Time `json:"-"`
	Done    time.Time `json:"-"`
	Outcome Outcome   `json:"-"`
}

// Outcome is how a send ended.
type Outcome struct {
	Result Result `json:"result,omitzero"`
	// Seq is the sequence in VOICE_IN, from the broker's PubAck; Duplicate is set
	// if it says that the message was stored before.
	Seq       uint64 `json:"seq,omitzero"`
	Duplicate bool   `json:"duplicate,omitzero"`
	// Error says what went wrong.
	Error string `json:"error,omitzero"`
}

// Heard is one message that a handler was called with.
type Heard struct {
	Process string      `json:"process"`
	JTI     string      `json:"jti"`
	Type    signal.Type `json:"type"`
	CID     string      `json:"cid,omitzero"`
	CallID  string      `json:"call_id,omitzero"`
	// From is its issuer: the proxy, in a masked conversation.
	From   string        `json:"from"`
	Reason signal.Reason `json:"reason,omitzero"`
	// Seq and Stored are its sequence and time in VOICE_OUT.
	Seq    uint64    `json:"seq,omitzero"`
	Stored time.Time `json:"stored,omitzero"`
	// Code and Ref are those of an error.
	Code signal.Code `json:"code,omitzero"`
	Ref  string      `json:"ref,omitzero"`
	// Party and ReplacedBy are those in the data of a stop.
	Party      string `json:"party,omitzero"`
	ReplacedBy string `json:"replaced_by,omitzero"`

	// At is when the handler began. Returned is zero if it has not returned.
	// Error is what it returned: an app gets the message again then.
	At       time.Time `json:"-"`
	Returned time.Time `json:"-"`
	Error    string    `json:"-"`
}

// Fault is something that was broken on purpose.
type Fault struct {
	// Kind groups faults in reports, worker-kill say; Target is what was broken.
	Kind   string `json:"kind"`
	Target string `json:"target,omitzero"`
	Detail string `json:"detail,omitzero"`
	// Began and Ended bound the time in which it acted. Ended is zero if nobody
	// has mended it. Result says how that went.
	Began  time.Time `json:"-"`
	Ended  time.Time `json:"-"`
	Result string    `json:"-"`
}

// Floor says that at a time every message in VOICE_IN up to a sequence had been
// acknowledged by the routers: nothing can become of it any more.
type Floor struct {
	Seq uint64
	At  time.Time
}

// Note is a remark for the reader of a history.
type Note struct {
	Text string
	At   time.Time
}
