package integration

import (
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// denied collects what the server refuses to a connection.
type denied struct {
	mu  sync.Mutex
	got []error
}

func (d *denied) option() nats.Option {
	return nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.got = append(d.got, err)
	})
}

func (d *denied) check(t *testing.T, who string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, err := range d.got {
		t.Errorf("%s: want nothing refused, got %v", who, err)
	}
}

// TestLeastPrivilegeIsEnough runs everything that a worker and an auth callout
// service do with the permissions that they have in production: the server
// refuses nothing.
func TestLeastPrivilegeIsEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t, brokertest.Options{Callout: true, NoAuth: true})
	var worker, door denied
	w.StartAuth(t, func(o *auth.Options) { o.Conn = w.AuthConn(t, door.option()) })
	nc := w.Router(t, worker.option())
	start := func() (stop func()) {
		return w.fleet(func(o *router.Options) {
			o.Conn = nc
			o.Policy = call.Policy{RingTimeout: 5 * time.Second}
		})
	}
	stop := start()
	op, cu, x := w.endpoint(operator), w.endpoint(customer), w.endpoint(stranger)
	backend := w.Backend(t)

	// A call that is created, answered and ended by its sides; one that is ended by
	// the backend; one that nobody answers.
	for _, cid := range []string{"c1", "c2", "c3"} {
		created, code := ask[router.CreateResponse](t, backend, subjects.ServiceCallCreate, router.CreateRequest{CID: cid, TTL: 3600, Route: call.Route{
			Proxy: identity.MustID(proxy), Customer: identity.MustID(customer), Operator: identity.MustID(operator),
		}})
		if code != "" || created.CID != cid {
			t.Fatalf("create: %s", code)
		}
		op.expect(signal.Setup, "")
		op.say(signal.Start, cid, cid+"-1", nil)
		cu.expect(signal.Start, cid+"-1")
	}
	cu.say(signal.Accept, "c1", "c1-1", nil)
	op.expect(signal.Accept, "c1-1")
	op.say(signal.Stop, "c1", "c1-1", nil)
	cu.expect(signal.Stop, "c1-1")
	if _, code := ask[router.EndResponse](t, backend, subjects.ServiceCallEnd, router.EndRequest{CID: "c2"}); code != "" {
		t.Errorf("end: %s", code)
	}
	cu.expect(signal.Stop, "c2-1")
	op.expect(signal.Stop, "c2-1")

	// What is refused and kept, what is asked for, what is read.
	x.say(signal.Start, "c1", "x-1", nil)
	x.expectError("x-1")
	if answer, _ := ask[signal.SyncResponse](t, cu.nc, subjects.Sync(customer), signal.SyncRequest{}); answer.Error != nil {
		t.Errorf("sync: %+v", answer.Error)
	}
	ask[router.GetResponse](t, backend, subjects.ServiceCallGet, router.GetRequest{CID: "c1", History: true})
	ask[router.ListResponse](t, backend, subjects.ServiceCallList, router.ListRequest{All: true})

	// A worker that starts over, a timer that fires, an identity that goes.
	stop()
	start()
	if m := cu.expect(signal.Stop, "c3-1"); m.Reason != signal.NoAnswer {
		t.Errorf("want the ring timer to end the call, got %s", m.Reason)
	}
	w.Revoke(t, operator)
	eventually(t, "the connection of the revoked identity is cut", func() bool { return !op.nc.IsConnected() })
	worker.check(t, "worker")
	door.check(t, "auth callout service")
}
