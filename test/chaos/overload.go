package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/voicerouter/voicerouter/subjects"
)

// load is how much came in and was done while a run lasted.
type load struct {
	offered, served uint64        // messages in VOICE_IN while calls were made
	backlog         uint64        // most messages that waited
	drain           time.Duration // from the last call until nothing waited
	drained         uint64        // messages meanwhile
}

// overload makes calls without looking at answers, until the run is over, and
// watches the backlog.
func overload(ctx context.Context, r *run) {
	making, cancel := context.WithTimeout(ctx, r.opts.duration)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { r.calls.Run(making) })
	all.Go(func() { r.fleet.KeepDisksGrowing(making, headroom) })
	all.Go(func() { r.gauge.watch(making, r.fleet) })
	for sleep(making, time.Second) {
		r.lookAtLoad(making)
	}
	all.Wait()
	r.lookAtLoad(ctx)
	began, behind := time.Now(), r.load.offered-r.load.served
	for sleep(ctx, 200*time.Millisecond) {
		if offered, served, err := r.progress(ctx); err == nil && offered == served {
			break
		}
	}
	r.load.drain, r.load.drained = time.Since(began), behind
}

func (r *run) lookAtLoad(ctx context.Context) {
	offered, served, err := r.progress(ctx)
	if err != nil {
		return
	}
	r.load.offered, r.load.served = offered, served
	r.load.backlog = max(r.load.backlog, offered-served)
}

// progress returns how many messages have come in and how many are acknowledged.
func (r *run) progress(ctx context.Context) (offered, served uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s, err := r.js.Stream(ctx, subjects.StreamIn)
	if err != nil {
		return 0, 0, err
	}
	state := s.CachedInfo().State
	return state.LastSeq, state.LastSeq - state.Msgs, nil
}

// overloadGoals: more came in than was done, memory is bounded, and afterwards
// the rest was done at least as fast.
func overloadGoals(r *run, o *outcome) []goal {
	seconds := r.opts.duration.Seconds()
	rate := float64(r.load.served) / seconds
	after := float64(r.load.drained) / max(r.load.drain.Seconds(), 0.2)
	ratio := float64(r.load.offered) / max(float64(r.load.served), 1)
	worker, server := uint64(0), uint64(0)
	for name, bytes := range o.Peak {
		if name[0] == 'w' {
			worker = max(worker, bytes)
		} else {
			server = max(server, bytes)
		}
	}
	const mib = 1 << 20
	return []goal{
		{"overload: messages offered to messages done meanwhile", "at least 2", fmt.Sprintf("%.1f (%d/s to %.0f/s, %d waited)", ratio, int(float64(r.load.offered)/seconds), rate, r.load.backlog), ratio >= 2},
		{"overload: resident memory of a worker", "at most 256 MiB", fmt.Sprintf("%d MiB", worker/mib), worker <= 256*mib},
		{"overload: resident memory of a server", "at most 1024 MiB", fmt.Sprintf("%d MiB", server/mib), server <= 1024*mib},
		{"overload: messages a second while draining", fmt.Sprintf("at least %.0f", 0.8*rate), fmt.Sprintf("%.0f (%s)", after, r.load.drain.Round(100*time.Millisecond)), after >= 0.8*rate},
	}
}
