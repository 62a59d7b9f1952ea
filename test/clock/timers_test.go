package clock

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// firing is how late the server's scheduler and the worker may be together.
const firing = 500 * time.Millisecond

// TestRingTimeout: a call that nobody answers rings for a minute, not less, and
// ends on both sides.
func TestRingTimeout(t *testing.T) {
	inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
		w.worker(nil)
		w.route("c1", nil)
		op, cu := w.endpoint(operator), w.endpoint(customer)
		started := op.say(signal.Start, "c1", "k1")
		cu.expect(signal.Start, "k1", time.Second)
		for _, side := range []*endpoint{op, cu} {
			m := side.stopped("k1", signal.NoAnswer, time.Hour)
			about(t, "stopped", m.at, started.Add(call.DefaultRingTimeout), firing)
		}
		w.ended("c1", signal.NoAnswer)
	})
}

// TestMaxDuration: the answer replaces the ring timer; the call lasts four hours
// from the answer. Its second stop comes of no timer of the first.
func TestMaxDuration(t *testing.T) {
	inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
		w.worker(nil)
		w.route("c1", nil)
		op, cu := w.endpoint(operator), w.endpoint(customer)
		op.say(signal.Start, "c1", "k1")
		cu.expect(signal.Start, "k1", time.Second)
		cu.quiet(59 * time.Second)
		answered := cu.say(signal.Accept, "c1", "k1")
		op.expect(signal.Accept, "k1", time.Second)
		for _, side := range []*endpoint{op, cu} {
			m := side.stopped("k1", signal.MaxDuration, 24*time.Hour)
			about(t, "stopped", m.at, answered.Add(call.DefaultMaxDuration), firing)
		}
		if s := w.ended("c1", signal.MaxDuration); s.Talked().Round(time.Second) != call.DefaultMaxDuration {
			t.Errorf("talked for %s, want %s", s.Talked(), call.DefaultMaxDuration)
		}
		op.quiet(time.Hour)
	})
}

// fire publishes a timeout as the server's scheduler would.
func (w *world) fire(cid, callID string, epoch uint64) {
	w.t.Helper()
	data, err := json.Marshal(map[string]any{"call_id": callID, "epoch": epoch})
	if err == nil {
		_, err = w.js.Publish(w.t.Context(), subjects.Timeout(cid), data)
	}
	if err != nil {
		w.t.Fatalf("fire %s: %v", cid, err)
	}
}

// TestStaleTimer: a timer of another call or an earlier epoch ends nothing. The
// timer that it may have taken with it when it fired is written anew, and the call
// ends when it was to end.
func TestStaleTimer(t *testing.T) {
	for name, stale := range map[string]func(s call.State) (callID string, epoch uint64){
		"earlier epoch": func(s call.State) (string, uint64) { return s.CallID, s.Epoch - 1 },
		"later epoch":   func(s call.State) (string, uint64) { return s.CallID, s.Epoch + 1 },
		"another call":  func(s call.State) (string, uint64) { return "k0", s.Epoch },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
				w.worker(func(o *router.Options) { o.Policy.MaxDuration = time.Hour })
				w.route("c1", nil)
				op, cu := w.endpoint(operator), w.endpoint(customer)
				op.say(signal.Start, "c1", "k1")
				cu.expect(signal.Start, "k1", time.Second)
				cu.say(signal.Accept, "c1", "k1")
				op.expect(signal.Accept, "k1", time.Second)

				before, _ := w.state("c1")
				w.purge(subjects.Timer("c1"))
				callID, epoch := stale(before)
				w.fire("c1", callID, epoch)
				op.quiet(10 * time.Minute)
				if s, _ := w.state("c1"); s.Phase != call.Active || s.Epoch != before.Epoch || !s.Deadline.Equal(before.Deadline) {
					t.Fatalf("the record is %s with epoch %d and deadline %s, want active, %d, %s", s.Phase, s.Epoch, s.Deadline, before.Epoch, before.Deadline)
				}
				if _, pending := w.timer("c1"); !pending {
					t.Fatal("the timer was not written anew")
				}
				m := op.stopped("k1", signal.MaxDuration, 24*time.Hour)
				about(t, "stopped", m.at, before.Deadline, firing)
			})
		})
	}
}

// purge deletes the messages of one subject of the outbound stream.
func (w *world) purge(subject string) {
	w.t.Helper()
	stream, err := w.js.Stream(w.t.Context(), subjects.StreamOut)
	if err == nil {
		err = stream.Purge(w.t.Context(), jetstream.WithPurgeSubject(subject))
	}
	if err != nil {
		w.t.Fatalf("purge %s: %v", subject, err)
	}
}

