package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// opaque is what the relays pass on that look into nothing: 2 KB a message.
type opaque struct {
	size, next int
}

// The streams of the relays: in and out as those of the router, without what only
// the router needs. What is acknowledged stays, so that a relay does not pay for its
// deletion, as the router does.
const (
	relayIn      = "RELAY_IN"
	relayOut     = "RELAY_OUT"
	relayDurable = "relay"
	relayBucket  = "relay_routes"
	relayCalls   = 8
)

// streams creates the streams of the relays.
func (o *opaque) streams(ctx context.Context, s *stage, v variant) error {
	storage, replicas := v.jetstream(), v.replicas
	retention := jetstream.LimitsPolicy
	if v.relay == "batches" {
		retention = jetstream.WorkQueuePolicy // it pays, to show what the router has to
	}
	for _, cfg := range []jetstream.StreamConfig{
		{Name: relayIn, Subjects: []string{"relay.in.*"}, Retention: retention, Storage: storage, Replicas: replicas, MaxMsgs: -1},
		{
			Name: relayOut, Subjects: []string{"relay.out.*", "relay.record.*"}, AllowAtomicPublish: true, Storage: storage, Replicas: replicas, MaxMsgs: -1,
			RePublish: &jetstream.RePublish{Source: "relay.out.*", Destination: "live.relay.{{wildcard(1)}}"},
		},
	} {
		if _, err := s.js.CreateStream(ctx, cfg); err != nil {
			return fmt.Errorf("stream %s: %w", cfg.Name, err)
		}
	}
	_, err := s.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: relayBucket, Storage: storage, Replicas: replicas})
	return err
}

func (o *opaque) prepare(_ context.Context, s *stage, n int) ([]int, error) {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = o.next
		o.next++
		if _, err := s.js.PublishAsync("$KV."+relayBucket+"."+strconv.Itoa(numbers[i]), []byte(`{"to":"x"}`)); err != nil {
			return nil, err
		}
	}
	return numbers, s.stored()
}

func (o *opaque) hops(c int) []hop {
	out := make([]hop, relayCalls)
	for i := range out {
		data := make([]byte, o.size)
		copy(data, fmt.Sprintf("%010d %02d ", c, i))
		out[i] = hop{subject: fmt.Sprint("relay.in.", c%pairs), data: data}
	}
	return out
}

func (o *opaque) recognise(m *nats.Msg) (int, int, bool) {
	if len(m.Data) < 14 {
		return 0, 0, false
	}
	c, err := strconv.Atoi(string(m.Data[:10]))
	i, err2 := strconv.Atoi(string(m.Data[11:13]))
	return c, i, err == nil && err2 == nil
}

func (o *opaque) live() string { return "live.relay.*" }
func (o *opaque) length() int  { return relayCalls }
