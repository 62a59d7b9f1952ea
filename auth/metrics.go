package auth

import "github.com/prometheus/client_golang/prometheus"

// metrics of one service. No label names an identity.
type metrics struct {
	decisions *prometheus.CounterVec
	seconds   prometheus.Histogram
	inFlight  prometheus.Gauge
	kicked    prometheus.Counter
	ended     prometheus.Counter
	troubles  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "voicerouter", Subsystem: "auth", Name: name, Help: help})
	}
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "voicerouter", Subsystem: "auth", Name: "decisions_total",
			Help: "Connections judged, by result.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "voicerouter", Subsystem: "auth", Name: "decision_seconds",
			Help:    "Time from the receipt of a request to the decision.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14), NativeHistogramBucketFactor: 1.1,
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "voicerouter", Subsystem: "auth", Name: "in_flight", Help: "Requests that are being decided.",
		}),
		kicked:   counter("connections_cut_total", "Open connections closed because their identity is no longer entitled to them."),
		ended:    counter("calls_ended_total", "Live calls ended because a side was revoked."),
		troubles: counter("enforcement_errors_total", "Attempts to enforce a change of an identity that failed and will be made again."),
	}
	for _, r := range results() { // so that rates start at 0
		m.decisions.WithLabelValues(string(r))
	}
	if reg != nil {
		reg.MustRegister(m.decisions, m.seconds, m.inFlight, m.kicked, m.ended, m.troubles)
	}
	return m
}
