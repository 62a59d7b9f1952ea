package router

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
)

// metrics of one worker: docs/operations.md, "Metrics". No label names a call or
// an identity. What is counted for every message is looked up once, when the
// worker is made, so that counting neither locks nor allocates; and every series
// whose labels are known beforehand begins at 0, so that its rate is right from
// the first event on.
type metrics struct {
	messages *prometheus.CounterVec
	// plain are the children of messages without a code, by kind and verdict.
	plain    map[string]*[verdicts]prometheus.Counter
	rejected map[signal.Code]prometheus.Counter

	route  prometheus.Histogram
	stages [stages]prometheus.Observer
	batch  prometheus.Histogram

	stored      prometheus.Counter
	failed      [failures]prometheus.Counter
	redecided   prometheus.Counter
	leaderReads prometheus.Counter
	redelivered prometheus.Counter
	postponed   prometheus.Counter
	deferred    prometheus.Counter
	rateLimited prometheus.Counter
	troubles    prometheus.Counter

	started  prometheus.Counter
	ended    map[signal.Reason]prometheus.Counter
	setup    prometheus.Histogram
	ring     prometheus.Histogram
	duration prometheus.Histogram
	active   *prometheus.GaugeVec // without labels: absent while it is not known

	timersFired  prometheus.Counter
	timersStale  prometheus.Counter
	timersLate   prometheus.Histogram
	timersMended prometheus.Counter

	cacheHits   prometheus.Counter
	cacheMisses prometheus.Counter
	consumer    *prometheus.GaugeVec
	ackLimit    *prometheus.GaugeVec
	progress    prometheus.Gauge
	syncs       *prometheus.CounterVec
}

// stage is a part of the way of a batch.
type stage int

const (
	stageFetch  stage = iota // from the broker to the worker
	stageVerify              // envelopes, signatures, claims
	stageLoad                // records and routes
	stageDecide              // decisions, and what they read again
	stageSign                // encoding and signing
	stageCommit              // the atomic batch
	stages
)

func (s stage) String() string {
	return [stages]string{"fetch", "verify", "load", "decide", "sign", "commit"}[s]
}

const namespace = "voicerouter"

// The buckets of the classic histograms; each has a native one besides.
var (
	quick    = prometheus.ExponentialBuckets(0.0005, 2, 16) // 0.5 ms to 16 s: a message
	patient  = prometheus.ExponentialBuckets(0.05, 2, 14)   // 50 ms to 7 min: somebody picks up, or not
	talking  = []float64{1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600}
	batching = prometheus.ExponentialBuckets(1, 2, 11)
)

func newMetrics(reg prometheus.Registerer, h *health) *metrics {
	f := factory{reg}
	m := &metrics{
		messages:    f.counters("messages_total", "Events settled, by type, result and code of refusal.", "type", "result", "code"),
		route:       f.histogram("route_seconds", "Time from the broker's receipt of a message to the commit of what follows from it.", quick),
		batch:       f.histogram("batch_messages", "Events that are verified together.", batching),
		redecided:   f.counter("redecided_total", "Events decided again because another worker moved their call."),
		leaderReads: f.counter("leader_reads_total", "Call records read from the leader after a lost race."),
		redelivered: f.counter("redelivered_total", "Events settled that had been delivered before."),
		postponed:   f.counter("postponed_total", "Events sent back to be delivered again."),
		deferred:    f.counter("deferred_total", "Events that came too early and are to come again shortly."),
		rateLimited: f.counter("rate_limited_total", "Messages above a limit of their sender."),
		troubles:    f.counter("troubles_total", "Failures that kept the worker from its work for a while."),
		started:     f.counter("calls_started_total", "Masked calls that began to ring."),
		setup:       f.histogram("call_setup_seconds", "Time from start to accept of a masked call.", patient),
		ring: f.histogram("call_ring_seconds",
			"Time that a masked call rang, answered or not: from the callee's first sign of it, or else from its start.", patient),
		duration: f.histogram("call_duration_seconds", "Time from accept to the end of a masked call that was answered.", talking),
		active: f.gauges("calls_active",
			"Live masked calls of the whole fleet; the same on every worker, so aggregate with max. Absent without the consumer that counts them."),
		timersLate:   f.histogram("timer_lateness_seconds", "Time from the deadline of a call to the timeout that ended it, by the broker's timestamps.", quick),
		timersMended: f.counter("timers_mended_total", "Timers that were overdue and have been written anew."),
		consumer:     f.gauges("consumer_messages", "State of a shared consumer; the same on every worker, so aggregate with max.", "consumer", "state"),
		ackLimit:     f.gauges("consumer_max_ack_pending", "Limit of what a shared consumer may have pending acknowledgement.", "consumer"),
		progress: f.gauge("last_progress_timestamp_seconds",
			"When this worker last settled a batch, or saw that nothing was waiting. Time since progress of a fleet: now minus the max."),
	}
	m.byStage(f.histograms("stage_seconds", "Time that one batch spends in a stage of the worker; fetch is the time of its oldest message from the broker to the worker.", quick, "stage"))
	m.byResult(f)
	register(f, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "stalled_seconds",
		Help: "How long commits have been failing without one success; 0 when they do not fail.",
	}, func() float64 { return h.stalled().Seconds() }))
	return m
}

