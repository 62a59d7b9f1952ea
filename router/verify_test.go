package router

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// TestLookupsOverlap: senders who have to be read from the server do not wait for one
// another.
func TestLookupsOverlap(t *testing.T) {
	b := newBench(t)
	w, r := b.worker()
	for i := range lookups {
		b.publish(operator, signal.Start, fmt.Sprint("c", i), "k")
	}
	jobs := b.fetch(r, lookups)
	opts := *w.opts
	opts.Directory = &crowd{Directory: opts.Directory, want: lookups, there: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	verifier{opts: &opts, metrics: w.metrics, tracer: w.tracer, limiter: newLimiter(Limits{Messages: -1, Starts: -1}), log: w.log}.verify(ctx, jobs)
	for _, j := range jobs {
		if j.fault != nil || j.refusal != nil {
			t.Fatalf("not judged: %v, %v", j.fault, j.refusal)
		}
	}
}

// crowd is a directory that answers nobody until so many ask.
type crowd struct {
	identity.Directory
	mu    sync.Mutex
	want  int
	there chan struct{}
}

func (c *crowd) Lookup(ctx context.Context, id identity.ID) (identity.Record, error) {
	c.mu.Lock()
	if c.want--; c.want == 0 {
		close(c.there)
	}
	c.mu.Unlock()
	select {
	case <-c.there:
		return c.Directory.Lookup(ctx, id)
	case <-ctx.Done():
		return identity.Record{}, ctx.Err()
	}
}
