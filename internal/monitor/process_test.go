package monitor

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
)

func TestProcessMetrics(t *testing.T) {
	b := brokertest.Start(t, brokertest.Options{Bare: true})
	ready := errors.New("starting")
	p := New("serve", Build{Version: "v1", Revision: "abc", Go: "go1"}, func() error { return ready })
	value := func(name string) float64 {
		t.Helper()
		families, err := p.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "voicerouter_"+name {
				return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
			}
		}
		t.Fatalf("no metric %s", name)
		return 0
	}
	expect := func(when string, want map[string]float64) {
		t.Helper()
		for name, n := range want {
			if got := value(name); got != n {
				t.Errorf("%s: %s is %v, want %v", when, name, got, n)
			}
		}
	}
	expect("before it has begun", map[string]float64{"ready": 0, "connected": 0, "reconnects_total": 0, "build_info": 1})

	again := make(chan struct{})
	nc := b.Router(t, nats.ReconnectHandler(func(*nats.Conn) { p.Reconnected(); close(again) }))
	forget := p.Watch(nc)
	ready = nil
	expect("connected", map[string]float64{"ready": 1, "connected": 1})
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	<-again
	expect("reconnected", map[string]float64{"connected": 1, "reconnects_total": 1})
	nc.Close()
	expect("cut off", map[string]float64{"connected": 0})
	forget()
	p.Watch(b.Router(t))
	expect("with another connection", map[string]float64{"connected": 1})

	if problems, err := testutil.GatherAndLint(p.Registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}
