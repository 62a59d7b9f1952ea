package subjects

import "strings"

// Kind is what stands behind a subject, and so what a message on it sets off.
type Kind int

const (
	// Plain subjects lead to whoever subscribes: services, replies.
	Plain Kind = iota
	// Stored subjects belong to a stream or bucket.
	Stored
	// API subjects are requests to JetStream, or to the server itself.
	API
	// Ack subjects are those on which deliveries are acknowledged and flow control
	// is answered.
	Ack
)

// KindOf returns the kind of a subject or filter of the accounts ROUTER and
// VOICE.
func KindOf(subject string) Kind {
	first, rest, _ := strings.Cut(subject, ".")
	switch first {
	case "voice", "call", "rejected", "$KV":
		return Stored
	case "$SYS":
		return API
	case "$JS":
		if strings.HasPrefix(rest, "API.") {
			return API
		}
		return Ack
	default:
		return Plain
	}
}

// RequestStreamCreate returns the API subject that creates a stream.
func RequestStreamCreate(stream string) string { return "$JS.API.STREAM.CREATE." + stream }

// RequestStreamUpdate returns the API subject that changes a stream.
func RequestStreamUpdate(stream string) string { return "$JS.API.STREAM.UPDATE." + stream }

// RequestStreamDelete returns the API subject that deletes a stream.
func RequestStreamDelete(stream string) string { return "$JS.API.STREAM.DELETE." + stream }

// RequestStreamPurge returns the API subject that empties a stream.
func RequestStreamPurge(stream string) string { return "$JS.API.STREAM.PURGE." + stream }

// RequestMessageDelete returns the API subject that deletes one message of a
// stream.
func RequestMessageDelete(stream string) string { return "$JS.API.STREAM.MSG.DELETE." + stream }

// RequestConsumerDelete returns the API subject that deletes a consumer.
func RequestConsumerDelete(stream, consumer string) string {
	return "$JS.API.CONSUMER.DELETE." + stream + "." + consumer
}

// RequestServers asks every server for its configuration and state (VARZ); it is
// answered in the account [AccountSystem].
const RequestServers = "$SYS.REQ.SERVER.PING.VARZ"
