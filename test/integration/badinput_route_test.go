package integration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestRefusedStartIsStopped: a client that knows only the six upstream types is
// not left waiting. Whoever is on the route and may not start hears why, and that
// it is over - but never that of the call that goes on.
func TestRefusedStartIsStopped(t *testing.T) {
	b := newBadWorld(t)
	op, cu := b.op, b.cu
	refuse := func(e *endpoint, typ signal.Type, cid, callID string, code signal.Code, stopped bool) {
		t.Helper()
		m := e.say(typ, cid, callID, func(m *signal.Message) { m.PeerInfo = "another offer" })
		e.refused(code, m.JTI)
		if stopped {
			e.stopped(callID)
		}
	}
	b.route("c1", nil)
	refuse(cu, signal.Start, "c1", "k0", signal.CodeForbidden, true) // only the operator starts
	refuse(op, signal.Accept, "c1", "k00", signal.CodeUnknownCall, true)
	op.say(signal.Start, "c1", "k1", nil)
	cu.expect(signal.Start, "k1")
	refuse(op, signal.Start, "c1", "k2", signal.CodeSessionBusy, true)
	refuse(op, signal.Start, "c1", "k1", signal.CodeDuplicateStart, false) // current
	refuse(cu, signal.Start, "c1", "k1", signal.CodeConflict, false)       // current
	refuse(op, signal.Accept, "c1", "k1", signal.CodeWrongRole, false)     // current
	cu.say(signal.Accept, "c1", "k1", nil)
	op.expect(signal.Accept, "k1")
	refuse(op, signal.Start, "c1", "k3", signal.CodeSessionBusy, true)
	op.say(signal.Stop, "c1", "k1", nil)
	cu.expect(signal.Stop, "k1")
	refuse(op, signal.Start, "c1", "k1", signal.CodeCallEnded, true)

	b.route("c2", func(r *call.Route) { r.ExpiresAt = time.Now().Add(-time.Minute) })
	refuse(op, signal.Start, "c2", "k1", signal.CodeRouteExpired, true)

	// Refused for what it is, while the call of that name rings: the call goes on.
	b.route("c3", nil)
	op.say(signal.Start, "c3", "k1", nil)
	cu.expect(signal.Start, "k1")
	stale := op.claims(signal.Start, "c3", "k1")
	op.publish("start", stale.JTI, op.bytes(stale, object{"iat": ago(time.Hour)}))
	op.refused(signal.CodeStale, stale.JTI)
	cu.say(signal.Busy, "c3", "k1", nil)
	op.expect(signal.Busy, "k1")
}

// TestBrokenRoute: the caller hears route_invalid, the log says which key is to
// be mended and quotes nothing of it, and calls work once it is.
func TestBrokenRoute(t *testing.T) {
	b := newBadWorld(t)
	const sides = `"proxy":"` + proxy + `","operator":"` + operator + `"`
	for _, tc := range []struct {
		cid, record string
		stopped     bool // the sides can be read, so that the caller is on the route
	}{
		{"r-empty", ``, false},
		{"r-cut", `{` + sides + `,"customer":"` + customer + `","operator_name":"` + secret, false},
		{"r-null", `null`, false},
		{"r-array", `["` + secret + `"]`, false},
		{"r-utf8", "{\"operator_name\":\"\xff\"}", false},
		{"r-twice", `{` + sides + `,"customer":"` + customer + `","customer":"` + stranger + `"}`, false},
		{"r-deep", strings.Repeat(`{"proxy":`, 3000), false},
		{"r-wildcard", `{` + sides + `,"customer":">"}`, false},
		{"r-alone", `{` + sides + `}`, false},
		{"r-oneself", `{` + sides + `,"customer":"` + operator + `"}`, true},
		{"r-name", `{` + sides + `,"customer":"` + customer + `","operator_name":{"x":"` + secret + `"}}`, true},
		{"r-start", `{` + sides + `,"customer":"` + customer + `","start":"` + secret + `"}`, true},
		{"r-expires", `{` + sides + `,"customer":"` + customer + `","expires_at":"` + secret + `"}`, true},
		{"r-unknown", `{` + sides + `,"customer":"` + unknown + `"}`, true},
		{"r-revoked", `{` + sides + `,"customer":"` + revoked + `"}`, true},
		{"r-garbled", `{` + sides + `,"customer":"` + garbled + `"}`, true},
	} {
		t.Run(tc.cid, func(t *testing.T) {
			b.in(t, func() {
				b.putRoute(tc.cid, []byte(tc.record))
				m := b.op.say(signal.Start, tc.cid, "k1", nil)
				b.op.refused(signal.CodeRouteInvalid, m.JTI)
				if tc.stopped {
					b.op.stopped("k1")
				}
				if lines := b.log.lines("bucket="+subjects.BucketRoutes, "key="+tc.cid); len(lines) == 0 {
					t.Error("the log does not name the key")
				}
				b.route(tc.cid, nil)
				b.op.say(signal.Start, tc.cid, "k2", nil)
				b.cu.expect(signal.Start, "k2")
				b.cu.say(signal.Busy, tc.cid, "k2", nil)
				b.op.expect(signal.Busy, "k2")
			})
		})
	}
	for _, line := range b.log.lines(secret) {
		t.Errorf("the log quotes a route: %s", line)
	}
}

// TestForeignRoute: a route that names another proxy is none for this one.
func TestForeignRoute(t *testing.T) {
	b := newBadWorld(t)
	b.route("c1", func(r *call.Route) { r.Proxy = identity.MustID(app) })
	m := b.op.say(signal.Start, "c1", "k1", nil)
	b.op.refused(signal.CodeUnknownCall, m.JTI)
}

// TestRouteGone: the marker that a bucket keeps of a route that has expired by
// its own time to live is no broken route.
func TestRouteGone(t *testing.T) {
	b := newBadWorld(t)
	b.route("c0", nil)
	kv, err := brokertest.JetStream(t, b.nc).KeyValue(t.Context(), subjects.BucketRoutes)
	if err != nil {
		t.Fatal(err)
	}
	route, err := kv.Get(t.Context(), "c0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Create(t.Context(), "c1", route.Value(), jetstream.KeyTTL(time.Second)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the route has expired", func() bool {
		_, err := kv.Get(t.Context(), "c1")
		return errors.Is(err, jetstream.ErrKeyNotFound)
	})
	m := b.op.say(signal.Start, "c1", "k1", nil)
	b.op.refused(signal.CodeUnknownCall, m.JTI)
}
