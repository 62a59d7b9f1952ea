package router

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// puller returns a pull of the shared consumer that sends what comes to got.
func (b *bench) puller(r *Router, got chan<- message) *pull {
	return &pull{
		nc: r.opts.Conn, subject: subjects.RequestNext(subjects.StreamIn, subjects.ConsumerRouter),
		ask:    pullRequest{Expires: pullExpiry.Nanoseconds(), Batch: 8, Group: subjects.GroupRouter, Priority: 1},
		handle: func(m message) { got <- m }, manner: func() manner { return manner{} },
	}
}

// TestPullGoesOn: more messages come than one request asks for, and a request
// that has expired is followed by another.
func TestPullGoesOn(t *testing.T) {
	b := newBench(t)
	_, r := b.worker()
	got := make(chan message)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	p := b.puller(r, got)
	go func() { ended <- p.run(ctx, nil) }()
	next := func() {
		t.Helper()
		select {
		case m := <-got:
			if err := m.Ack(); err != nil {
				t.Fatal(err)
			}
		case err := <-ended:
			t.Fatalf("pull ended: %v", err)
		case <-time.After(30 * time.Second):
			t.Fatal("no message")
		}
	}
	for range 50 {
		b.publish(operator, signal.Start, "c1", "k1")
	}
	for range 50 {
		next()
	}
	for range 2 { // longer than a request lives
		idle := time.NewTimer(pullExpiry + pullTick)
		<-idle.C
		b.publish(operator, signal.Start, "c1", "k1")
		next()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("pull that was told to end: %v", err)
	}
	if p.open != 0 {
		t.Errorf("after the drain %d messages may still come", p.open)
	}
}

// TestPullHolds: a worker in trouble asks for nothing until the trouble is over.
func TestPullHolds(t *testing.T) {
	b := newBench(t)
	_, r := b.worker()
	then := time.Now()
	h := newHealth(func() time.Time { return then })
	for range 10 {
		then = then.Add(firstBackoff)
		h.failed(errors.New("no space"))
	}
	h.now = func() time.Time { return time.Now().Add(10 * firstBackoff) }
	got := make(chan message, 1)
	p := b.puller(r, got)
	p.manner = h.manner
	b.publish(operator, signal.Start, "c1", "k1")
	began := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx, nil) }()
	<-got
	if d := time.Since(began); d < lastBackoff/2 {
		t.Errorf("asked for messages after %v, want not before %v", d, lastBackoff/2)
	}
	cancel()
	<-ended
}

// TestPullLost: a consumer that does not exist, or is deleted, is noticed at once.
func TestPullLost(t *testing.T) {
	b := newBench(t)
	_, r := b.worker()
	p := b.puller(r, nil)
	ended := make(chan error, 1)
	go func() { ended <- p.run(t.Context(), nil) }()
	seen := func() bool {
		c, err := b.js.Consumer(t.Context(), subjects.StreamIn, subjects.ConsumerRouter)
		return err == nil && c.CachedInfo().NumWaiting > 0
	}
	for !seen() {
		select {
		case err := <-ended:
			t.Fatalf("pull ended: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := b.js.DeleteConsumer(t.Context(), subjects.StreamIn, subjects.ConsumerRouter); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("the consumer was deleted and pull ended as if told to")
	}
	if err := b.puller(r, nil).run(t.Context(), nil); !errors.Is(err, errNoConsumer) {
		t.Errorf("no consumer: %v, want errNoConsumer", err)
	}
}

// TestPullRefused: a consumer that refuses every request - more workers wait at it
// than it lets wait - is not asked again at once, for ever.
func TestPullRefused(t *testing.T) {
	b := newBench(t)
	_, r := b.worker()
	const subject = "full"
	var asked atomic.Int64
	sub, err := b.nc.Subscribe(subject, func(m *nats.Msg) {
		asked.Add(1)
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{headerStatus: {statusConflict}, headerDescription: {"Exceeded MaxWaiting"}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	p := b.puller(r, nil)
	p.nc, p.subject = b.nc, subject
	const ticks = 5
	ctx, cancel := context.WithTimeout(t.Context(), ticks*pullTick)
	defer cancel()
	if err := p.run(ctx, nil); err != nil {
		t.Error(err)
	}
	if n := asked.Load(); n < 2 || n > 2*ticks {
		t.Errorf("asked %d times within %v, want once every %v", n, ticks*pullTick, pullTick)
	}
}

// TestPullDrainsWhole: a drain waits for a message that is being handled, however
// long that takes.
func TestPullDrainsWhole(t *testing.T) {
	b := newBench(t)
	_, r := b.worker()
	begun, got := make(chan struct{}), make(chan message)
	p := b.puller(r, nil)
	p.handle = func(m message) { close(begun); got <- m }
	b.publish(operator, signal.Start, "c1", "k1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx, nil) }()
	<-begun
	cancel()
	select {
	case err := <-ended:
		<-got
		t.Fatalf("the drain ended before the message was handled: %v", err)
	case <-time.After(pullSilence + 5*pullTick):
	}
	<-got
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
