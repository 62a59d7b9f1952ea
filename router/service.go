package router

import (
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// The requests and answers of the services router.call.*, JSON over NATS. An
// answer to a request that was refused has the headers Nats-Service-Error and
// Nats-Service-Error-Code, one of the Service codes.

// CreateRequest creates a conversation: it stores the route and tells the
// operator with a setup.
type CreateRequest struct {
	CID string `json:"cid"`
	call.Route
	// TTL is the life of the route in seconds; it sets expires_at. 0: none.
	TTL int64 `json:"ttl,omitzero"`
	// NoSetup leaves out the message to the operator.
	NoSetup bool `json:"no_setup,omitzero"`
	// Replace allows a route to exist already.
	Replace bool `json:"replace,omitzero"`
}

// CreateResponse is the answer to a [CreateRequest].
type CreateResponse struct {
	CID      string     `json:"cid"`
	Route    call.Route `json:"route"`
	Revision uint64     `json:"revision"`
}

// EndRequest ends the current call of a conversation with admin_terminated.
type EndRequest struct {
	CID string `json:"cid"`
	// CallID, if set, is the only call that may be ended.
	CallID string `json:"call_id,omitzero"`
}

// EndResponse is the answer to an [EndRequest].
type EndResponse struct {
	CID    string        `json:"cid"`
	CallID string        `json:"call_id"`
	Reason signal.Reason `json:"reason"`
}

// GetRequest reads a conversation.
type GetRequest struct {
	CID string `json:"cid"`
	// History asks for every version of the record, the timeline.
	History bool `json:"history,omitzero"`
}

// GetResponse is the answer to a [GetRequest]. A route, a state or both exist.
type GetResponse struct {
	CID     string          `json:"cid"`
	Route   *call.Route     `json:"route,omitzero"`
	State   *call.State     `json:"state,omitzero"`
	History []HistoryRecord `json:"history,omitempty"`
}

// HistoryRecord is one version of a call record.
type HistoryRecord struct {
	Seq   uint64     `json:"seq"`
	Time  time.Time  `json:"time"`
	State call.State `json:"state"`
}

// ListRequest lists conversations that have a call record.
type ListRequest struct {
	// All includes conversations whose last call has ended, if their record
	// changed in the last Since seconds.
	All bool `json:"all,omitzero"`
	// Since goes with All; default one hour.
	Since int64 `json:"since,omitzero"`
	// Limit bounds the answer; default and most 1000.
	Limit int `json:"limit,omitzero"`
	// Identity, if set, is customer, operator or proxy of everything listed.
	Identity identity.ID `json:"identity,omitzero"`
}

// ListResponse is the answer to a [ListRequest].
type ListResponse struct {
	Calls []ListedCall `json:"calls"`
	// More says that there are further ones.
	More bool `json:"more"`
}

// ListedCall is one line of a list.
type ListedCall struct {
	CID       string        `json:"cid"`
	CallID    string        `json:"call_id"`
	Phase     call.Phase    `json:"state"`
	Reason    signal.Reason `json:"reason,omitzero"`
	StartedAt time.Time     `json:"started_at,omitzero"`
	EndedAt   time.Time     `json:"ended_at,omitzero"`
}

// Service codes, in the header Nats-Service-Error-Code.
const (
	ServiceBadRequest = "bad_request" // the request is not valid; the text says why
	ServiceNotFound   = "not_found"   // no such conversation, or no call on it
	ServiceExists     = "exists"      // the conversation exists already
	ServiceFailed     = "failed"      // the router could not do it now; try again
)

// VerifyRequest looks for leaks in the mask of a conversation.
type VerifyRequest struct {
	CID string `json:"cid"`
}

// VerifyResponse is the answer to a [VerifyRequest].
type VerifyResponse struct {
	CID string `json:"cid"`
	// Searched is the number of messages of the conversation in both inboxes.
	Searched int       `json:"searched"`
	Findings []Finding `json:"findings"`
	// More says that there is more to find or to search than the bounds allow.
	More bool `json:"more"`
}

// Finding is a place where one side can read the identity of the other.
type Finding struct {
	// Seq is the sequence of the message in VOICE_OUT.
	Seq uint64 `json:"seq"`
	// Reader is the side in whose inbox it is, Names the side whose identity it
	// contains: customer or operator.
	Reader string `json:"reader"`
	Names  string `json:"names"`
	// Where is the place: subject, header.NAME, protected, claims.NAME.NAME, or
	// payload for what is no JSON.
	Where string `json:"where"`
}
