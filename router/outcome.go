package router

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// The kinds of events that are no messages, and of messages that are of no type.
const (
	kindTimeout   = call.LastTimeout
	kindForcedEnd = call.LastForcedEnd
	kindUnknown   = "unknown"
)

// verdicts is how many verdicts there are.
const verdicts = int(call.Refused) + 1

// settled counts an event whose decision is stored.
func (m *metrics) settled(j *job, o outcome, now time.Time) {
	d := &j.decision
	kind := j.kind()
	if d.Code == "" {
		m.plain[kind][d.Verdict].Inc()
	} else {
		m.messages.WithLabelValues(kind, result(d.Verdict), string(d.Code)).Inc()
	}
	observe(m.route, j.age(now).Seconds(), j)
	if j.event.Delivery > 1 {
		m.redelivered.Inc()
	}
	if d.Verdict == call.Deferred {
		m.deferred.Inc()
	}
	if j.event.Kind == call.Message && d.Code != "" {
		m.reject(d.Code)
	}
	m.moved(j, o)
}

func (m *metrics) reject(code signal.Code) {
	if c, known := m.rejected[code]; known {
		c.Inc()
	}
}

// moved counts what became of calls.
func (m *metrics) moved(j *job, o outcome) {
	if o.started != nil {
		m.started.Inc()
	}
	if s := o.answered; s != nil {
		observe(m.setup, span(s.StartedAt, s.AnsweredAt), j)
		m.ring.Observe(span(rang(s), s.AnsweredAt))
	}
	if e := o.ended; e != nil {
		if c, known := m.ended[e.reason]; known {
			c.Inc()
		}
		if e.state.AnsweredAt.IsZero() {
			m.ring.Observe(span(rang(e.state), e.at))
		} else {
			m.duration.Observe(span(e.state.AnsweredAt, e.at))
		}
	}
	if j.event.Kind == call.Timeout {
		m.timeout(j, o)
	}
}

// timeout counts a timer that fired.
func (m *metrics) timeout(j *job, o outcome) {
	if o.ended == nil {
		m.timersStale.Inc()
		return
	}
	m.timersFired.Inc()
	m.timersLate.Observe(span(j.before.Deadline, j.event.At))
}

// outcome is what a decision did to the masked calls of a conversation.
type outcome struct {
	// started and answered are the record with the call that began to ring, or was
	// answered.
	started, answered *call.State
	ended             *ending
}

// ending is the end of a call: the last record that has it as its current one.
type ending struct {
	state  *call.State
	reason signal.Reason
	at     time.Time
}

// outcome compares the records before and after the decision. It is the same
// however often the decision was taken, as only the one that is stored counts.
func (j *job) outcome() (o outcome) {
	before, after := j.before, j.decision.Next
	if after == nil || after.Mode != call.Masked {
		return o
	}
	same := before.Live() && after.Live() && before.CallID == after.CallID && before.Caller == after.Caller
	if after.Live() && !same {
		o.started = after
	}
	if after.Phase == call.Active && (before == nil || before.Phase != call.Active) {
		o.answered = after
	}
	switch {
	case !before.Live() || same:
	case after.Live(): // both sides called at once, and this call lost
		o.ended = &ending{before, signal.Glare, after.Last.At}
	default:
		o.ended = &ending{after, after.Reason, after.EndedAt}
	}
	return o
}

// rang is when a call began to ring: when a device said so, or else, as legacy
// devices say nothing, when it was started.
func rang(s *call.State) time.Time {
	if s.RingingAt.IsZero() {
		return s.StartedAt
	}
	return s.RingingAt
}

// observe notes a value, with the trace as its exemplar if there is one.
func observe(h prometheus.Histogram, value float64, j *job) {
	if id := j.traceID(); id != "" {
		if e, ok := h.(prometheus.ExemplarObserver); ok {
			e.ObserveWithExemplar(value, prometheus.Labels{"trace_id": id})
			return
		}
	}
	h.Observe(value)
}

// span returns the seconds from one moment to a later one.
func span(from, to time.Time) float64 { return max(0, to.Sub(from).Seconds()) }

// kind is a metric label: a type of the protocol or one of a few other words.
func (j *job) kind() string {
	switch j.event.Kind {
	case call.Timeout:
		return kindTimeout
	case call.ForcedEnd:
		return kindForcedEnd
	case call.Message:
	}
	if t, ok := signal.ParseType(j.subjectType); ok {
		return string(t)
	}
	return kindUnknown
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

// watchConsumer shows what the server says of a shared consumer.
func (m *metrics) watchConsumer(name string, info *jetstream.ConsumerInfo) {
	for state, n := range map[string]float64{
		"pending": float64(info.NumPending), "ack_pending": float64(info.NumAckPending),
		"redelivered": float64(info.NumRedelivered), "waiting": float64(info.NumWaiting),
	} {
		m.consumer.WithLabelValues(name, state).Set(n)
	}
	m.ackLimit.WithLabelValues(name).Set(float64(info.Config.MaxAckPending))
	if name == subjects.ConsumerRouter && info.NumPending == 0 {
		m.progress.SetToCurrentTime()
	}
}
