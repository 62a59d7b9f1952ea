package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/subjects"
)

// assets lists everything that must exist, streams before their consumers.
func assets(js jetstream.JetStream, o Options) []asset {
	in, inSettings := inbound(o)
	out, outSettings := outbound(o)
	list := []asset{stream(js, in, inSettings, nil), stream(js, out, outSettings, func(have jetstream.StreamConfig) error {
		return checkAge(have.MaxAge, o.MaxCallDuration)
	})}
	kvs, kvSettings := buckets(o)
	for _, kv := range kvs {
		list = append(list, bucket(js, kv, kvSettings))
	}
	counting := consumer(js, subjects.StreamOut, callsConsumer())
	counting.optional = true // routers work without the number
	list = append(list,
		consumer(js, subjects.StreamIn, routerConsumer(o)),
		consumer(js, subjects.StreamOut, timeoutsConsumer(o)),
		counting)
	for _, id := range o.Apps {
		list = append(list, consumer(js, subjects.StreamOut, appConsumer(id)))
	}
	return list
}

// missing turns a not-found error into ErrMissing.
func missing(name string, err error, notFound ...error) error {
	for _, target := range notFound {
		if errors.Is(err, target) {
			return fmt.Errorf("provision: %s %w: run provision", name, ErrMissing)
		}
	}
	return fmt.Errorf("provision: inspect %s: %w", name, err)
}

// stream describes a stream. law, if not nil, must hold of the configuration that
// exists.
func stream(js jetstream.JetStream, want jetstream.StreamConfig, settings []streamSetting, law func(jetstream.StreamConfig) error) asset {
	name := "stream " + want.Name
	var mended jetstream.StreamConfig
	return asset{
		name: name,
		inspect: func(ctx context.Context) ([]Difference, error) {
			s, err := js.Stream(ctx, want.Name)
			if err != nil {
				return nil, missing(name, err, jetstream.ErrStreamNotFound)
			}
			have := s.CachedInfo().Config
			var differences []Difference
			differences, mended = compare(name, have, want, settings)
			if law == nil {
				return differences, nil
			}
			return differences, law(mended)
		},
		create: func(ctx context.Context) error {
			_, err := js.CreateStream(ctx, want)
			return err
		},
		update: func(ctx context.Context) error {
			_, err := js.UpdateStream(ctx, mended)
			return err
		},
	}
}

func bucket(js jetstream.JetStream, want jetstream.KeyValueConfig, settings []bucketSetting) asset {
	name := "bucket " + want.Bucket
	var mended jetstream.KeyValueConfig
	return asset{
		name: name,
		inspect: func(ctx context.Context) ([]Difference, error) {
			kv, err := js.KeyValue(ctx, want.Bucket)
			if err != nil {
				return nil, missing(name, err, jetstream.ErrBucketNotFound)
			}
			status, err := kv.Status(ctx)
			if err != nil {
				return nil, missing(name, err, jetstream.ErrStreamNotFound)
			}
			var differences []Difference
			differences, mended = compare(name, status.Config(), want, settings)
			return differences, nil
		},
		create: func(ctx context.Context) error {
			_, err := js.CreateKeyValue(ctx, want)
			return err
		},
		update: func(ctx context.Context) error {
			_, err := js.UpdateKeyValue(ctx, mended)
			return err
		},
	}
}

func consumer(js jetstream.JetStream, stream string, want jetstream.ConsumerConfig) asset {
	name := "consumer " + want.Durable + " of " + stream
	var mended jetstream.ConsumerConfig
	return asset{
		name: name,
		inspect: func(ctx context.Context) ([]Difference, error) {
			c, err := js.Consumer(ctx, stream, want.Durable)
			if err != nil {
				return nil, missing(name, err, jetstream.ErrConsumerNotFound, jetstream.ErrStreamNotFound)
			}
			var differences []Difference
			differences, mended = compare(name, c.CachedInfo().Config, want, consumerSettings())
			return differences, nil
		},
		create: func(ctx context.Context) error {
			_, err := js.CreateConsumer(ctx, stream, want)
			return err
		},
		update: func(ctx context.Context) error {
			_, err := js.UpdateConsumer(ctx, stream, mended)
			return err
		},
	}
}
