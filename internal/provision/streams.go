package provision

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/subjects"
)

// Limits of the streams (docs/protocol.md, "Streams and buckets").
const (
	maxPerSubject = 1000 // waiting messages of one type of one identity
	maxInbound    = 64 << 10
	maxOutbound   = 512 << 10
	maxValue      = 32 << 10 // of a bucket
	dedupeWindow  = 2 * time.Minute
	// markerTTL is how long a bucket remembers a key that expired; it is also what
	// allows a key to expire on its own, as routes do.
	markerTTL = time.Minute
)

type streamSetting = setting[jetstream.StreamConfig]

// inbound is the stream that identities can write to. Everything by which a
// header of a message could reach beyond its own subject is off: rollup,
// schedules, TTL and batches.
func inbound(o Options) (jetstream.StreamConfig, []streamSetting) {
	cfg := jetstream.StreamConfig{
		Name:                 subjects.StreamIn,
		Description:          "Signalling as identities sent it, waiting for the routers",
		Subjects:             []string{subjects.FilterVoice},
		Retention:            jetstream.WorkQueuePolicy,
		Discard:              jetstream.DiscardNew,
		DiscardNewPerSubject: true,
		MaxMsgsPerSubject:    maxPerSubject,
		MaxMsgSize:           maxInbound,
		MaxMsgs:              -1,
		MaxBytes:             -1,
		MaxConsumers:         -1,
		Duplicates:           dedupeWindow,
		Storage:              o.storage(),
		Replicas:             o.replicas(),
	}
	// MaxMsgs and MaxBytes are the operator's choice: reaching them refuses new
	// messages, it loses none.
	settings := append(common(o),
		field("maximum age", func(c *jetstream.StreamConfig) *time.Duration { return &c.MaxAge }),
		fixed(field("message schedules", func(c *jetstream.StreamConfig) *bool { return &c.AllowMsgSchedules })),
		fixed(field("message TTL", func(c *jetstream.StreamConfig) *bool { return &c.AllowMsgTTL })),
	)
	return cfg, settings
}

// outbound holds what routers commit. It has no limit but age: eviction must
// never eat a live call, so that a full account refuses writes instead.
func outbound(o Options) (jetstream.StreamConfig, []streamSetting) {
	cfg := jetstream.StreamConfig{
		Name:               subjects.StreamOut,
		Description:        "Inboxes, call records, timers and rejects, as routers committed them",
		Subjects:           []string{subjects.FilterInbox, subjects.FilterCall, subjects.FilterRejected},
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardOld, // schedules demand it
		MaxMsgsPerSubject:  -1,
		MaxMsgSize:         maxOutbound,
		MaxMsgs:            -1,
		MaxBytes:           -1,
		MaxConsumers:       -1,
		MaxAge:             o.maxAge(),
		Duplicates:         dedupeWindow,
		AllowDirect:        true,
		AllowRollup:        true, // schedules demand it
		AllowAtomicPublish: true,
		AllowMsgSchedules:  true,
		AllowMsgTTL:        true,
		RePublish:          &jetstream.RePublish{Source: subjects.FilterInbox, Destination: subjects.RepublishTo},
		Storage:            o.storage(),
		Replicas:           o.replicas(),
	}
	settings := append(common(o),
		field("maximum messages", func(c *jetstream.StreamConfig) *int64 { return &c.MaxMsgs }),
		field("maximum bytes", func(c *jetstream.StreamConfig) *int64 { return &c.MaxBytes }),
		field("direct get", func(c *jetstream.StreamConfig) *bool { return &c.AllowDirect }),
		field("message schedules", func(c *jetstream.StreamConfig) *bool { return &c.AllowMsgSchedules }),
		field("message TTL", func(c *jetstream.StreamConfig) *bool { return &c.AllowMsgTTL }),
	)
	if o.MaxAge != 0 {
		settings = append(settings, field("maximum age", func(c *jetstream.StreamConfig) *time.Duration { return &c.MaxAge }))
	}
	return cfg, settings
}

// common returns the settings that matter on both streams.
func common(o Options) []streamSetting {
	return append(placement(o),
		field("subjects", func(c *jetstream.StreamConfig) *[]string { return &c.Subjects }),
		fixed(field("retention", func(c *jetstream.StreamConfig) *jetstream.RetentionPolicy { return &c.Retention })),
		field("discard policy", func(c *jetstream.StreamConfig) *jetstream.DiscardPolicy { return &c.Discard }),
		field("discard new per subject", func(c *jetstream.StreamConfig) *bool { return &c.DiscardNewPerSubject }),
		field("maximum messages per subject", func(c *jetstream.StreamConfig) *int64 { return &c.MaxMsgsPerSubject }),
		field("maximum message size", func(c *jetstream.StreamConfig) *int32 { return &c.MaxMsgSize }),
		field("rollup", func(c *jetstream.StreamConfig) *bool { return &c.AllowRollup }),
		field("atomic batches", func(c *jetstream.StreamConfig) *bool { return &c.AllowAtomicPublish }),
		field("republish", func(c *jetstream.StreamConfig) **jetstream.RePublish { return &c.RePublish }),
		field("subject transform", func(c *jetstream.StreamConfig) **jetstream.SubjectTransformConfig { return &c.SubjectTransform }),
		fixed(field("mirror", func(c *jetstream.StreamConfig) **jetstream.StreamSource { return &c.Mirror })),
		field("no acknowledgement", func(c *jetstream.StreamConfig) *bool { return &c.NoAck }),
		fixed(field("sealed", func(c *jetstream.StreamConfig) *bool { return &c.Sealed })),
	)
}

// placement returns the settings that matter only if the caller chose them.
func placement(o Options) []streamSetting {
	var settings []streamSetting
	if o.Storage != "" {
		settings = append(settings, fixed(field("storage", func(c *jetstream.StreamConfig) *jetstream.StorageType { return &c.Storage })))
	}
	if o.Replicas != 0 {
		settings = append(settings, field("replicas", func(c *jetstream.StreamConfig) *int { return &c.Replicas }))
	}
	return settings
}

type bucketSetting = setting[jetstream.KeyValueConfig]

func buckets(o Options) ([]jetstream.KeyValueConfig, []bucketSetting) {
	bucket := func(name, description string) jetstream.KeyValueConfig {
		return jetstream.KeyValueConfig{
			Bucket: name, Description: description, History: 1, MaxValueSize: maxValue,
			LimitMarkerTTL: markerTTL, Storage: o.storage(), Replicas: o.replicas(),
		}
	}
	settings := []bucketSetting{
		field("time to live", func(c *jetstream.KeyValueConfig) *time.Duration { return &c.TTL }),
		field("limit marker TTL", func(c *jetstream.KeyValueConfig) *time.Duration { return &c.LimitMarkerTTL }),
	}
	if o.Storage != "" {
		settings = append(settings, fixed(field("storage", func(c *jetstream.KeyValueConfig) *jetstream.StorageType { return &c.Storage })))
	}
	if o.Replicas != 0 {
		settings = append(settings, field("replicas", func(c *jetstream.KeyValueConfig) *int { return &c.Replicas }))
	}
	return []jetstream.KeyValueConfig{
		bucket(subjects.BucketRoutes, "Conversation id to route"),
		bucket(subjects.BucketIdentities, "Identity to role and public keys"),
	}, settings
}
