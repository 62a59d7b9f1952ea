package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
)

// TestRecordFlood: somebody on the route fills the list of applied messages of
// his call. The call can be ended all the same, nothing waits for ever, and other
// calls go on.
func TestRecordFlood(t *testing.T) {
	const flood = call.MaxMarks + 50
	w := newWorld(t, brokertest.Options{})
	w.fleet(func(o *router.Options) { o.Limits = router.Limits{Messages: -1, Starts: -1} })
	op, cu := w.endpoint(operator), w.endpoint(customer)
	w.route("c1", nil)
	w.route("c2", nil)
	op.say(signal.Start, "c1", "k", nil)
	cu.expect(signal.Start, "k")
	for range flood {
		op.say(signal.Candidate, "c1", "k", nil)
	}
	op.say(signal.Stop, "c1", "k", nil)
	op.say(signal.Start, "c2", "k", nil)
	heard := map[string]int{}
	for heard["stop c1"] == 0 || heard["start c2"] == 0 {
		m := cu.next()
		heard[fmt.Sprint(m.Type, " ", m.CID)]++
	}
	if n := heard["candidate c1"]; n < call.MaxMarks-1 || n >= flood {
		t.Errorf("%d of %d candidates delivered, want as many as the record holds", n, flood)
	}
	if s := w.state("c1"); s.Phase != call.Ended {
		t.Errorf("the flooded call is %s, want ended", s.Phase)
	}
	w.drained()
}

// TestTimerRace answers calls at the moment at which their ring timer fires. A
// timer that is written while another fires may be lost; whichever way each race
// goes, the call ends, and both sides hear it.
func TestTimerRace(t *testing.T) {
	const calls, ring = 100, 300 * time.Millisecond
	w := newWorld(t, brokertest.Options{})
	for range 2 {
		w.fleet(func(o *router.Options) { o.Policy.RingTimeout, o.Policy.MaxDuration, o.Priority = ring, ring, 1 })
	}
	op, cu := w.endpoint(operator), w.endpoint(customer)
	for i := range calls {
		w.route(fmt.Sprint("c", i), nil)
	}
	var started [calls]time.Time
	for i := range calls {
		op.say(signal.Start, fmt.Sprint("c", i), "k", nil)
		started[i] = time.Now()
	}
	for i := range calls {
		// From a tenth of a second before the timer is due to as much after.
		at := started[i].Add(ring + time.Duration(i%20-10)*10*time.Millisecond)
		<-time.After(time.Until(at))
		cu.say(signal.Accept, fmt.Sprint("c", i), "k", nil)
	}
	eventually(t, "every call is over", func() bool {
		for i := range calls {
			if s := w.state(fmt.Sprint("c", i)); s.Live() {
				return false
			}
		}
		return true
	})
	stops := map[string]int{}
	for {
		m, ok := op.wait(200 * time.Millisecond)
		if !ok {
			break
		}
		if m.Type == signal.Stop {
			stops[m.CID]++
		}
	}
	for i := range calls {
		if n := stops[fmt.Sprint("c", i)]; n != 1 {
			t.Errorf("c%d: the caller heard %d stops, want 1", i, n)
		}
	}
}

// TestHeadersNameNobody: what reaches a side carries no header but the broker's
// own, and none that depends on who is on the other side.
func TestHeadersNameNobody(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	w.route("c1", nil)
	op, cu := w.endpoint(operator), w.endpoint(customer)
	op.say(signal.Start, "c1", "k", nil)
	raw, err := cu.live.NextMsg(10 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range raw.Header {
		if strings.Contains(fmt.Sprint(name, values), operator) || !strings.HasPrefix(name, "Nats-") {
			t.Errorf("header %s: %q", name, values)
		}
	}
	envelope, err := identity.ParseEnvelope(raw.Data)
	if err != nil || strings.Contains(string(envelope.Payload), operator) || raw.Reply != "" {
		t.Errorf("payload %s, reply %q, error %v", envelope.Payload, raw.Reply, err)
	}
}
