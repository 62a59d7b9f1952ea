package integration

import (
	"fmt"
	"testing"

	"github.com/voicerouter/voicerouter/call"
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
