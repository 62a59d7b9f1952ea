package subjects

import "strings"

// Accounts of the broker (docs/protocol.md, "Accounts and permissions").
const (
	// AccountRouter holds the streams, the buckets and the routers.
	AccountRouter = "ROUTER"
	// AccountVoice holds the identities.
	AccountVoice = "VOICE"
	// AccountSystem is the server's own account.
	AccountSystem = "SYS"
)

// Subjects of the JetStream API and of NATS services, as permissions, exports
// and imports name them.
const (
	// RequestAccountInfo asks for the limits and the API level of the account.
	RequestAccountInfo = "$JS.API.INFO"
	// FilterServices matches discovery and statistics of NATS services.
	FilterServices = "$SRV.>"
	// FilterServiceCalls matches the endpoints router.call.*.
	FilterServiceCalls = "router.call.*"
	// FilterServiceReplies matches what the server makes of the reply subject of a
	// request that crossed from one account to another.
	FilterServiceReplies = "_R_.>"
	// FilterInboxes matches the reply subjects of a client without a prefix of its
	// own (see [InboxPrefix]).
	FilterInboxes = "_INBOX.>"
)

// SafeReply reports whether a reply subject can name nothing but an inbox: what
// answers on a subject that a client chose could otherwise write to a stream.
func SafeReply(reply string) bool {
	return strings.HasPrefix(reply, "_R_.") || strings.HasPrefix(reply, "_INBOX")
}

// RequestServiceInfo returns the subject on which every instance of a NATS service
// describes itself.
func RequestServiceInfo(service string) string { return "$SRV.INFO." + service }

// RequestStreamInfo returns the API subject that describes a stream.
func RequestStreamInfo(stream string) string { return "$JS.API.STREAM.INFO." + stream }

// RequestConsumerInfo returns the API subject that describes a consumer; the
// consumer may be "*".
func RequestConsumerInfo(stream, consumer string) string {
	return "$JS.API.CONSUMER.INFO." + stream + "." + consumer
}

// RequestNext returns the API subject that pulls from a consumer, which may be
// "*".
func RequestNext(stream, consumer string) string {
	return "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer
}

// FilterAck matches the acknowledgements of a consumer, which may be "*".
func FilterAck(stream, consumer string) string {
	return "$JS.ACK." + stream + "." + consumer + ".>"
}

// FilterDirect matches the direct gets by subject of a stream.
func FilterDirect(stream string) string { return RequestDirect(stream) + ".>" }

// FilterConsumerCreate matches the creation of named consumers on a stream.
func FilterConsumerCreate(stream string) string { return "$JS.API.CONSUMER.CREATE." + stream + ".>" }

// FilterConsumerDelete matches the deletion of consumers of a stream.
func FilterConsumerDelete(stream string) string { return "$JS.API.CONSUMER.DELETE." + stream + ".*" }

// FilterFlowControl matches the flow control replies of push consumers on a
// stream.
func FilterFlowControl(stream string) string { return "$JS.FC." + stream + ".>" }

// RequestStepDown returns the JetStream API subject that has the leader of a
// stream hand over to another server.
func RequestStepDown(stream string) string { return "$JS.API.STREAM.LEADER.STEPDOWN." + stream }

// RequestConsumerStepDown does so with the leader of a consumer.
func RequestConsumerStepDown(stream, consumer string) string {
	return "$JS.API.CONSUMER.LEADER.STEPDOWN." + stream + "." + consumer
}

// RequestMetaStepDown has the leader of the JetStream of all accounts hand over;
// the account SYS may ask for it.
const RequestMetaStepDown = "$JS.API.META.LEADER.STEPDOWN"
