package integration

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// gauge reads a metric without labels; known is false if it is absent.
func gauge(t testing.TB, reg prometheus.Gatherer, name string) (value float64, known bool) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue(), true
		}
	}
	return 0, false
}

// TestCallsActiveOfTheFleet: every worker, whoever carried a call and whoever died,
// says how many calls are live.
func TestCallsActiveOfTheFleet(t *testing.T) {
	const metric = "voicerouter_calls_active"
	w := newWorld(t, brokertest.Options{})
	first, second := prometheus.NewRegistry(), prometheus.NewRegistry()
	stop := w.fleet(func(o *router.Options) { o.Registerer = first })
	w.fleet(func(o *router.Options) { o.Registerer = second })
	caller, callee := w.endpoint(operator), w.endpoint(customer)
	for _, cid := range []string{"c1", "c2", "c3"} {
		w.route(cid, nil)
		caller.say(signal.Start, cid, "k", nil)
		callee.expect(signal.Start, "k")
	}
	callee.say(signal.Accept, "c1", "k", nil)
	caller.expect(signal.Accept, "k")
	all := func(want float64, registries ...*prometheus.Registry) func() bool {
		return func() bool {
			for _, reg := range registries {
				if n, known := gauge(t, reg, metric); !known || n != want {
					return false
				}
			}
			return true
		}
	}
	eventually(t, "both workers count 3 live calls", all(3, first, second))
	stop()
	caller.say(signal.Stop, "c1", "k", nil)
	callee.expect(signal.Stop, "k")
	eventually(t, "the worker that is left counts 2 live calls", all(2, second))

	if err := brokertest.JetStream(t, w.nc).DeleteConsumer(t.Context(), subjects.StreamOut, subjects.ConsumerCalls); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the metric is absent without the consumer", func() bool {
		_, known := gauge(t, second, metric)
		return !known
	})
	callee.say(signal.Stop, "c2", "k", nil)
	caller.expect(signal.Stop, "k")
}
