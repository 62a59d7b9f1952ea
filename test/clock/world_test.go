package clock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// The cast, as in the protocol's examples.
const (
	operator = "1112223334"
	customer = "1111111111"
	proxy    = "proxy"
)

func TestMain(m *testing.M) {
	ats.Register() // the server's clock of accesses must live outside of the bubbles
	code := m.Run()
	ats.Unregister()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// world is a broker in a bubble.
type world struct {
	*brokertest.Broker
	t  *testing.T
	nc *nats.Conn // as admin
	js jetstream.JetStream
}

// inBubble runs a test against a broker on a clock of its own, and says how much
// time passed there and how much here.
func inBubble(t *testing.T, opts brokertest.Options, do func(t *testing.T, w *world)) {
	t.Helper()
	dropPools()
	began := time.Now()
	var passed time.Duration
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		defer func() { passed = time.Since(began) }()
		opts.InProcess, opts.Memory = true, true
		opts.Users, opts.Apps = append(opts.Users, operator, customer), append(opts.Apps, proxy)
		b := brokertest.Start(t, opts)
		w := &world{Broker: b, t: t, nc: b.Admin(t)}
		w.js = brokertest.JetStream(t, w.nc)
		do(t, w)
	})
	t.Logf("%s took %s", passed.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// dropPools empties every sync.Pool, which takes two collections. nats.go keeps
// timers in one, and a timer of one bubble must not be used in another.
func dropPools() {
	runtime.GC()
	runtime.GC()
}

// worker starts a router that serves the proxy; it stops with the returned
// function or with the test.
func (w *world) worker(change func(*router.Options)) (stop func()) {
	w.t.Helper()
	opts := router.Options{
		Proxies: map[identity.ID]identity.PrivateKey{identity.MustID(proxy): w.Get(w.t, proxy).Key},
		Limits:  router.Limits{Messages: -1, Starts: -1},
		Policy:  call.Policy{KeepApplied: 15 * time.Second},
	}
	if change != nil {
		change(&opts)
	}
	if opts.Conn == nil {
		opts.Conn = w.Router(w.t)
	}
	r, err := router.New(opts)
	if err != nil {
		w.t.Fatalf("new router: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			w.t.Errorf("router: %v", err)
		}
	})
	w.t.Cleanup(stop)
	for r.Ready() != nil {
		time.Sleep(10 * time.Millisecond)
	}
	return stop
}

// route stores a route between the operator and the customer.
func (w *world) route(cid string, change func(*call.Route)) {
	w.t.Helper()
	route := call.Route{Proxy: identity.MustID(proxy), Operator: identity.MustID(operator), Customer: identity.MustID(customer)}
	if change != nil {
		change(&route)
	}
	data, err := route.Encode()
	if err != nil {
		w.t.Fatalf("route: %v", err)
	}
	kv, err := w.js.KeyValue(w.t.Context(), subjects.BucketRoutes)
	if err == nil {
		_, err = kv.Put(w.t.Context(), cid, data)
	}
	if err != nil {
		w.t.Fatalf("put route %s: %v", cid, err)
	}
}

// state reads the record of a conversation and where it stands in the stream.
func (w *world) state(cid string) (call.State, uint64) {
	w.t.Helper()
	m, err := msgget.Last(w.t.Context(), w.nc, subjects.StreamOut, subjects.State(cid))
	if err != nil {
		w.t.Fatalf("record of %s: %v", cid, err)
	}
	s, err := call.DecodeState(m.Data)
	if err != nil {
		w.t.Fatalf("record of %s: %v", cid, err)
	}
	return s, m.Seq
}

// ended checks how the call of a conversation ended.
func (w *world) ended(cid string, reason signal.Reason) call.State {
	w.t.Helper()
	s, _ := w.state(cid)
	if s.Phase != call.Ended || s.Reason != reason {
		w.t.Errorf("%s is %s %s, want ended %s", cid, s.Phase, s.Reason, reason)
	}
	return s
}

// timer returns the pending timer of a conversation, if there is one.
func (w *world) timer(cid string) (m msgget.Message, pending bool) {
	w.t.Helper()
	m, err := msgget.Last(w.t.Context(), w.nc, subjects.StreamOut, subjects.Timer(cid))
	if err != nil && !errors.Is(err, msgget.ErrNone) {
		w.t.Fatalf("timer of %s: %v", cid, err)
	}
	return m, err == nil
}

// consumer returns the state of a consumer.
func (w *world) consumer(stream, name string) *jetstream.ConsumerInfo {
	w.t.Helper()
	c, err := w.js.Consumer(w.t.Context(), stream, name)
	if err != nil {
		w.t.Fatalf("consumer %s: %v", name, err)
	}
	return c.CachedInfo()
}

// about checks that something happened when it was due, or at most late after.
func about(t *testing.T, what string, at, due time.Time, late time.Duration) {
	t.Helper()
	if d := at.Sub(due); d < 0 || d > late {
		t.Errorf("%s %s after it was due, want between 0 and %s", what, d, late)
	}
}

// counters returns the sum of a metric over its labels.
func counters(t *testing.T, registry *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
			return sum
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
