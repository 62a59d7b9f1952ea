package clock

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestFleetDown: what was sent while no worker ran counts as if it had been
// decided when the broker received it, an hour ago.
func TestFleetDown(t *testing.T) {
	inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
		stop := w.worker(nil)
		for _, cid := range []string{"talking", "cancelled", "unanswered", "accepted", "stale"} {
			w.route(cid, nil)
		}
		op, cu := w.endpoint(operator), w.endpoint(customer)
		op.say(signal.Start, "talking", "k1")
		cu.expect(signal.Start, "k1", time.Second)
		cu.say(signal.Accept, "talking", "k1")
		op.expect(signal.Accept, "k1", time.Second)
		stop()

		hangup := cu.say(signal.Stop, "talking", "k1")
		op.say(signal.Start, "cancelled", "k2")
		time.Sleep(20 * time.Second)
		cancel := op.say(signal.Stop, "cancelled", "k2")
		unanswered := op.say(signal.Start, "unanswered", "k3")
		stale := op.sign(signal.Start, "stale", "k4")
		time.Sleep(10 * time.Minute)
		op.publish(stale)
		time.Sleep(time.Hour)
		w.worker(nil)

		for range 4 { // in the order in which they were stored
			m, _ := op.hear(time.Second)
			switch m.CallID {
			case "k1", "k3":
			case "k4":
				if f, _ := m.Fault(); m.Type == signal.Error && f.Code != signal.CodeStale && f.Code != signal.CodeExpired {
					t.Errorf("a message that was signed long before it was sent: refused with %s", f.Code)
				}
			default:
				t.Errorf("the operator heard %s %s %s", m.Type, m.CallID, m.Reason)
			}
		}
		if s := w.ended("talking", signal.Hangup); s.EndedAt.Sub(hangup).Abs() > time.Second {
			t.Errorf("the call ended at %s, want when the stop was stored, %s", s.EndedAt, hangup)
		}
		if s := w.ended("cancelled", signal.Cancelled); s.EndedAt.Sub(cancel).Abs() > time.Second {
			t.Errorf("the call ended at %s, want when the stop was stored, %s", s.EndedAt, cancel)
		}
		s := w.ended("unanswered", signal.NoAnswer)
		if s.StartedAt.Sub(unanswered).Abs() > time.Second {
			t.Errorf("the call rang from %s, want since its start was stored, %s", s.StartedAt, unanswered)
		}
		if _, pending := w.timer("unanswered"); pending {
			t.Error("a timer is left")
		}
		if n := cu.stops(); n["cancelled"] != 1 || n["unanswered"] != 1 {
			t.Errorf("the customer heard stops %v, want one of the cancelled call and one of the unanswered one", n)
		}
	})
}

// TestWorkerVanished: what a worker had taken when it vanished another one gets
// after the ack wait, and acts upon it once. A worker that is gone without its
// connection being closed is served until its last pull request has expired.
func TestWorkerVanished(t *testing.T) {
	const pullExpiry = time.Second
	for name, c := range map[string]struct {
		closed bool
		late   time.Duration
	}{
		"killed": {true, time.Second},
		"frozen": {false, pullExpiry + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
				w.route("c1", nil)
				op, cu := w.endpoint(operator), w.endpoint(customer)
				l := &line{server: w.Server, lose: everything}
				first := w.Router(t, l.option())
				w.worker(func(o *router.Options) { o.Conn, o.Priority = first, 1 })
				w.worker(func(o *router.Options) { o.Priority = 2 })
				l.cut()
				sent := op.say(signal.Start, "c1", "k1")
				synctest.Wait() // the first worker has it
				if c.closed {
					first.Close()
				}
				about(t, "heard", cu.expect(signal.Start, "k1", time.Minute).at, sent.Add(provision.DefaultAckWait), c.late)
				cu.quiet(30 * time.Second)
				first.Close()
			})
		})
	}
}

// TestAcknowledgementsLost: a worker commits and its acknowledgements never
// arrive, for an hour. Its messages come again every ack wait and are acted upon
// once; nothing is left when they arrive again.
func TestAcknowledgementsLost(t *testing.T) {
	const hours = 1
	inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
		w.route("c1", nil)
		op, cu := w.endpoint(operator), w.endpoint(customer)
		l := &line{server: w.Server, lose: acknowledgements}
		conn := w.Router(t, l.option())
		w.worker(func(o *router.Options) { o.Conn = conn })
		l.cut()
		op.say(signal.Start, "c1", "k1")
		cu.expect(signal.Start, "k1", time.Second)
		cu.say(signal.Accept, "c1", "k1")
		op.expect(signal.Accept, "k1", time.Second)
		cu.say(signal.Stop, "c1", "k1")
		op.stopped("k1", signal.Hangup, time.Second)
		op.quiet(hours * time.Hour)
		cu.quiet(time.Second)
		want := 3 * hours * int(time.Hour/provision.DefaultAckWait)
		if lost := l.mend(); lost < want*9/10 || lost > want*11/10 {
			t.Errorf("%d acknowledgements were lost, want one of each message every ack wait: about %d", lost, want)
		}
		time.Sleep(2 * provision.DefaultAckWait)
		if info := w.consumer(subjects.StreamIn, subjects.ConsumerRouter); info.NumAckPending != 0 || info.NumPending != 0 {
			t.Errorf("%d messages wait for an ack and %d for a worker, want none", info.NumAckPending, info.NumPending)
		}
		w.ended("c1", signal.Hangup)
		op.quiet(time.Hour)
	})
}
