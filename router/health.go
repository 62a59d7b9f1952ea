package router

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// health is what a worker knows of its own success: whether its commits get
// through. Everything that commits shares it. While they do not, the worker fetches ever more
// slowly; if that goes on it is not ready any more.
type health struct {
	now func() time.Time

	mu       sync.Mutex
	failures int       // since the last success
	since    time.Time // of the first of them
	last     time.Time // of the last of them
	until    time.Time // when to fetch again
	err      error     // the last one
	moved    time.Time // when the worker last sought another server
}

// Commits that fail are tried again after 100 ms and doubling, to 1 s, with
// jitter: soon enough that a fleet is back a second after its streams are.
const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = time.Second
)

const (
	// stalledAfter is how long commits may fail, without one success, until the
	// worker says that it is not ready: longer than the election of a new leader
	// takes (nats-server: 4 to 9 s).
	stalledAfter = 10 * time.Second
	// stalledFor is how long the last failure counts when nothing is tried any more.
	stalledFor = time.Minute
)

func newHealth(now func() time.Time) *health { return &health{now: now} }

// failed notes a commit that failed and returns how long its messages wait.
func (h *health) failed(err error) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if h.failures == 0 || now.Sub(h.last) > stalledFor {
		h.failures, h.since = 0, now
	}
	// All parts of a batch fail with it: that is one failure.
	if h.failures == 0 || now.Sub(h.last) >= firstBackoff/2 {
		h.failures++
	}
	h.last, h.err = now, err
	d := min(firstBackoff<<min(h.failures-1, 10), lastBackoff)
	d = d/2 + rand.N(d/2)
	h.until = now.Add(d)
	return d
}

// succeeded notes a commit that was stored.
func (h *health) succeeded() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures, h.until, h.err = 0, time.Time{}, nil
}

// humbleAfter is how many commits fail in a row until a worker only tries whether
// they still do, with one message at a time that no other worker asks for. It may
// be the only one that is cut off: the others are to get the messages.
const humbleAfter = 2

// manner returns how to ask for messages in this state.
func (h *health) manner() manner {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures == 0 {
		return manner{}
	}
	humble := h.failures >= humbleAfter
	return manner{hold: max(0, h.until.Sub(h.now())), humble: humble, yields: humble}
}

// moveAfter is how long a worker stays with a server through which nothing is
// stored, and with the next one before it tries another.
const moveAfter = 5 * time.Second

// cutOff reports whether nothing that was to be stored has had an answer for so
// long that another server may be better. Whoever is told so moves, and is not told
// again for as long.
func (h *health) cutOff() bool {
	d := h.stalled()
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if d < moveAfter || now.Sub(h.moved) < moveAfter || answered(h.err) {
		return false
	}
	h.moved = now
	return true
}

// answered reports whether an error is what the leader of the stream says of a batch:
// it would say the same to another server, and the move would cost what is under way.
func answered(err error) bool {
	return classify(err) != transient || errors.Is(err, errContended)
}

// stalled returns for how long commits have been failing, 0 if they have not.
func (h *health) stalled() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if h.failures == 0 || now.Sub(h.last) > stalledFor {
		return 0
	}
	return now.Sub(h.since)
}

// complaint returns an error if commits have failed for too long.
func (h *health) complaint() error {
	d := h.stalled()
	if d < stalledAfter {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Errorf("no batch could be stored for %v: %w", d.Round(time.Second), h.err)
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