// TestTimerReplacedAsItFires answers calls at the very moment at which their ring
// timers are due, and some a moment before and after. Whoever comes first wins:
// the call ends unanswered, or it lasts for its full duration. None lives on
// without a timer.
func TestTimerReplacedAsItFires(t *testing.T) {
	const calls, step = 100, 50 * time.Millisecond
	inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
		w.worker(func(o *router.Options) { o.Policy.MaxDuration = time.Hour })
		op, cu := w.endpoint(operator), w.endpoint(customer)
		// Five groups of calls that are all due at once, answered 100 ms and 50 ms
		// before that, then, 50 ms and 100 ms after it.
		group := func(i int) int { return i / (calls / 5) }
		name := func(i int) string { return fmt.Sprintf("c%d-%d", group(i), i) }
		for i := range calls {
			w.route(name(i), nil)
		}
		due := time.Now().Add(call.DefaultRingTimeout)
		for i := range calls {
			if op.say(signal.Start, name(i), "k"); time.Since(due) > -call.DefaultRingTimeout {
				t.Fatal("the clock went on while calls were made")
			}
		}
		for i := range calls {
			time.Sleep(time.Until(due.Add(time.Duration(group(i)-2) * step)))
			cu.say(signal.Accept, name(i), "k")
		}
		time.Sleep(time.Minute)
		var answered [5]int
		for i := range calls {
			s, _ := w.state(name(i))
			switch {
			case s.Phase == call.Active:
				answered[group(i)]++
			case s.Reason != signal.NoAnswer:
				t.Errorf("%s is %s %s, want active or unanswered", name(i), s.Phase, s.Reason)
			}
		}
		t.Logf("answered in time, of %d calls each: %v", calls/5, answered)
		if early := answered[0] + answered[1]; early != 2*calls/5 {
			t.Errorf("%d of %d calls that were answered before the timer was due are active", early, 2*calls/5)
		}
		if answered[4] != 0 {
			t.Errorf("%d calls that were answered after the timer had fired are active", answered[4])
		}
		time.Sleep(time.Hour)
		for i := range calls {
			s, _ := w.state(name(i))
			if s.Reason == signal.MaxDuration {
				about(t, name(i)+" ended", s.EndedAt, s.AnsweredAt.Add(time.Hour), firing)
			} else if s.Reason != signal.NoAnswer {
				t.Errorf("%s is %s %s, want ended no_answer or max_duration", name(i), s.Phase, s.Reason)
			}
		}
		for cid, n := range op.stops() {
			if n != 1 {
				t.Errorf("%s: the caller heard %d stops, want 1", cid, n)
			}
		}
	})
}

// TestTimerFiresForNobody: timers that come due while no worker runs wait for
// one.
func TestTimerFiresForNobody(t *testing.T) {
	inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
		stop := w.worker(nil)
		w.route("c1", nil)
		op, cu := w.endpoint(operator), w.endpoint(customer)
		started := op.say(signal.Start, "c1", "k1")
		cu.expect(signal.Start, "k1", time.Second)
		stop()
		op.quiet(2 * time.Hour)
		w.worker(nil)
		op.stopped("k1", signal.NoAnswer, time.Second)
		cu.stopped("k1", signal.NoAnswer, time.Second)
		about(t, "ended", w.ended("c1", signal.NoAnswer).EndedAt, started.Add(call.DefaultRingTimeout), firing)
	})
}

// TestDeferred: a candidate that overtakes its start waits for it, a second and a
// half at most.
func TestDeferred(t *testing.T) {
	inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
		w.worker(nil)
		w.route("c1", nil)
		op, cu := w.endpoint(operator), w.endpoint(customer)
		op.say(signal.Candidate, "c1", "k1")
		cu.quiet(time.Second)
		op.say(signal.Start, "c1", "k1")
		cu.expect(signal.Start, "k1", time.Second)
		cu.expect(signal.Candidate, "k1", time.Second)

		sent := op.say(signal.Candidate, "c1", "k2")
		m := op.refused(signal.CodeUnknownCall, "k2", time.Minute)
		about(t, "refused", m.at, sent.Add(1500*time.Millisecond), 100*time.Millisecond)
	})
}

// TestPolicy: the limits of the fleet count from the broker's timestamps, and to
// the second.
func TestPolicy(t *testing.T) {
	inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
		w.worker(func(o *router.Options) { o.Policy.RingTimeout, o.Policy.MaxDuration = 3*time.Minute, 100*time.Minute })
		w.route("c1", nil)
		op, cu := w.endpoint(operator), w.endpoint(customer)
		started := op.say(signal.Start, "c1", "k1")
		cu.expect(signal.Start, "k1", time.Second)
		about(t, "stopped", cu.stopped("k1", signal.NoAnswer, time.Hour).at, started.Add(3*time.Minute), firing)
		op.stopped("k1", signal.NoAnswer, time.Second)
		op.say(signal.Start, "c1", "k2")
		cu.expect(signal.Start, "k2", time.Second)
		answered := cu.say(signal.Accept, "c1", "k2")
		op.expect(signal.Accept, "k2", time.Second)
		about(t, "stopped", cu.stopped("k2", signal.MaxDuration, 12*time.Hour).at, answered.Add(100*time.Minute), firing)
	})
}
