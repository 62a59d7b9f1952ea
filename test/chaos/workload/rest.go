package workload

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/subjects"
)

// every is how often the fleet is looked at.
const every = 500 * time.Millisecond

// floors records how far the routers have acknowledged, until ctx ends.
func (w *Workload) floors(ctx context.Context) {
	if w.opts.JetStream == nil {
		return
	}
	last := uint64(0)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		look, cancel := context.WithTimeout(ctx, 2*time.Second)
		cons, err := w.opts.JetStream.Consumer(look, subjects.StreamIn, subjects.ConsumerRouter)
		cancel()
		if err != nil {
			continue // the next look will do
		}
		if floor := cons.CachedInfo().AckFloor.Stream; floor > last {
			w.opts.Recorder.Floor(floor)
			last = floor
		}
	}
}

// Quiesce waits, after the end of [Workload.Run], until every call has ended,
// nothing waits in the streams, no timer stands, and every endpoint has had the time
// to ask for what it missed. If ctx ends first its error says what was still on.
func (w *Workload) Quiesce(ctx context.Context) error {
	watch, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { w.floors(watch) })
	defer watching.Wait()
	defer stop()

	ended := make(chan struct{})
	go func() {
		w.calls.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		return fmt.Errorf("workload: calls are still being made: %w", ctx.Err())
	}
	if err := w.idle(ctx); err != nil {
		return err
	}
	select { // two rounds of syncs, and the handlers
	case <-time.After(2*w.opts.SyncEvery + 2*every):
	case <-ctx.Done():
		return fmt.Errorf("workload: endpoints may not have heard everything: %w", ctx.Err())
	}
	return w.idle(ctx)
}

// idle waits until nothing is left to do in the streams.
func (w *Workload) idle(ctx context.Context) error {
	if w.opts.JetStream == nil {
		return nil
	}
	for {
		busy, err := w.busy(ctx)
		if err == nil && busy == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("workload: not at rest: %s: %w", busy, ctx.Err())
		case <-time.After(every):
		}
	}
}

// busy says what is left to do, "" if nothing is.
func (w *Workload) busy(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var left []string
	consumers := [][2]string{{subjects.StreamIn, subjects.ConsumerRouter}, {subjects.StreamOut, subjects.ConsumerTimeouts}}
	for _, app := range w.opts.Cast.Relays {
		consumers = append(consumers, [2]string{subjects.StreamOut, subjects.AppConsumer(app)})
	}
	for _, c := range consumers {
		cons, err := w.opts.JetStream.Consumer(ctx, c[0], c[1])
		if err != nil {
			return "unknown: " + err.Error(), err
		}
		if info := cons.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
			left = append(left, fmt.Sprintf("consumer %s: %d waiting, %d unacknowledged", c[1], info.NumPending, info.NumAckPending))
		}
	}
	stream, err := w.opts.JetStream.Stream(ctx, subjects.StreamOut)
	if err != nil {
		return "unknown: " + err.Error(), err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subjects.FilterTimer))
	if err != nil {
		return "unknown: " + err.Error(), err
	}
	if n := len(info.State.Subjects); n > 0 {
		left = append(left, fmt.Sprintf("%d calls have a timer", n))
	}
	return strings.Join(left, ", "), nil
}
