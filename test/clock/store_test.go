package clock

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// small is a broker whose store is soon full.
var small = brokertest.Options{Configure: func(c *broker.Config) { c.MaxMemory = 4 << 20 }}

// fill leaves no room in the store for another message of some size; the
// returned function makes room again.
func (w *world) fill() (release func()) {
	w.t.Helper()
	subject := subjects.Rejected("filler", "nobody")
	for size := 256 << 10; size >= 64; {
		if _, err := w.js.Publish(w.t.Context(), subject, make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return func() { w.purge(subject) }
}

// TestTimerDueWhileStoreRefuses: a timer that comes due while the store is full
// is dead in the server. The call ends all the same when there is room again,
// although no worker has seen a refusal: nobody could send anything either.
func TestTimerDueWhileStoreRefuses(t *testing.T) {
	inBubble(t, small, func(t *testing.T, w *world) {
		w.worker(nil)
		w.route("c1", nil)
		op, cu := w.endpoint(operator), w.endpoint(customer)
		op.say(signal.Start, "c1", "k1")
		cu.expect(signal.Start, "k1", time.Second)
		release := w.fill()
		op.quiet(time.Hour)
		if s, _ := w.state("c1"); s.Phase != call.Ringing {
			t.Fatalf("the record is %s: the store was not full", s.Phase)
		}
		release()
		room := time.Now()
		for _, side := range []*endpoint{op, cu} {
			m := side.stopped("k1", signal.NoAnswer, time.Hour)
			about(t, "mended", m.at, room, 90*time.Second)
		}
		w.ended("c1", signal.NoAnswer)
	})
}

// TestTimerDueWhileCommitsFail: the same with a worker that is refused: it knows
// that timers may have died, and does not wait for its next round.
func TestTimerDueWhileCommitsFail(t *testing.T) {
	inBubble(t, small, func(t *testing.T, w *world) {
		stop := w.worker(nil)
		w.route("c1", nil)
		w.route("c2", nil)
		op, cu := w.endpoint(operator), w.endpoint(customer)
		op.say(signal.Start, "c1", "k1")
		cu.expect(signal.Start, "k1", time.Second)
		stop()
		op.say(signal.Start, "c2", "k2") // waits, and is tried until there is room
		release := w.fill()
		w.worker(nil)
		op.quiet(time.Hour)
		release()
		room := time.Now()
		stops := map[string]time.Time{}
		for m, ok := op.hear(time.Minute); ok; m, ok = op.hear(time.Minute) {
			if m.Type == signal.Stop {
				stops[m.CallID] = m.at
			}
		}
		about(t, "the call whose timer died ended", stops["k1"], room, 20*time.Second)
		about(t, "the call that waited ended", stops["k2"], room, 6*time.Second)
		w.ended("c1", signal.NoAnswer)
		w.ended("c2", signal.NoAnswer)
	})
}

// TestCommitBackoff: what cannot be stored is tried again at once, soon, and
// then about every second for as long as it takes.
func TestCommitBackoff(t *testing.T) {
	inBubble(t, small, func(t *testing.T, w *world) {
		w.route("c1", nil)
		op, cu := w.endpoint(operator), w.endpoint(customer)
		op.say(signal.Start, "c1", "k1")
		release := w.fill()
		registry := prometheus.NewRegistry()
		attempts := func() float64 { return counters(t, registry, "voicerouter_postponed_total") }
		w.worker(func(o *router.Options) { o.Registerer = registry })
		time.Sleep(2 * time.Second)
		if n := attempts(); n < 4 || n > 8 {
			t.Errorf("%v attempts within the first 2 s, want 4 to 8: 100 ms apart, and doubling", n)
		}
		time.Sleep(time.Hour)
		if n := attempts(); n < 3600 || n > 7200 {
			t.Errorf("%v attempts an hour, want 3600 to 7200: 0.5 to 1 s apart", n)
		}
		release()
		room := time.Now()
		about(t, "stored", cu.expect(signal.Start, "k1", time.Minute).at, room, 2*time.Second)
		cu.stopped("k1", signal.NoAnswer, time.Second) // its minute was over long ago
		op.stopped("k1", signal.NoAnswer, time.Second)
	})
}
