package signal

// Type is the kind of a message: the last token of its subject, and its claim
// typ behind "chat.voice.".
type Type string

// The types. Setup, Start, Accept, Busy, Stop and Summary are the upstream six:
// a client that knows only these can make, take, refuse and end a call.
const (
	Setup     Type = "setup"     // proxy -> operator: a conversation exists
	Start     Type = "start"     // caller: an offer
	Ringing   Type = "ringing"   // callee's device: it alerts its user
	Accept    Type = "accept"    // callee: the answer
	Busy      Type = "busy"      // callee: refused, engaged elsewhere
	Stop      Type = "stop"      // either side or the router: it is over
	Candidate Type = "candidate" // either: a trickled ICE candidate (RFC 8838)
	Update    Type = "update"    // either: renegotiation in an active call
	Summary   Type = "summary"   // router or party, after the end
	Error     Type = "error"     // router -> the sender of what was refused
)

// Types lists every type in the order of docs/protocol.md.
func Types() []Type {
	return []Type{Setup, Start, Ringing, Accept, Busy, Stop, Candidate, Update, Summary, Error}
}

// ParseType returns the type that s names; ok is false if there is none.
func ParseType(s string) (t Type, ok bool) {
	switch t = Type(s); t {
	case Setup, Start, Ringing, Accept, Busy, Stop, Candidate, Update, Summary, Error:
		return t, true
	default:
		return "", false
	}
}

// Claim returns the value of the claim typ: "chat.voice." and the type.
func (t Type) Claim() string { return claimPrefix + string(t) }

const claimPrefix = "chat.voice."

// HasData reports whether messages of this type carry the claim data across the
// mask.
func (t Type) HasData() bool {
	switch t {
	case Start, Accept, Update, Summary:
		return true
	default:
		return false
	}
}

// HasPeerInfo reports whether messages of this type carry the claim peer_info.
func (t Type) HasPeerInfo() bool {
	switch t {
	case Start, Accept, Candidate, Update:
		return true
	default:
		return false
	}
}
