package router

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// backoff paces a worker whose commits fail: 100 ms and doubling, to 5 s, with
// jitter, until one succeeds. It belongs to one goroutine.
type backoff struct {
	failures int
	pending  time.Duration
}

const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// next notes a failure and returns how long to wait because of it.
func (b *backoff) next() time.Duration {
	b.failures++
	b.pending = b.delay()
	return b.pending
}

// delay is the wait that the failures so far ask for.
func (b *backoff) delay() time.Duration {
	d := min(firstBackoff<<min(max(b.failures-1, 0), 10), lastBackoff)
	return d/2 + rand.N(d/2)
}

func (b *backoff) reset() { b.failures, b.pending = 0, 0 }

// wait blocks as long as the last failure asks for, or until ctx ends.
func (b *backoff) wait(ctx context.Context) {
	if b.pending == 0 {
		return
	}
	pause(ctx, b.pending)
	b.pending = 0
}

// pause blocks for d or until ctx ends; it reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// logger adds to a slog.Logger a way to say a thing at most once a second.
type logger struct {
	*slog.Logger
	said *sync.Map // words -> time.Time
}

func newLogger(l *slog.Logger) logger { return logger{l, new(sync.Map)} }

func (l logger) limited(msg string, args ...any) {
	now := time.Now()
	if last, ok := l.said.Load(msg); ok && now.Sub(last.(time.Time)) < time.Second {
		return
	}
	l.said.Store(msg, now)
	l.Warn(msg, args...)
}
