package router

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/subjects"
)

// lookEvery is how often a worker looks at the state of the consumers.
const lookEvery = 2 * time.Second

// watchConsumers keeps the ack floor, the gauges and the readiness current, and
// seeks another server if nothing can be stored through this one.
func (r *Router) watchConsumers(ctx context.Context) {
	for {
		r.move()
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			r.metrics.troubles.Inc()
			r.log.limited("state of the consumers not known", "error", err)
		}
		if !pause(ctx, lookEvery) {
			return
		}
	}
}

// move leaves a server that may be cut off from the leaders of the streams: routes
// of a cluster lead one hop far.
func (r *Router) move() {
	if len(r.opts.Conn.Servers()) < 2 || !r.health.cutOff() {
		return
	}
	r.log.Warn("nothing can be stored through this server, trying another", "server", r.opts.Conn.ConnectedServerName())
	if err := r.opts.Conn.ForceReconnect(); err != nil {
		r.log.limited("no other server tried", "error", err)
	}
}

func (r *Router) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for _, c := range []struct{ stream, name string }{
		{subjects.StreamIn, subjects.ConsumerRouter},
		{subjects.StreamOut, subjects.ConsumerTimeouts},
	} {
		consumer, err := r.js.Consumer(ctx, c.stream, c.name)
		if err != nil {
			return err
		}
		info := consumer.CachedInfo()
		r.metrics.watchConsumer(c.name, info)
		if c.name == subjects.ConsumerRouter {
			r.ackFloor.Store(info.AckFloor.Stream)
		}
	}
	r.progress.Store(time.Now().UnixNano())
	return r.countCalls(ctx)
}

// countCalls asks how many calls are live: as many as there are timers, which the
// server counts in a consumer that nobody pulls from (ADR 0020).
func (r *Router) countCalls(ctx context.Context) error {
	consumer, err := r.js.Consumer(ctx, subjects.StreamOut, subjects.ConsumerCalls)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		r.metrics.active.Reset() // provisioned by an older version
		return nil
	}
	if err != nil {
		return err
	}
	r.metrics.active.WithLabelValues().Set(float64(consumer.CachedInfo().NumPending))
	return nil
}
