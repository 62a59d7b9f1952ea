package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
)

// TestRollingRestart: every worker is told to end and replaced by another, again
// and again, while calls are made all the time. Nothing is delivered twice - a
// worker leaves nothing behind - and nobody waits: the slowest call is set up
// within a second, in one of three attempts on a machine that may be busy.
func TestRollingRestart(t *testing.T) {
	const attempts, limit = 3, time.Second
	var slowest time.Duration
	for range attempts {
		if slowest = rollingRestart(t); slowest < limit || t.Failed() {
			return
		}
	}
	t.Errorf("the slowest call took %v to set up, want less than %v", slowest, limit)
}

func rollingRestart(t *testing.T) (slowest time.Duration) {
	const pairs, workers, restarts = 8, 2, 6
	var opts brokertest.Options
	for i := range pairs {
		opts.Users = append(opts.Users, fmt.Sprint("3", i), fmt.Sprint("4", i))
	}
	w := newWorld(t, opts)
	registry := prometheus.NewRegistry()
	worker := func(n int) (stop func()) {
		return w.ready(func(o *router.Options) {
			o.Registerer = prometheus.WrapRegistererWith(prometheus.Labels{"worker": fmt.Sprint(n)}, registry)
		})
	}
	var fleet []func()
	for n := range workers {
		fleet = append(fleet, worker(n))
	}
	over := make(chan struct{})
	setups := make(chan time.Duration, pairs)
	var calls sync.WaitGroup
	for i := range pairs {
		p := pair{w.endpoint(fmt.Sprint("3", i)), w.endpoint(fmt.Sprint("4", i))}
		calls.Go(func() { p.callUntil(over, setups) })
	}
	for n := range restarts {
		next := worker(workers + n)
		fleet[0]()
		fleet = append(fleet[1:], next)
	}
	close(over)
	calls.Wait()
	for range pairs {
		slowest = max(slowest, <-setups)
	}
	w.drained()
	if n := total(t, registry, "voicerouter_redelivered_total"); n != 0 {
		t.Errorf("%v messages were delivered twice, want none", n)
	}
	t.Logf("%v messages during %d restarts, the slowest call was set up in %v", total(t, registry, "voicerouter_messages_total"), restarts, slowest)
	if n := total(t, registry, "voicerouter_messages_total"); n < 4*restarts*pairs {
		t.Errorf("only %v messages were handled during %d restarts", n, restarts)
	}
	return slowest
}

// pair is an operator and a customer who call each other.
type pair struct{ op, cu *endpoint }

// callUntil makes call after call, each of a conversation of its own, until over
// is closed and reports how long the slowest took from start to accept.
func (p pair) callUntil(over <-chan struct{}, setups chan<- time.Duration) {
	var slowest time.Duration
	defer func() { setups <- slowest }() // also if a call fails the test
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		default:
		}
		cid := fmt.Sprintf("%s-%d", p.op.id.ID, n)
		p.op.w.route(cid, func(r *call.Route) { r.Operator, r.Customer = p.op.id.ID, p.cu.id.ID })
		began := time.Now()
		p.op.say(signal.Start, cid, "k", nil)
		p.cu.expect(signal.Start, "k")
		p.cu.say(signal.Accept, cid, "k", nil)
		p.op.expect(signal.Accept, "k")
		slowest = max(slowest, time.Since(began))
		p.op.say(signal.Stop, cid, "k", nil)
		p.cu.expect(signal.Stop, "k")
	}
}

// total adds up a counter over all its labels.
func total(t testing.TB, registry *prometheus.Registry, name string) (sum float64) {
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
		}
	}
	return sum
}
