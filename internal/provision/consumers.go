package provision

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
)

// maxAckPending bounds what all workers together have fetched and not yet
// acknowledged, delayed messages included.
const maxAckPending = 20000

type consumerSetting = setting[jetstream.ConsumerConfig]

// routerConsumer is the queue group of the workers. With the prioritized policy
// a burst of one call goes to one worker; dealt round robin it would collide
// with itself.
func routerConsumer(o Options) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:        subjects.ConsumerRouter,
		Description:    "The queue group of the routers",
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        o.AckWait,
		MaxDeliver:     -1,
		MaxAckPending:  maxAckPending,
		FilterSubject:  subjects.FilterVoice,
		PriorityPolicy: jetstream.PriorityPolicyPrioritized,
		PriorityGroups: []string{subjects.GroupRouter},
	}
}

// timeoutsConsumer delivers fired timers to the workers.
func timeoutsConsumer(o Options) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       subjects.ConsumerTimeouts,
		Description:   "Fired timers of calls",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       o.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: maxAckPending,
		FilterSubject: subjects.FilterTimeout,
	}
}

// callsConsumer counts live calls and delivers nothing: every live masked call has
// exactly one timer, so that what is pending here is what is live. The server keeps
// the number up to date; to ask for it costs one request (ADR 0020).
func callsConsumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       subjects.ConsumerCalls,
		Description:   "Counts the live calls; nobody pulls from it",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       DefaultAckWait,
		MaxDeliver:    -1,
		MaxAckPending: 1,
		FilterSubject: subjects.FilterTimer,
	}
}

// appConsumer is the durable of an app: one client is pinned to it and drains
// it, the others stand by.
func appConsumer(id identity.ID) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:        subjects.AppConsumer(id.String()),
		Description:    "Inbox of the app " + id.String(),
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        AppAckWait,
		MaxDeliver:     -1,
		MaxAckPending:  1000,
		FilterSubject:  subjects.InboxAll(id.String()),
		PriorityPolicy: jetstream.PriorityPolicyPinned,
		PriorityGroups: []string{subjects.GroupApp},
		PinnedTTL:      AppPinnedTTL,
	}
}

func consumerSettings() []consumerSetting {
	return []consumerSetting{
		fixed(field("deliver policy", func(c *jetstream.ConsumerConfig) *jetstream.DeliverPolicy { return &c.DeliverPolicy })),
		fixed(field("ack policy", func(c *jetstream.ConsumerConfig) *jetstream.AckPolicy { return &c.AckPolicy })),
		fixed(field("deliver subject", func(c *jetstream.ConsumerConfig) *string { return &c.DeliverSubject })),
		field("ack wait", func(c *jetstream.ConsumerConfig) *time.Duration { return &c.AckWait }),
		field("backoff", func(c *jetstream.ConsumerConfig) *[]time.Duration { return &c.BackOff }),
		field("maximum deliveries", func(c *jetstream.ConsumerConfig) *int { return &c.MaxDeliver }),
		field("maximum pending acknowledgements", func(c *jetstream.ConsumerConfig) *int { return &c.MaxAckPending }),
		field("filter", func(c *jetstream.ConsumerConfig) *string { return &c.FilterSubject }),
		field("filters", func(c *jetstream.ConsumerConfig) *[]string { return &c.FilterSubjects }),
		field("headers only", func(c *jetstream.ConsumerConfig) *bool { return &c.HeadersOnly }),
		field("inactive threshold", func(c *jetstream.ConsumerConfig) *time.Duration { return &c.InactiveThreshold }),
		field("priority policy", func(c *jetstream.ConsumerConfig) *jetstream.PriorityPolicy { return &c.PriorityPolicy }),
		field("priority groups", func(c *jetstream.ConsumerConfig) *[]string { return &c.PriorityGroups }),
		field("pinned TTL", func(c *jetstream.ConsumerConfig) *time.Duration { return &c.PinnedTTL }),
	}
}
