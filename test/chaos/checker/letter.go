package checker

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// letter is a message in an inbox.
type letter struct {
	seq        uint64
	at         time.Time
	to, from   string
	jti        string
	typ        signal.Type
	cid        string
	callID     string
	reason     signal.Reason
	party      string
	replacedBy string
	code       signal.Code
	ref        string
}

// open reads a stored envelope.
func open(m Message, to string) (letter, identity.Envelope, error) {
	env, err := identity.ParseEnvelope(m.Data)
	if err != nil {
		return letter{}, env, fmt.Errorf("envelope at sequence %d: %w", m.Seq, err)
	}
	c, err := signal.Decode(env.Payload)
	if err != nil {
		return letter{}, env, fmt.Errorf("claims at sequence %d: %w", m.Seq, err)
	}
	l := letter{
		seq: m.Seq, at: m.Time, to: to, from: c.Issuer.String(), jti: c.JTI, typ: c.Type,
		cid: c.CID, callID: c.CallID, reason: c.Reason,
	}
	var data struct {
		Party      string      `json:"party"`
		ReplacedBy string      `json:"replaced_by"`
		Code       signal.Code `json:"code"`
		Ref        string      `json:"ref"`
	}
	if c.Type == signal.Stop || c.Type == signal.Error {
		_ = json.Unmarshal(c.Data, &data) // absent in most stops; what an endpoint writes is its own affair
	}
	l.party, l.replacedBy, l.code, l.ref = data.Party, data.ReplacedBy, data.Code, data.Ref
	return l, env, nil
}

// ends reports whether l tells its recipient that a call is over: for the callee
// a stop answered_elsewhere ends the alerting of a device only.
func (l letter) ends(caller bool) bool {
	switch l.typ {
	case signal.Busy:
		return true
	case signal.Stop:
		return caller || l.reason != signal.AnsweredElsewhere
	default:
		return false
	}
}

// why is the reason that l gives for the end of a call.
func (l letter) why() signal.Reason {
	if l.typ == signal.Busy {
		return signal.BusyHere
	}
	return l.reason
}
