package call

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// Version is the version of the record that this package writes. Records of a
// higher version are not touched: [DecodeState] returns [ErrNewerVersion]. Timers
// carry it as well. What a release may add under the same version says ADR 0019.
const Version = 1

// Mode says how a conversation is routed.
type Mode string

// The modes.
const (
	Masked Mode = "masked" // through a proxy that the fleet serves
	Direct Mode = "direct" // envelopes passed on as they are
)

// Phase is where the current call of a conversation stands.
type Phase string

// The phases. None is a conversation on which nothing has rung yet.
const (
	None    Phase = "none"
	Ringing Phase = "ringing"
	Active  Phase = "active"
	Ended   Phase = "ended"
)

// State is the record of one conversation: what call.<key>.state holds. The
// history of that subject is the timeline of the conversation and its call
// detail record.
type State struct {
	Version int    `json:"v"`
	Mode    Mode   `json:"mode"`
	Phase   Phase  `json:"state"`
	CID     string `json:"cid"`
	CallID  string `json:"call_id,omitzero"`

	// Proxy is set in masked mode. In direct mode Customer and Operator are the
	// two ends in no particular role.
	Proxy    identity.ID `json:"proxy,omitzero"`
	Customer identity.ID `json:"customer,omitzero"`
	Operator identity.ID `json:"operator,omitzero"`
	// OperatorName, Start and DataAllow are copied from the route when a call
	// starts. Start is kept because a crossing start (glare) is judged without the
	// route.
	OperatorName string    `json:"operator_name,omitzero"`
	Start        StartSide `json:"start,omitzero"`
	DataAllow    []string  `json:"data_allow,omitempty"`
	// MaskCallID is copied from the route as well. CallID is what Caller uses.
	MaskCallID bool `json:"mask_call_id,omitzero"`

	Caller      identity.ID `json:"caller,omitzero"`
	CallerParty string      `json:"caller_party,omitzero"`
	// Offer is a hash of the caller's peer_info: it tells a repeated start from
	// another one.
	Offer   string  `json:"offer,omitzero"`
	Parties []Party `json:"parties,omitempty"`
	// Winner is the party that answered, "" if it named none.
	Winner string `json:"winner,omitzero"`

	Reason signal.Reason `json:"reason,omitzero"`
	// EndedBy is the identity that ended the call, or "router".
	EndedBy identity.ID `json:"ended_by,omitzero"`

	StartedAt  time.Time `json:"started_at,omitzero"`
	RingingAt  time.Time `json:"ringing_at,omitzero"`
	AnsweredAt time.Time `json:"answered_at,omitzero"`
	EndedAt    time.Time `json:"ended_at,omitzero"`
	// Deadline is when the current timer is due; Epoch is its number, which only
	// grows over the life of the record.
	Deadline time.Time `json:"deadline,omitzero"`
	Epoch    uint64    `json:"epoch,omitzero"`

	Past    []PastCall `json:"past,omitempty"`
	Applied []Mark     `json:"applied,omitempty"`
	// Last is the event that led to this record.
	Last Last `json:"last"`

	// Unknown holds the members that a later release wrote under the same version.
	// They are written back as they were read, through every decision: a worker
	// that does not know them must not take them from those that do.
	Unknown jsontext.Value `json:",embed"`
}

// Party is a device of the callee that rings.
type Party struct {
	Name string `json:"name"`
	// Busy is set when this device has refused while others ring on.
	Busy bool `json:"busy,omitzero"`
}

// PastCall remembers a call_id that may not be used again. A reason without a
// call, a tombstone, is what a stop leaves that overtook its start.
type PastCall struct {
	CallID string        `json:"call_id"`
	Reason signal.Reason `json:"reason"`
	At     time.Time     `json:"at"`
	// ReplacedBy is the surviving call_id, if this one lost to glare.
	ReplacedBy string `json:"replaced_by,omitzero"`
	// HungUp is set if the callee ended the call after answering it: the callee.
	// Nothing has told that to its devices besides the one that answered.
	HungUp identity.ID `json:"hung_up,omitzero"`
	// By is set if the call never rang: who sent the stop that left this
	// tombstone, or the start that was refused or lost to the call that rang. One side may leave only so many
	// of these, so that it cannot use up the other's share.
	By identity.ID `json:"by,omitzero"`
	// Caller is set if the call_id is masked: the side whose call_id this is, the
	// other one knows it by an alias.
	Caller identity.ID `json:"caller,omitzero"`
}

// Last is what was last applied to a record, for the reader of a timeline.
type Last struct {
	// Type is the type of the message, or "timeout" or "forced_end".
	Type string `json:"type"`
	// From is who sent it; "router" for timeouts and forced ends.
	From  identity.ID `json:"from,omitzero"`
	Party string      `json:"party,omitzero"`
	// CallID is the call_id of the event, which may differ from the current one.
	CallID string    `json:"call_id,omitzero"`
	At     time.Time `json:"at"`
	// Code is set if the message was refused.
	Code signal.Code `json:"code,omitzero"`
}

// Live reports whether a call is ringing or active. While it is, the identities
// in the record count, not the route. A nil record is not live.
func (s *State) Live() bool {
	return s != nil && (s.Phase == Ringing || s.Phase == Active)
}

// Over reports whether the call that one of the sides knows by callID is known to
// have ended.
func (s *State) Over(callID string) bool {
	if s.leg().goesBy(s.CID, callID) {
		return !s.Live()
	}
	return slices.ContainsFunc(s.Past, func(p PastCall) bool { return p.leg().goesBy(s.CID, callID) })
}

// Counterpart returns the other side of the conversation; ok is false if id is
// not one of its two sides.
func (s *State) Counterpart(id identity.ID) (other identity.ID, ok bool) {
	switch {
	case s == nil || id.IsZero():
		return identity.ID{}, false
	case id == s.Customer:
		return s.Operator, true
	case id == s.Operator:
		return s.Customer, true
	default:
		return identity.ID{}, false
	}
}

// Callee returns the side that the current or last call rang; zero if there has
// been no call.
func (s *State) Callee() identity.ID {
	callee, _ := s.Counterpart(s.Caller)
	return callee
}

// Talked is how long the last call was connected: from its answer to its end; 0
// if it has not been answered or has not ended.
func (s *State) Talked() time.Duration {
	if s.AnsweredAt.IsZero() || s.EndedAt.Before(s.AnsweredAt) {
		return 0
	}
	return s.EndedAt.Sub(s.AnsweredAt)
}

// current reports whether callID names the call that the table speaks of.
func (s *State) current(callID string) bool {
	return s != nil && callID != "" && callID == s.CallID
}

// alerting reports whether a party other than except rings and has not refused.
// Devices that name no party count only if unnamed is set.
func (s *State) alerting(except string, unnamed bool) bool {
	return slices.ContainsFunc(s.Parties, func(p Party) bool {
		return !p.Busy && p.Name != except && (unnamed || p.Name != "")
	})
}

// clone copies s so deeply that nothing is shared that a decision may change.
func (s *State) clone() *State {
	c := *s
	c.DataAllow = slices.Clone(s.DataAllow)
	c.Parties = slices.Clone(s.Parties)
	c.Past = slices.Clone(s.Past)
	// One more mark is about to be added.
	c.Applied = append(make([]Mark, 0, len(s.Applied)+1), s.Applied...)
	return &c
}
