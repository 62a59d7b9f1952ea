package security

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// The conversations of an arena.
const (
	victims = "victims" // of operator and customer, with an active call
	own     = "own"     // of mallory and the accomplice
	current = "k1"      // the call on victims
)

// patience is how long the arena waits for what must happen.
const patience = 20 * time.Second

// arena is a broker, a worker, and a call between two people who do nothing
// wrong. What an attack does to them is what the arena looks at.
type arena struct {
	*brokertest.Broker
	t       *testing.T // of the attack
	suite   *testing.T // of all attacks
	dir     string
	config  broker.Config // as the broker runs with it
	admin   *nats.Conn
	js      jetstream.JetStream
	metrics *prometheus.Registry // of the worker
	doors   *prometheus.Registry // of the auth callout service
	stop    func()
	op, cu  *peer
	spy     *spy
	sent    atomic.Int64 // numbers what is said
}

// newArena starts everything anew. change adapts the worker.
func newArena(t *testing.T, change func(*router.Options)) *arena {
	t.Helper()
	a := &arena{t: t, suite: t, dir: t.TempDir(), doors: prometheus.NewRegistry()}
	a.Broker = brokertest.Start(t, brokertest.Options{
		Users: []string{operator, customer, mallory, accomplice, short, revoked},
		Apps:  []string{proxy, gazette, helpdesk}, Dir: a.dir,
		Callout: true, Auth: func(o *auth.Options) { o.Registerer = a.doors },
		Configure: func(c *broker.Config) { c.Port = freePort(t); a.config = *c },
	})
	a.connect()
	a.revoke(revoked)
	a.work(change)
	a.route(victims, operator, customer, nil)
	a.route(own, mallory, accomplice, nil)
	a.op, a.cu = a.peer(operator), a.peer(customer)
	a.op.say(signal.Start, victims, current, nil)
	a.cu.expect(signal.Start, current)
	a.cu.say(signal.Accept, victims, current, nil)
	a.op.expect(signal.Accept, current)
	return a
}

// connect opens the connection of the administrator, who sees everything.
func (a *arena) connect() {
	a.t.Helper()
	a.admin = a.Admin(a.suite)
	a.js = brokertest.JetStream(a.suite, a.admin)
	a.spy = &spy{ended: make(chan struct{}, 1)}
	if _, err := a.admin.Subscribe(">", a.spy.hear); err != nil {
		a.t.Fatal(err)
	}
}

// work starts a worker. The one before it, if any, must have been stopped.
func (a *arena) work(change func(*router.Options)) {
	a.t.Helper()
	a.metrics = prometheus.NewRegistry()
	opts := router.Options{
		Conn:       a.Router(a.suite),
		Proxies:    map[identity.ID]identity.PrivateKey{identity.MustID(proxy): a.Get(a.t, proxy).Key},
		Limits:     router.Limits{Messages: -1, Starts: -1}, // one identity attacks all the time
		Registerer: a.metrics,
	}
	if change != nil {
		change(&opts)
	}
	r, err := router.New(opts)
	if err != nil {
		a.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	a.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			a.suite.Errorf("router: %v", err)
		}
	})
	a.suite.Cleanup(a.stop)
}

// route stores a route through the proxy.
func (a *arena) route(cid, operator, customer string, change func(*call.Route)) {
	a.t.Helper()
	r := call.Route{Proxy: identity.MustID(proxy), Operator: identity.MustID(operator), Customer: identity.MustID(customer), Start: call.StartBoth}
	if change != nil {
		change(&r)
	}
	data, err := r.Encode()
	if err != nil {
		a.t.Fatal(err)
	}
	a.put(subjects.BucketRoutes, cid, data)
}

func (a *arena) revoke(name string) {
	a.t.Helper()
	record := a.Get(a.t, name).Record
	record.Revoked = true
	data, err := record.Encode()
	if err != nil {
		a.t.Fatal(err)
	}
	a.put(subjects.BucketIdentities, name, data)
}

func (a *arena) put(bucket, key string, value []byte) {
	a.t.Helper()
	kv, err := a.js.KeyValue(a.t.Context(), bucket)
	if err == nil {
		_, err = kv.Put(a.t.Context(), key, value)
	}
	if err != nil {
		a.t.Fatalf("put %s %s: %v", bucket, key, err)
	}
}

// store puts bytes on any subject of ROUTER, as nobody but an administrator can:
// what it stores has got past the broker.
func (a *arena) store(subject string, data []byte) {
	a.t.Helper()
	if _, err := a.js.Publish(a.t.Context(), subject, data); err != nil {
		a.t.Fatalf("store %s: %v", subject, err)
	}
}

// state reads the record of a conversation.
func (a *arena) state(key string) call.State {
	a.t.Helper()
	m, err := msgget.Last(a.t.Context(), a.admin, subjects.StreamOut, subjects.State(key))
	if err != nil {
		a.t.Fatalf("record of %s: %v", key, err)
	}
	s, err := call.DecodeState(m.Data)
	if err != nil {
		a.t.Fatalf("record of %s: %v", key, err)
	}
	return s
}

// count returns voicerouter_messages_total for a result and a code.
func (a *arena) count(result string, code signal.Code) (sum float64) {
	a.t.Helper()
	families, err := a.metrics.Gather()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "voicerouter_messages_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["result"] == result && labels["code"] == string(code) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	within(t, patience, what, holds)
}

func within(t testing.TB, patience time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("not within %v: %s", patience, what)
		case <-tick.C:
		}
	}
}

func withSubject(filter string) jetstream.StreamInfoOpt { return jetstream.WithSubjectFilter(filter) }
