package signal

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxSync is the number of messages in one answer of the sync service, and the
// default of [SyncRequest.Max].
const MaxSync = 256

// SyncRequest asks for the inbox of the identity in the subject of the request
// (docs/protocol.md, "Sync").
type SyncRequest struct {
	// Since is a sequence of the stream VOICE_OUT: what is wanted lies behind it.
	// 0 is a cold start, answered with the last 5 minutes.
	Since uint64 `json:"since"`
	// Max is the number of messages wanted at once; 0 means [MaxSync].
	Max int `json:"max,omitzero"`
}

// SyncResponse is the answer to a [SyncRequest].
type SyncResponse struct {
	// Messages are oldest first.
	Messages []SyncMessage `json:"messages"`
	// More says that there are messages behind Upto: ask again with Since set to
	// Upto.
	More bool `json:"more"`
	// Upto is a sequence up to which everything for the identity has been
	// returned, by this answer and those before.
	Upto uint64 `json:"upto"`
	// Ended names calls among Messages that are over, as far as the service says:
	// in answer to a cold start, so that an endpoint is not told of calls that it
	// ended itself. Its own stop is not in its inbox.
	Ended []SyncCall `json:"ended,omitzero"`
	// Error is set, and all else is not, if the request was refused.
	Error *SyncError `json:"error,omitzero"`
}

// SyncMessage is one stored message of an inbox.
type SyncMessage struct {
	// Seq is the sequence in the stream VOICE_OUT.
	Seq uint64 `json:"seq"`
	// Type is the last token of the stored subject.
	Type string `json:"type"`
	// Time is the broker's timestamp.
	Time time.Time `json:"time"`
	// Payload is the flattened JWS.
	Payload jsontext.Value `json:"payload"`
}

// SyncCall names one call.
type SyncCall struct {
	CID    string `json:"cid"`
	CallID string `json:"call_id"`
}

// SyncError says why a sync request was refused.
type SyncError struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
}
