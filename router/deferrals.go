package router

import (
	"sync"
	"time"

	"github.com/voicerouter/voicerouter/identity"
)

// deferrals counts the messages that this worker has sent back to be delivered
// again shortly. Each of them occupies a place among the consumer's pending
// acknowledgements, so a sender may have few and the worker a bounded number. It is
// safe for concurrent use.
type deferrals struct {
	now func() time.Time

	mu      sync.Mutex
	waiting map[identity.ID][]time.Time // when each is due
	total   int
}

const (
	maxDeferredPerIdentity = 4
	maxDeferred            = 1000
)

func newDeferrals(now func() time.Time) *deferrals {
	return &deferrals{now: now, waiting: make(map[identity.ID][]time.Time)}
}

// allow reports whether one more message of id may wait.
func (d *deferrals) allow(id identity.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire(id)
	if d.total >= maxDeferred {
		for other := range d.waiting {
			d.expire(other)
		}
	}
	return d.total < maxDeferred && len(d.waiting[id]) < maxDeferredPerIdentity
}

// add records that a message of id waits for as long as delay.
func (d *deferrals) add(id identity.ID, delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting[id] = append(d.waiting[id], d.now().Add(delay))
	d.total++
}

func (d *deferrals) expire(id identity.ID) {
	now, due := d.now(), d.waiting[id]
	n := 0
	for _, t := range due {
		if t.After(now) {
			due[n] = t
			n++
		}
	}
	d.total -= len(due) - n
	if n == 0 {
		delete(d.waiting, id)
	} else {
		d.waiting[id] = due[:n]
	}
}

// deferDelay is how long a message waits before its next delivery: 100 ms and
// doubling, so that four deliveries span one and a half seconds.
func deferDelay(delivery int) time.Duration {
	return 100 * time.Millisecond << min(max(delivery-1, 0), 6)
}
