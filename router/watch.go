package router

import (
	"context"
	"time"

	"github.com/voicerouter/voicerouter/subjects"
)

// lookEvery is how often a worker looks at the state of the consumers.
const lookEvery = 2 * time.Second

// watchConsumers keeps the ack floor, the gauges and the readiness current.
func (r *Router) watchConsumers(ctx context.Context) {
	for {
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			r.metrics.troubles.Inc()
			r.log.limited("state of the consumers not known", "error", err)
		}
		if !pause(ctx, lookEvery) {
			return
		}
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
		r.metrics.consumer.WithLabelValues(c.name, "pending").Set(float64(info.NumPending))
		r.metrics.consumer.WithLabelValues(c.name, "ack_pending").Set(float64(info.NumAckPending))
		r.metrics.consumer.WithLabelValues(c.name, "redelivered").Set(float64(info.NumRedelivered))
		r.metrics.consumer.WithLabelValues(c.name, "waiting").Set(float64(info.NumWaiting))
		if c.name == subjects.ConsumerRouter {
			r.ackFloor.Store(info.AckFloor.Stream)
		}
	}
	r.progress.Store(time.Now().UnixNano())
	return nil
}
