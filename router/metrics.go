package router

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
)

// metrics of one worker. No label names a call or an identity.
type metrics struct {
	messages    *prometheus.CounterVec
	route       prometheus.Histogram
	stage       *prometheus.HistogramVec
	batch       prometheus.Histogram
	ended       *prometheus.CounterVec
	setup       prometheus.Histogram
	conflicts   prometheus.Counter
	redecided   prometheus.Counter
	leaderReads prometheus.Counter
	redelivered prometheus.Counter
	postponed   prometheus.Counter
	troubles    prometheus.Counter
	cache       *prometheus.CounterVec
	consumer    *prometheus.GaugeVec
	syncs       *prometheus.CounterVec
}

const namespace = "voicerouter"

func newMetrics(reg prometheus.Registerer, h *health) *metrics {
	m := &metrics{
		messages: counters("messages_total", "Events settled, by type, result and code of refusal.", "type", "result", "code"),
		route:    histogram("route_seconds", "Time from the broker's receipt of a message to its acknowledgement by the router."),
		stage: prometheus.NewHistogramVec(histogramOpts("stage_seconds",
			"Time that one batch spends in a stage of the worker."), []string{"stage"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "batch_messages", Help: "Events fetched together.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11), NativeHistogramBucketFactor: 1.1,
		}),
		ended:       counters("calls_ended_total", "Masked calls ended, by reason.", "reason"),
		setup:       histogram("call_setup_seconds", "Time from start to accept of a masked call."),
		conflicts:   counter("conflicts_total", "Batches that lost a race against another worker."),
		redecided:   counter("redecided_total", "Events decided again because another worker moved their call."),
		leaderReads: counter("leader_reads_total", "Call records read from the leader because nothing was to be written."),
		redelivered: counter("redelivered_total", "Events that were delivered more than once."),
		postponed:   counter("postponed_total", "Events sent back to be delivered again."),
		troubles:    counter("troubles_total", "Failures that kept the worker from its work for a while."),
		cache:       counters("record_cache_total", "Look-ups in the cache of call records, by result.", "result"),
		consumer: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "consumer_messages",
			Help: "State of a shared consumer; the same on every worker, so aggregate with max.",
		}, []string{"consumer", "state"}),
		syncs: counters("syncs_total", "Requests of identities that ask what they missed, by result.", "result"),
	}
	if reg != nil {
		reg.MustRegister(m.messages, m.route, m.stage, m.batch, m.ended, m.setup, m.conflicts, m.redecided,
			m.leaderReads, m.redelivered, m.postponed, m.troubles, m.cache, m.consumer, m.syncs, stalledGauge(h))
	}
	return m
}

// stalledGauge tells an operator what /readyz tells the orchestrator.
func stalledGauge(h *health) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "stalled_seconds",
		Help: "How long commits have been failing without one success; 0 when they do not fail.",
	}, func() float64 { return h.stalled().Seconds() })
}

// observe notes how long a stage took that began at start.
func (m *metrics) observe(stage string, start time.Time) {
	m.stage.WithLabelValues(stage).Observe(time.Since(start).Seconds())
}

// settled counts an event whose decision is stored.
func (m *metrics) settled(j *job, now time.Time) {
	d := &j.decision
	m.messages.WithLabelValues(j.kind(), result(d.Verdict), string(d.Code)).Inc()
	m.route.Observe(j.age(now).Seconds())
	if j.event.Delivery > 1 {
		m.redelivered.Inc()
	}
	s := d.Next
	if s == nil || s.Mode != call.Masked {
		return
	}
	switch {
	case s.Phase == call.Ended && s.EndedAt.Equal(s.Last.At) && d.Verdict == call.Applied && !s.EndedAt.IsZero():
		m.ended.WithLabelValues(string(s.Reason)).Inc()
	case s.Phase == call.Active && s.AnsweredAt.Equal(s.Last.At) && j.kind() == string(signal.Accept):
		m.setup.Observe(s.AnsweredAt.Sub(s.StartedAt).Seconds())
	}
}

// kind is a metric label: a type of the protocol or one of a few other words.
func (j *job) kind() string {
	switch j.event.Kind {
	case call.Timeout:
		return "timeout"
	case call.ForcedEnd:
		return "forced_end"
	case call.Message:
	}
	if t, ok := signal.ParseType(j.subjectType); ok {
		return string(t)
	}
	return "unknown"
}

func result(v call.Verdict) string {
	switch v {
	case call.Applied:
		return "applied"
	case call.Repeat:
		return "repeat"
	case call.Stranger, call.Refused:
		return "refused"
	case call.Deferred:
		return "deferred"
	default:
		return "nothing"
	}
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(histogramOpts(name, help))
}

func histogramOpts(name, help string) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help,
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16), NativeHistogramBucketFactor: 1.1,
	}
}
