package router

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
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
	said *lru.Cache[string, time.Time] // when these words were said last
}

// saidWords is how many different things a logger remembers to have said.
const saidWords = 1024

func newLogger(l *slog.Logger) logger {
	said, err := lru.New[string, time.Time](saidWords)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return logger{l, said}
}

// limited says a thing at most once a second. Of different keys, as an argument
// "key" names them, it is said separately: each has to be mended.
func (l logger) limited(msg string, args ...any) {
	words, now := msg, time.Now()
	for i := 1; i < len(args); i += 2 {
		if args[i-1] == "key" {
			words = fmt.Sprint(msg, " ", args[i])
		}
	}
	if last, ok := l.said.Get(words); ok && now.Sub(last) < time.Second {
		return
	}
	l.said.Add(words, now)
	l.Warn(msg, args...)
}
