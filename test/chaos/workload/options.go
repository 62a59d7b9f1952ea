package workload

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/test/chaos/history"
	"github.com/voicerouter/voicerouter/voice"
)

// Options configures a [Workload]. Cast, Connect, Routes and Recorder are
// required; the zero value of everything else means its default.
type Options struct {
	Cast Cast
	// Connect returns how an identity connects and signs: URL, SigningKey and the
	// key of the connection. The rest is filled in.
	Connect func(self string) voice.Options
	// Routes stores a route; see [RoutesIn].
	Routes func(ctx context.Context, cid string, route call.Route) error
	// Recorder receives everything that happens.
	Recorder *history.Recorder
	// JetStream, with the rights of the admin, serves [Workload.Quiesce], and
	// records how far the routers have come. Default: none, and Quiesce waits for
	// the calls alone.
	JetStream jetstream.JetStream

	// Seed decides which turns each call takes.
	Seed uint64
	// CallsPerSecond begin on average. Default 5.
	CallsPerSecond float64
	// Slots is how many calls may be on at once; while all are taken none begins.
	// Default: 4 for each operator.
	Slots int
	// CallsPerConversation is how many calls follow one another on a cid. Default
	// 10: a record remembers 32 call_ids.
	CallsPerConversation int
	// Talk is how long a call is active on average. Default 500 ms.
	Talk time.Duration
	// RingTimeout is that of the fleet. Default 60 s.
	RingTimeout time.Duration
	// Patience is how long a side waits for what should come. Default 20 s.
	Patience time.Duration
	// SyncEvery is that of the SDK. Default 5 s.
	SyncEvery time.Duration
	// Logger receives what endpoints complain of. Default: discarded.
	Logger *slog.Logger
}

// holdFor has endpoints wait for what is missing rather than hand over what came
// behind it: an order that the state machine forbids is a defect here.
const holdFor = 60 * time.Second

func (o Options) withDefaults() (Options, error) {
	switch {
	case len(o.Cast.Operators) == 0 || len(o.Cast.Operators) != len(o.Cast.Customers) || o.Cast.Proxy == "":
		return o, errors.New("workload: option Cast: want a proxy and as many operators as customers, see NewCast")
	case o.Connect == nil || o.Routes == nil || o.Recorder == nil:
		return o, errors.New("workload: options Connect, Routes and Recorder are required")
	case o.CallsPerSecond < 0 || o.Slots < 0 || o.CallsPerConversation < 0:
		return o, errors.New("workload: options CallsPerSecond, Slots and CallsPerConversation must not be negative")
	}
	fill(&o.CallsPerSecond, 5)
	fill(&o.Slots, 4*len(o.Cast.Operators))
	fill(&o.CallsPerConversation, 10)
	fill(&o.Talk, 500*time.Millisecond)
	fill(&o.RingTimeout, time.Minute)
	fill(&o.Patience, 20*time.Second)
	fill(&o.SyncEvery, 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func fill[T comparable](value *T, fallback T) {
	var zero T
	if *value == zero {
		*value = fallback
	}
}
