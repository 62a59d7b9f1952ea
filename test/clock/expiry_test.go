package clock

import (
	"errors"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestRouteExpires: a route allows new calls until it expires, judged by when the
// broker received the start; a call that stands goes on.
func TestRouteExpires(t *testing.T) {
	inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
		stop := w.worker(nil)
		expires := time.Now().Add(3 * time.Hour).Truncate(time.Second)
		for _, cid := range []string{"c1", "c2"} {
			w.route(cid, func(r *call.Route) { r.ExpiresAt = expires })
		}
		op, cu := w.endpoint(operator), w.endpoint(customer)
		time.Sleep(time.Until(expires.Add(-2 * time.Second)))
		op.say(signal.Start, "c1", "k1")
		cu.expect(signal.Start, "k1", time.Second)
		stop()
		op.say(signal.Start, "c2", "k2") // in time, but nobody is there to decide it
		time.Sleep(time.Until(expires.Add(time.Second)))
		w.worker(nil)
		cu.expect(signal.Start, "k2", time.Second)
		cu.say(signal.Busy, "c2", "k2")
		op.expect(signal.Busy, "k2", time.Second)

		cu.say(signal.Accept, "c1", "k1")
		op.expect(signal.Accept, "k1", time.Second)
		time.Sleep(time.Hour)
		op.say(signal.Update, "c1", "k1")
		cu.expect(signal.Update, "k1", time.Second)
		op.say(signal.Stop, "c1", "k1")
		cu.stopped("k1", signal.Hangup, time.Second)

		op.say(signal.Start, "c1", "k3")
		op.refused(signal.CodeRouteExpired, "k3", time.Second)
		op.stopped("k3", signal.Failed, time.Second)
		cu.quiet(time.Minute)
	})
}

// TestCallIDIsForgotten: a call_id is used once in ten minutes.
func TestCallIDIsForgotten(t *testing.T) {
	const remembered = 10 * time.Minute
	inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
		w.worker(nil)
		w.route("c1", nil)
		op, cu := w.endpoint(operator), w.endpoint(customer)
		for _, callID := range []string{"k1", "k2"} {
			op.say(signal.Start, "c1", callID)
			cu.expect(signal.Start, callID, time.Second)
			op.say(signal.Stop, "c1", callID)
			cu.stopped(callID, signal.Cancelled, time.Second)
		}
		time.Sleep(remembered - 5*time.Second)
		op.say(signal.Start, "c1", "k1")
		op.refused(signal.CodeCallEnded, "k1", time.Second)
		op.stopped("k1", signal.Failed, time.Second)
		time.Sleep(remembered)
		op.say(signal.Start, "c1", "k1")
		cu.expect(signal.Start, "k1", time.Second)
	})
}

// TestRefusedIsKeptForAnHour: and no longer.
func TestRefusedIsKeptForAnHour(t *testing.T) {
	inBubble(t, brokertest.Options{}, func(t *testing.T, w *world) {
		w.worker(nil)
		op := w.endpoint(operator)
		op.say(signal.Start, "nowhere", "k1")
		op.refused(signal.CodeUnknownCall, "k1", time.Second)
		kept := func() bool {
			_, err := msgget.Last(t.Context(), w.nc, subjects.StreamOut, subjects.Rejected(string(signal.CodeUnknownCall), operator))
			if err != nil && !errors.Is(err, msgget.ErrNone) {
				t.Fatal(err)
			}
			return err == nil
		}
		time.Sleep(time.Hour - 5*time.Second)
		if !kept() {
			t.Error("the refused message is gone within the hour")
		}
		time.Sleep(10 * time.Second)
		if kept() {
			t.Error("the refused message is kept for longer than an hour")
		}
	})
}
