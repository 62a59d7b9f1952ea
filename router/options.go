package router

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// Options configures a [Router]. Conn is required; the zero value of everything
// else means its default.
type Options struct {
	// Conn is a connection to the account that holds the streams. The router
	// does not close it. Open it with nats.SyncQueueLen([SyncQueueLen]).
	Conn *nats.Conn
	// Proxies are the identities on whose behalf the router acts, with the keys
	// that sign for them.
	Proxies map[identity.ID]identity.PrivateKey
	// RouterKey signs errors in direct mode, as the identity "router". Without
	// one a key is made that nobody knows.
	RouterKey identity.PrivateKey
	// Unsigned does without signatures, in a closed network: what comes in is not
	// verified, what goes out is not signed. Who sends is then whom the broker
	// admits (docs/security.md, "Without signatures").
	Unsigned bool
	// Directory finds keys and roles; default: the bucket voice_identities.
	Directory identity.Directory
	// Policy holds the limits of calls.
	Policy call.Policy
	// Limits bound what one identity may send.
	Limits Limits
	// MaxMessageAge is how long before the broker received it a message may have
	// been issued; default 5 min.
	MaxMessageAge time.Duration
	// Batch is how many messages are verified and committed together at most;
	// default 900.
	Batch int
	// Cache is the number of call records kept in memory; default 4096.
	Cache int
	// Priority of this worker among those that share the consumer, 1 (first) to
	// 9; default: one that no other worker has. Workers of different priority do
	// not compete for the messages of one call while the first of them keeps up.
	Priority int
	choose   bool // Priority is the worker's own choice
	// Logger receives what operators need to know, no content of messages.
	Logger *slog.Logger
	// Registerer receives the metrics; default: none.
	Registerer prometheus.Registerer
	// TracerProvider makes the spans of the worker; default: none, at no cost. Its
	// sampler should go by the trace, not by the parent, which clients choose.
	TracerProvider trace.TracerProvider
	// Now stamps what the router signs; default time.Now. No decision depends
	// on it.
	Now func() time.Time
}

// SyncQueueLen is how many messages a subscription that is read one by one has to have
// room for. Each read of records makes one; with the 65536 of nats.go a quarter of what a
// worker allocates is room for messages that never come.
const SyncQueueLen = 2 * timersPage

// Limits of a batch. The server accepts 1000 messages in an atomic batch.
const (
	maxBatchMessages = 900
	maxBatchBytes    = 8 << 20
	maxJobsPerCall   = 100
)

func (o Options) withDefaults() (Options, error) {
	if o.MaxMessageAge <= 0 {
		o.MaxMessageAge = 5 * time.Minute
	}
	o.Limits = o.Limits.withDefaults()
	if o.Policy.Replayable <= 0 {
		o.Policy.Replayable = o.MaxMessageAge + 2*signal.Skew
	}
	if o.Batch <= 0 {
		o.Batch = 900
	}
	if o.Cache <= 0 {
		o.Cache = 4096
	}
	o.choose = o.Priority < 1 || o.Priority > lastPriority
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RouterKey.IsZero() {
		key, err := identity.GenerateKey("1")
		if err != nil {
			return o, err
		}
		o.RouterKey = key
	}
	return o, nil
}
