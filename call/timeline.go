package call

import (
	"time"

	"github.com/voicerouter/voicerouter/identity"
)

// Entry is one line of a timeline: what happened and where the call stood after
// it. The timeline of a conversation is the entries of the history of its record.
type Entry struct {
	Time   time.Time   `json:"time"`
	CID    string      `json:"cid"`
	CallID string      `json:"call_id,omitzero"`
	From   identity.ID `json:"from,omitzero"`
	Party  string      `json:"party,omitzero"`
	// Type is as in [Last].
	Type string `json:"type"`
	// Code is set if the message was refused.
	Code string `json:"code,omitzero"`
	// State and Reason are those of the current call, which CallID need not name.
	State   Phase  `json:"state"`
	Current string `json:"current,omitzero"`
	Reason  string `json:"reason,omitzero"`
}

// Entry returns the line that this record contributes to the timeline.
func (s *State) Entry() Entry {
	return Entry{
		Time: s.Last.At, CID: s.CID, CallID: s.Last.CallID, From: s.Last.From, Party: s.Last.Party,
		Type: s.Last.Type, Code: string(s.Last.Code),
		State: s.Phase, Current: s.CallID, Reason: string(s.Reason),
	}
}
