package voice

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// Message is an incoming message: its claims and where it stands in the stream.
type Message struct {
	signal.Message
	// Seq is the sequence of the message in the stream VOICE_OUT: the order in
	// which routers decided.
	Seq uint64
	// Time is when the broker stored the message.
	Time time.Time

	trace traceparent
}

// NewID returns a random identifier that can serve as a call_id or a jti.
func NewID() string { return rand.Text() }

// raw is an incoming message as the broker delivered it.
type raw struct {
	seq     uint64
	typ     string // the last token of the subject, "" if it is not known
	at      time.Time
	payload []byte
	trace   traceparent
}

// gate judges incoming messages.
type gate struct {
	self    identity.ID
	trusted func(identity.ID) []identity.PublicKey
	// unsigned accepts envelopes without a signature.
	unsigned bool
}

// admit parses and checks r. Its errors quote nothing of the content.
func (g gate) admit(r raw) (Message, error) {
	parse := identity.ParseEnvelope
	if g.unsigned {
		parse = identity.ParseUnverified
	}
	env, err := parse(r.payload)
	if err != nil {
		return Message{}, err
	}
	claims, err := signal.Decode(env.Payload)
	if err != nil {
		return Message{}, err
	}
	m := Message{Message: claims, Seq: r.seq, Time: r.at, trace: r.trace}
	if m.Recipient != g.self {
		return Message{}, errors.New("claim sub is another identity")
	}
	if r.typ != "" && r.typ != string(m.Type) {
		return Message{}, fmt.Errorf("claim typ is %s, the subject's type is %.32q", m.Type, r.typ)
	}
	if g.trusted != nil {
		if keys := g.trusted(m.Issuer); len(keys) > 0 {
			if err := env.Verify(keys); err != nil {
				return Message{}, err
			}
		}
	}
	return m, inTime(m)
}

// inTime judges iat and exp by the broker's timestamp. Only a start can be too
// old: an offer that waited for a router that was down rings nobody, whereas the
// stop that waited with it still has to arrive (docs/protocol.md, "Time").
func inTime(m Message) error {
	err := m.InTime(m.Time, maxAge)
	var refusal *signal.Refusal
	if m.Type != signal.Start && errors.As(err, &refusal) && refusal.Code != signal.CodeFuture {
		return nil
	}
	return err
}

// maxAge is how long before the broker's timestamp a start may have been issued.
const maxAge = 5 * time.Minute
