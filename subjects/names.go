package subjects

// Streams (docs/protocol.md, "Streams and buckets").
const (
	// StreamIn is the work queue that identities write to: voice.*.*.
	StreamIn = "VOICE_IN"
	// StreamOut holds everything that routers commit: inboxes, call records,
	// timers and rejects.
	StreamOut = "VOICE_OUT"
)

// Durable consumers.
const (
	// ConsumerRouter is the queue group of the workers on [StreamIn].
	ConsumerRouter = "router"
	// ConsumerTimeouts delivers fired timers from [StreamOut] to the workers.
	ConsumerTimeouts = "timeouts"
	// ConsumerCalls on [StreamOut] is never pulled from: how many messages it has
	// pending is how many calls are live, as each has one timer.
	ConsumerCalls = "calls"
	// GroupRouter is the priority group of [ConsumerRouter], in which each
	// worker pulls with a priority of its own.
	GroupRouter = "workers"
	// GroupApp is the priority group of an app's durable (see [AppConsumer]), in
	// which one client is pinned and the others stand by.
	GroupApp = "app"
)

// Key-value buckets.
const (
	// BucketRoutes maps a conversation id to its route.
	BucketRoutes = "voice_routes"
	// BucketIdentities maps an identity to its role and public keys.
	BucketIdentities = "voice_identities"
)

// ServiceRouter is the name of the service that every worker runs (NATS micro).
const ServiceRouter = "voice-router"

// Service endpoints that routers answer (NATS micro).
const (
	ServiceCallCreate = "router.call.create"
	ServiceCallEnd    = "router.call.end"
	ServiceCallGet    = "router.call.get"
	ServiceCallList   = "router.call.list"
	ServiceCallVerify = "router.call.verify"
)

// Filters: subjects with wildcards, as streams and consumers want them.
const (
	FilterVoice    = "voice.*.*"
	FilterInbox    = "voice.*.inbox.*"
	FilterCall     = "call.>"
	FilterRejected = "rejected.>"
	FilterSync     = "sync.*"
	FilterLive     = "live.voice.*.inbox.*"
	FilterState    = "call.*.state"
	FilterTimer    = "call.*.timer"
	FilterTimeout  = "call.*.timeout"
	FilterCheck    = "call.*.check"

	// RepublishTo is the destination of the republish rule whose source is
	// [FilterInbox].
	RepublishTo = "live.voice.{{wildcard(1)}}.inbox.{{wildcard(2)}}"
)

// AppConsumer returns the name of the durable through which the app self drains
// its inbox.
func AppConsumer(self string) string { return "app-" + self }

// InboxPrefix returns the prefix of the reply subjects that the connection of
// self may subscribe to, for nats.CustomInboxPrefix.
func InboxPrefix(self string) string { return "_INBOX_" + self }

// RequestMessage returns the JetStream API subject that reads one message of a
// stream from its leader.
func RequestMessage(stream string) string { return "$JS.API.STREAM.MSG.GET." + stream }

// RequestDirect returns the JetStream API subject that reads messages of a
// stream from whichever replica answers.
func RequestDirect(stream string) string { return "$JS.API.DIRECT.GET." + stream }
