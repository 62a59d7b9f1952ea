package router

import (
	"fmt"
	"testing"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
)

// TestCacheBounded: a worker keeps a fixed number of records in memory however
// many calls are live, and loses nothing by it.
func TestCacheBounded(t *testing.T) {
	const calls, size = 60, 8
	b := newBench(t)
	w, r := b.worker()
	w.ledger.cache.Resize(size)
	for i := range calls {
		b.route(fmt.Sprint("c", i))
		b.publish(operator, signal.Start, fmt.Sprint("c", i), "k")
	}
	b.work(w, r, calls)
	for i := range calls {
		b.publish(customer, signal.Accept, fmt.Sprint("c", i), "k")
	}
	b.work(w, r, calls)
	if n := w.ledger.cache.Len(); n > size {
		t.Errorf("%d records in a cache of %d", n, size)
	}
	for i := range calls {
		if s := b.state(fmt.Sprint("c", i)); s.Phase != call.Active {
			t.Errorf("c%d is %s, want active", i, s.Phase)
		}
	}
}
