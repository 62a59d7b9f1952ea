package signal

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/identity"
)

// Limits of claims, in bytes.
const (
	MaxJTI       = 128
	MaxPeerInfo  = 32 << 10
	MaxData      = 8 << 10
	MaxDataDepth = 16 // nested objects and arrays, not bytes
	MaxReason    = 64
)

// Message is the content of one message: the claims in its JWS. A Message that
// [Decode] returned is valid; one that a program fills in is checked by
// [Message.Encode].
type Message struct {
	// Type is the claim typ.
	Type Type
	// JTI identifies the message among all of its issuer; 1 to 128 bytes of
	// visible ASCII. Receivers drop repeats.
	JTI string
	// Issuer is who signs, claim iss.
	Issuer identity.ID
	// Recipient is where it goes, claim sub: a proxy or, in direct mode, the
	// receiver itself.
	Recipient identity.ID
	// IssuedAt and ExpiresAt are the claims iat and exp, to the second or finer.
	IssuedAt, ExpiresAt time.Time
	// CID names the conversation; empty only in errors about what had none.
	CID string
	// CallID names the call attempt; empty in setup, and in errors about what
	// had none.
	CallID string
	// PeerInfo is opaque to the router: an SDP or ICE candidate, say.
	PeerInfo string
	// Data is a JSON object, or nil.
	Data jsontext.Value
	// Party names the device that sends; "" for clients that know no parties.
	Party string
	// Reason says why a stop ends the call. Values outside of [Reasons] are
	// tolerated and not passed on.
	Reason Reason
}

// Fault is the data of an error message.
type Fault struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
	// Ref is the jti of the message that was refused.
	Ref string `json:"ref"`
}

// Fault returns the data of an error message; ok is false if m is none.
func (m Message) Fault() (f Fault, ok bool) {
	if m.Type != Error || json.Unmarshal(m.Data, &f) != nil {
		return Fault{}, false
	}
	return f, true
}