func (m *metrics) byStage(vec *prometheus.HistogramVec) {
	for s := range stages {
		m.stages[s] = vec.WithLabelValues(s.String())
	}
}

// byResult makes the counters whose labels are the results of something.
func (m *metrics) byResult(f factory) {
	m.plain = map[string]*[verdicts]prometheus.Counter{}
	for _, kind := range kinds() {
		m.plain[kind] = new([verdicts]prometheus.Counter)
		for v := range verdicts {
			m.plain[kind][v] = m.messages.WithLabelValues(kind, result(call.Verdict(v)), "")
		}
	}
	m.rejected = children(f.counters("rejected_total",
		"Messages refused, by code; internal is the router's own fault.", "code"), signal.Codes())
	m.ended = children(f.counters("calls_ended_total", "Masked calls ended, by reason.", "reason"), signal.Reasons())

	commits := f.counters("commits_total", "Atomic batches, by result.", "result")
	m.stored = commits.WithLabelValues("stored")
	for c := range failures {
		m.failed[c] = commits.WithLabelValues(failure(c).String())
	}
	timers := f.counters("timers_total", "Timeouts settled, by result: fired ended a call, stale came for one that had moved on.", "result")
	m.timersFired, m.timersStale = timers.WithLabelValues("fired"), timers.WithLabelValues("stale")
	cache := f.counters("record_cache_total", "Look-ups in the cache of call records, by result.", "result")
	m.cacheHits, m.cacheMisses = cache.WithLabelValues("hit"), cache.WithLabelValues("miss")
	m.syncs = f.counters("syncs_total", "Requests of identities that ask what they missed, by result.", "result")
	children(m.syncs, []string{"ok", "limited", "refused", "failed", "ignored"})
}

// children returns the counters of a vector with one label.
func children[T ~string](vec *prometheus.CounterVec, values []T) map[T]prometheus.Counter {
	all := make(map[T]prometheus.Counter, len(values))
	for _, v := range values {
		all[v] = vec.WithLabelValues(string(v))
	}
	return all
}

// kinds lists what [job.kind] returns.
func kinds() []string {
	list := []string{kindTimeout, kindForcedEnd, kindUnknown}
	for _, t := range signal.Types() {
		list = append(list, string(t))
	}
	return list
}

// observe notes how long a stage took that began at start.
func (m *metrics) observe(s stage, start time.Time) {
	m.stages[s].Observe(time.Since(start).Seconds())
}

// fetched notes a batch that has come in.
func (m *metrics) fetched(batch []*job, now time.Time) {
	m.batch.Observe(float64(len(batch)))
	oldest := now
	for _, j := range batch {
		if j.event.Delivery == 1 && j.event.At.Before(oldest) {
			oldest = j.event.At
		}
	}
	m.stages[stageFetch].Observe(now.Sub(oldest).Seconds())
}

// committed notes how the commit of a batch went.
func (m *metrics) committed(err error) {
	if err == nil {
		m.stored.Inc()
	} else {
		m.failed[classify(err)].Inc()
	}
}

// factory makes metrics and registers them.
type factory struct{ reg prometheus.Registerer }

func register[C prometheus.Collector](f factory, c C) C {
	if f.reg != nil {
		f.reg.MustRegister(c)
	}
	return c
}

func (f factory) counter(name, help string) prometheus.Counter {
	return register(f, prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}))
}

func (f factory) counters(name, help string, labels ...string) *prometheus.CounterVec {
	return register(f, prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels))
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	return register(f, prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}))
}

func (f factory) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return register(f, prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels))
}

func (f factory) histogram(name, help string, buckets []float64) prometheus.Histogram {
	return register(f, prometheus.NewHistogram(histogramOpts(name, help, buckets)))
}

func (f factory) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return register(f, prometheus.NewHistogramVec(histogramOpts(name, help, buckets), labels))
}

func histogramOpts(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: slices.Clone(buckets),
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour,
	}
}
