package integration

import (
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestRevocationEndsCalls: whoever talks with a revoked identity hears that the
// call is over, within a second; calls of others go on.
func TestRevocationEndsCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, brokertest.Options{Callout: true})
	w.fleet(nil)
	w.route("c1", nil)
	w.route("c2", func(r *call.Route) { r.Operator = identity.MustID(stranger) })
	op, other, cust := w.endpoint(operator), w.endpoint(stranger), w.endpoint(customer)
	for cid, e := range map[string]*endpoint{"c1": op, "c2": other} {
		e.say(signal.Start, cid, cid+"-1", nil)
		cust.expect(signal.Start, cid+"-1")
		cust.say(signal.Accept, cid, cid+"-1", nil)
		e.expect(signal.Accept, cid+"-1")
	}
	list, _ := ask[router.ListResponse](t, w.nc, subjects.ServiceCallList, router.ListRequest{Identity: op.id.ID})
	if len(list.Calls) != 1 || list.Calls[0].CID != "c1" {
		t.Errorf("calls of %s: want c1 alone, got %+v", operator, list.Calls)
	}
	begin := time.Now()
	w.Revoke(t, operator)
	if got := cust.expect(signal.Stop, "c1-1").Reason; got != signal.AdminTerminated {
		t.Errorf("want the call ended with %s, got %s", signal.AdminTerminated, got)
	}
	took := time.Since(begin)
	t.Logf("the call was ended after %s", took.Round(time.Millisecond))
	if took > 5*time.Second {
		t.Errorf("want the call ended within a second or so, it took %s", took)
	}
	eventually(t, "the revoked identity's connection is cut", func() bool { return !op.nc.IsConnected() })
	if s := w.state("c2"); !s.Live() {
		t.Errorf("want a call between others to go on, got %s", s.Phase)
	}
}
