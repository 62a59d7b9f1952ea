package integration

import (
	"errors"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestRingTimeout: a call that nobody answers ends by its timer, on both sides.
func TestRingTimeout(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(func(o *router.Options) { o.Policy.RingTimeout = 300 * time.Millisecond })
	w.route("c1", nil)
	op, cu := w.endpoint(operator), w.endpoint(customer)
	op.say(signal.Start, "c1", "k1", nil)
	cu.expect(signal.Start, "k1")
	for _, side := range []*endpoint{op, cu} {
		if m := side.expect(signal.Stop, "k1"); m.Reason != signal.NoAnswer {
			t.Errorf("%s: stop %s, want no_answer", side.id.ID, m.Reason)
		}
	}
	if s := w.state("c1"); s.Phase != call.Ended || s.Reason != signal.NoAnswer {
		t.Errorf("record is %s %s", s.Phase, s.Reason)
	}
}

// TestMaxDuration: the answer replaces the ring timer by one for the duration.
func TestMaxDuration(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(func(o *router.Options) { o.Policy.MaxDuration = 300 * time.Millisecond })
	w.route("c1", nil)
	op, cu := w.endpoint(operator), w.endpoint(customer)
	op.say(signal.Start, "c1", "k1", nil)
	cu.expect(signal.Start, "k1")
	cu.say(signal.Accept, "c1", "k1", nil)
	op.expect(signal.Accept, "k1")
	for _, side := range []*endpoint{op, cu} {
		if m := side.expect(signal.Stop, "k1"); m.Reason != signal.MaxDuration {
			t.Errorf("%s: stop %s, want max_duration", side.id.ID, m.Reason)
		}
	}
}

// TestTimerPurged: the end of a call purges its timer in the same batch.
func TestTimerPurged(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	w.route("c1", nil)
	op, cu := w.endpoint(operator), w.endpoint(customer)
	timer := func() error {
		_, err := msgget.Last(t.Context(), w.nc, subjects.StreamOut, subjects.Timer("c1"))
		return err
	}
	op.say(signal.Start, "c1", "k1", nil)
	cu.expect(signal.Start, "k1")
	if err := timer(); err != nil {
		t.Fatalf("timer of a ringing call: %v", err)
	}
	op.say(signal.Stop, "c1", "k1", nil)
	cu.expect(signal.Stop, "k1")
	if err := timer(); !errors.Is(err, msgget.ErrNone) {
		t.Errorf("timer of an ended call: %v, want none", err)
	}
}

// TestDeadlinePast: a fleet that was down while a start waited judges by the time
// at which the broker stored it: the call rings, and its deadline, long past,
// fires at once.
func TestDeadlinePast(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.route("c1", nil)
	op, cu := w.endpoint(operator), w.endpoint(customer)
	op.say(signal.Start, "c1", "k1", nil)
	stored := time.Now()
	eventually(t, "the ring time passes", func() bool { return time.Since(stored) > 200*time.Millisecond })
	w.fleet(func(o *router.Options) { o.Policy.RingTimeout = 100 * time.Millisecond })
	cu.expect(signal.Start, "k1")
	if m := cu.expect(signal.Stop, "k1"); m.Reason != signal.NoAnswer {
		t.Errorf("stop %s, want no_answer", m.Reason)
	}
	op.expect(signal.Stop, "k1")
}

// TestTrickleBeforeStart: a candidate that overtakes its start waits for it; one
// without a start is refused after a while.
func TestTrickleBeforeStart(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.route("c1", nil)
	op, cu := w.endpoint(operator), w.endpoint(customer)
	op.say(signal.Candidate, "c1", "k1", func(m *signal.Message) { m.PeerInfo = "early" })
	w.fleet(nil)
	op.say(signal.Start, "c1", "k1", nil)
	cu.expect(signal.Start, "k1")
	if m := cu.expect(signal.Candidate, "k1"); m.PeerInfo != "early" {
		t.Errorf("candidate %q, want early", m.PeerInfo)
	}
	op.say(signal.Candidate, "c1", "k2", nil)
	if f := op.expectError("k2"); f.Code != signal.CodeUnknownCall {
		t.Errorf("code %s, want unknown_call", f.Code)
	}
}
