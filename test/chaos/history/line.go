package history

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// kind says what a line tells.
type kind string

const (
	kindProcess      kind = "process"
	kindProcessEnd   kind = "process_end"
	kindConversation kind = "conversation"
	kindSend         kind = "send"
	kindOutcome      kind = "outcome"
	kindHeard        kind = "heard"
	kindReturned     kind = "returned"
	kindFault        kind = "fault"
	kindFaultEnd     kind = "fault_end"
	kindFloor        kind = "floor"
	kindNote         kind = "note"
)

// line is one line of the file. ID joins what begins with what ends.
type line struct {
	Kind kind      `json:"kind"`
	ID   uint64    `json:"id,omitzero"`
	At   time.Time `json:"at"`

	Process      *Process      `json:"process,omitzero"`
	Conversation *Conversation `json:"conversation,omitzero"`
	Send         *Send         `json:"send,omitzero"`
	Outcome      *Outcome      `json:"outcome,omitzero"`
	Heard        *Heard        `json:"heard,omitzero"`
	Fault        *Fault        `json:"fault,omitzero"`
	Killed       bool          `json:"killed,omitzero"`
	Error        string        `json:"error,omitzero"`
	Seq          uint64        `json:"seq,omitzero"`
	Text         string        `json:"text,omitzero"`
}

// ErrLine is wrapped by the error for a line that is none of a history.
var ErrLine = errors.New("history: not a line of a history")

func (l line) encode() ([]byte, error) {
	b, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("history: write a line %s: %w", l.Kind, err)
	}
	return append(b, '\n'), nil
}

// decode reads one line, without its line break.
func decode(data []byte) (line, error) {
	var l line
	if err := json.Unmarshal(data, &l, json.RejectUnknownMembers(true)); err != nil {
		return line{}, fmt.Errorf("%w: %w", ErrLine, err)
	}
	if !l.whole() {
		return line{}, fmt.Errorf("%w: kind %.32q without what belongs to it, or unknown", ErrLine, string(l.Kind))
	}
	return l, nil
}

// whole reports whether l has the member that its kind demands.
func (l line) whole() bool {
	switch l.Kind {
	case kindProcess:
		return l.Process != nil
	case kindConversation:
		return l.Conversation != nil
	case kindSend:
		return l.Send != nil
	case kindOutcome:
		return l.Outcome != nil
	case kindHeard:
		return l.Heard != nil
	case kindFault:
		return l.Fault != nil
	case kindProcessEnd, kindReturned, kindFaultEnd, kindFloor, kindNote:
		return true
	default:
		return false
	}
}
