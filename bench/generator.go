package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// generator makes calls over one connection: it publishes the first hop of each,
// and every next one when the one before it has arrived.
type generator struct {
	traffic traffic
	nc      *nats.Conn
	inbox   string
	calls   map[int]*running
	pending atomic.Int64 // hops on their way
	refused atomic.Int64
	over    chan int // calls that have ended; as large as the number of calls

	mu   sync.Mutex
	took []time.Duration // of every hop
	set  []time.Duration // from a call's first hop to the delivery of setupHop
}

// setupHop is the hop that connects a call: accept, after start and ringing.
const setupHop = 2

// running is a call under way.
type running struct {
	hops []hop
	mu   sync.Mutex
	next int // the hop that is expected
	sent time.Time
	made time.Time
}

func newGenerator(ctx context.Context, s *stage, nc *nats.Conn, t traffic, calls int) (*generator, []int, error) {
	numbers, err := t.prepare(ctx, s, calls)
	if err != nil {
		return nil, nil, err
	}
	g := &generator{
		traffic: t, nc: nc, inbox: nats.NewInbox(), calls: make(map[int]*running, calls), over: make(chan int, calls),
	}
	made := make([][]hop, calls)
	each(calls, func(i int) { made[i] = t.hops(numbers[i]) })
	for i, n := range numbers {
		g.calls[n] = &running{hops: made[i]}
	}
	return g, numbers, nil
}

// listen subscribes to what the generator needs; the caller unsubscribes.
func (g *generator) listen() (stop func(), err error) {
	live, err := g.nc.Subscribe(g.traffic.live(), g.delivered)
	if err != nil {
		return nil, err
	}
	_ = live.SetPendingLimits(-1, -1)
	acks, err := g.nc.Subscribe(g.inbox, func(m *nats.Msg) {
		if bytes.Contains(m.Data, []byte(`"error"`)) || m.Header.Get("Status") != "" {
			g.refused.Add(1)
		}
	})
	if err != nil {
		return nil, err
	}
	_ = acks.SetPendingLimits(-1, -1)
	return func() { _, _ = live.Unsubscribe(), acks.Unsubscribe() }, g.nc.Flush()
}

// begin starts a call.
func (g *generator) begin(n int) error {
	c := g.calls[n]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = time.Now()
	return g.send(c)
}

func (g *generator) send(c *running) error {
	h := c.hops[c.next]
	c.sent = time.Now()
	g.pending.Add(1)
	return g.nc.PublishRequest(h.subject, g.inbox, h.data)
}

func (g *generator) delivered(m *nats.Msg) {
	n, i, ok := g.traffic.recognise(m)
	if !ok {
		g.refused.Add(1)
		return
	}
	c := g.calls[n]
	if c == nil {
		return // of an earlier generator
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if i != c.next {
		return // a repeat
	}
	g.pending.Add(-1)
	g.mu.Lock()
	g.took = append(g.took, now.Sub(c.sent))
	if i == setupHop {
		g.set = append(g.set, now.Sub(c.made))
	}
	g.mu.Unlock()
	if c.next++; c.next == len(c.hops) {
		g.over <- n
		return
	}
	if err := g.send(c); err != nil {
		g.refused.Add(1)
	}
}

// oneByOne makes calls one after the other: each hop finds everything idle.
func (g *generator) oneByOne(ctx context.Context, numbers []int) error {
	stop, err := g.listen()
	if err != nil {
		return err
	}
	defer stop()
	for _, n := range numbers {
		if err := g.begin(n); err != nil {
			return err
		}
		if err := g.await(ctx, 1, 30*time.Second); err != nil {
			return err
		}
	}
	return nil
}

// atRate begins calls at a constant rate, whatever becomes of those before, and
// waits for all of them to end.
func (g *generator) atRate(ctx context.Context, numbers []int, perSecond float64, patience time.Duration) error {
	stop, err := g.listen()
	if err != nil {
		return err
	}
	defer stop()
	start := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for begun := 0; begun < len(numbers); {
		due := min(len(numbers), int(time.Since(start).Seconds()*perSecond)+1)
		for ; begun < due; begun++ {
			if err := g.begin(numbers[begun]); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return g.await(ctx, len(numbers), patience)
}

// errUnfinished says that calls did not come to their end in time.
var errUnfinished = errors.New("calls have not ended")

func (g *generator) await(ctx context.Context, n int, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i := range n {
		select {
		case <-g.over:
		case <-ctx.Done():
			return fmt.Errorf("%w: %d of %d after %v, %d messages refused", errUnfinished, n-i, n, patience, g.refused.Load())
		}
	}
	return nil
}

// each calls do(0) to do(n-1) on all processors.
func each(n int, do func(int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range parallelism {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	wg.Wait()
}
