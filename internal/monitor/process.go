// Package monitor shows a process to those who operate it: metrics, health and
// version over HTTP.
package monitor

import (
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Build says what a binary was built from.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitzero"`
	Modified bool   `json:"modified,omitzero"`
	Go       string `json:"go"`
}

// Process is what is known of a process whatever it does. It is safe for
// concurrent use.
type Process struct {
	// Registry holds the metrics of the process; those of its work are added.
	Registry *prometheus.Registry

	command    string
	build      Build
	ready      func() error
	reconnects prometheus.Counter

	mu    sync.Mutex
	conns map[*nats.Conn]struct{}
}

const namespace = "voicerouter"

// New returns a process that is ready when ready returns nil; what errors.Join has
// joined are several reasons why it is not. The command - serve, auth, dev - is a
// label of the metrics that all of them have: a fleet without a ready worker is
// another matter than one without a ready callout.
func New(command string, build Build, ready func() error) *Process {
	p := &Process{
		Registry: prometheus.NewRegistry(),
		command:  command, build: build, ready: ready, conns: map[*nats.Conn]struct{}{},
	}
	p.Registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	p.register(p.Registry)
	return p
}

// register adds the metrics of this package to a registry.
func (p *Process) register(reg prometheus.Registerer) {
	labels := prometheus.Labels{"command": p.command}
	p.reconnects = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "reconnects_total", Help: "Times that a connection to NATS was lost and made anew.",
		ConstLabels: labels,
	})
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "What this process was built from; always 1.",
	}, []string{"version", "revision", "goversion"})
	info.WithLabelValues(p.build.Version, p.build.Revision, p.build.Go).Set(1)
	reg.MustRegister(info, p.reconnects,
		flag("ready", labels, "1 if this process can work, as /readyz says.", func() bool { return p.ready() == nil }),
		flag("connected", labels, "1 if this process has its connections to NATS.", p.connected))
}

func flag(name string, labels prometheus.Labels, help string, holds func() bool) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels}, func() float64 {
		if holds() {
			return 1
		}
		return 0
	})
}

// Watch counts nc among the connections of the process until forget is called.
func (p *Process) Watch(nc *nats.Conn) (forget func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[nc] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, nc)
	}
}

// Reconnected is to be called when a connection has been made anew.
func (p *Process) Reconnected() { p.reconnects.Inc() }

func (p *Process) connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for nc := range p.conns {
		if !nc.IsConnected() {
			return false
		}
	}
	return len(p.conns) > 0
}
