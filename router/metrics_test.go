package router

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// series is a registry as a flat map from `name{label="value"}` to a value; of a
// histogram the number of its observations.
func series(t testing.TB, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += fmt.Sprintf(" %s=%s", l.GetName(), l.GetValue())
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				all[key] = m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				all[key] = m.GetGauge().GetValue()
			default:
				all[key] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return all
}

// expectSeries compares some series with what a test wants of them.
func expectSeries(t testing.TB, reg prometheus.Gatherer, want map[string]float64) {
	t.Helper()
	got := series(t, reg)
	for key, n := range want {
		if have, ok := got["voicerouter_"+key]; !ok || have != n {
			t.Errorf("%s: want %v, got %v (exists: %v)", key, n, have, ok)
		}
	}
}

// TestMetricsOfACall carries a call, a refused one and a stale timer through a
// worker and counts.
func TestMetricsOfACall(t *testing.T) {
	b := newBench(t)
	b.route("c1")
	w, r := b.worker()
	reg := prometheus.NewRegistry()
	w.metrics = newMetrics(reg, newHealth(time.Now))
	w.ledger.metrics = w.metrics
	w.ledger.commits.stored = w.metrics.committed
	for _, m := range []struct {
		from string
		typ  signal.Type
	}{
		{operator, signal.Start},
		{customer, signal.Candidate}, // too early: deferred
		{customer, signal.Ringing},
		{customer, signal.Accept},
		{newcomer, signal.Stop}, // not on the route
		{operator, signal.Stop},
	} {
		b.publish(m.from, m.typ, "c1", "k1")
		b.work(w, r, 1)
	}
	expectSeries(t, reg, map[string]float64{
		"calls_started_total": 1, "calls_ended_total reason=hangup": 1, "calls_ended_total reason=no_answer": 0,
		"call_setup_seconds": 1, "call_ring_seconds": 1, "call_duration_seconds": 1,
		"messages_total code= result=applied type=start": 1, "messages_total code= result=deferred type=candidate": 1,
		"messages_total code=unknown_call result=refused type=stop": 1,
		"rejected_total code=unknown_call":                          1, "rejected_total code=internal": 0,
		"deferred_total": 1, "commits_total result=stored": 5, "commits_total result=conflict": 0,
		"route_seconds": 6, "record_cache_total result=miss": 1, "record_cache_total result=hit": 5,
		"timers_total result=fired": 0, "timers_total result=stale": 0,
	})
	if at := series(t, reg)["voicerouter_last_progress_timestamp_seconds"]; time.Since(time.Unix(int64(at), 0)) > time.Minute {
		t.Errorf("last progress at %v, want just now", at)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}

// TestMetricsOfFailures: what happens to batches is counted by what follows.
func TestMetricsOfFailures(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := newMetrics(reg, newHealth(time.Now))
	m.committed(nil)
	m.committed(&jetstream.APIError{ErrorCode: codeWrongLastSequence})
	m.committed(&jetstream.APIError{ErrorCode: codeStorageExceeded})
	m.committed(errPoison{errors.New("x")})
	m.committed(errors.New("x"))
	expectSeries(t, reg, map[string]float64{
		"commits_total result=stored": 1, "commits_total result=conflict": 1, "commits_total result=starved": 1,
		"commits_total result=poison": 1, "commits_total result=transient": 1,
	})
}

func TestMetricsOfTimers(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := newMetrics(reg, newHealth(time.Now))
	begin := time.Unix(1_800_000_000, 0)
	ringing := &call.State{
		Mode: call.Masked, Phase: call.Ringing, CallID: "k", Caller: identity.MustID(operator),
		StartedAt: begin, Deadline: begin.Add(time.Minute),
	}
	ended := *ringing
	ended.Phase, ended.Reason, ended.EndedAt = call.Ended, signal.NoAnswer, begin.Add(62*time.Second)
	fired := &job{before: ringing, decision: call.Decision{Verdict: call.Applied, Next: &ended}}
	fired.event = call.Event{Kind: call.Timeout, At: ended.EndedAt, Delivery: 1}
	stale := &job{before: &ended, decision: call.Decision{Verdict: call.Nothing}}
	stale.event = call.Event{Kind: call.Timeout, At: begin, Delivery: 1}
	rewritten := &job{before: ringing, decision: call.Decision{Verdict: call.Applied, Next: ringing}}
	rewritten.event = call.Event{Kind: call.Timeout, At: begin, Delivery: 1}
	for _, j := range []*job{fired, stale, rewritten} {
		m.settled(j, j.outcome(), begin)
	}
	expectSeries(t, reg, map[string]float64{
		"timers_total result=fired": 1, "timers_total result=stale": 2, "timer_lateness_seconds": 1,
		"calls_ended_total reason=no_answer": 1, "call_ring_seconds": 1, "call_duration_seconds": 0,
	})
	if late := sum(t, m.timersLate); late != 2 {
		t.Errorf("lateness: want 2 s, got %v", late)
	}
	if rang := sum(t, m.ring); rang != 62 {
		t.Errorf("ring: want 62 s, got %v", rang)
	}
}

func sum(t testing.TB, h prometheus.Histogram) float64 {
	t.Helper()
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetHistogram().GetSampleSum()
}

// TestOutcomeOfGlare: the call that loses ends, the one that survives begins, and
// what is not live afterwards is never counted as begun.
func TestOutcomeOfGlare(t *testing.T) {
	t.Parallel()
	live := func(callID, caller string) *call.State {
		return &call.State{Mode: call.Masked, Phase: call.Ringing, CallID: callID, Caller: identity.MustID(caller)}
	}
	for name, c := range map[string]struct {
		before, after  *call.State
		started, ended bool
		reason         signal.Reason
	}{
		"first":                  {nil, live("b", operator), true, false, ""},
		"newcomer wins":          {live("b", operator), live("a", customer), true, true, signal.Glare},
		"newcomer wins by alias": {live("a", operator), live("a", customer), true, true, signal.Glare},
		"newcomer loses":         {live("b", operator), live("b", operator), false, false, ""},
		"refusal recorded":       {&call.State{Mode: call.Masked, Phase: call.Ended}, &call.State{Mode: call.Masked, Phase: call.Ended}, false, false, ""},
		"direct":                 {nil, &call.State{Mode: call.Direct, Phase: call.Ringing, CallID: "a"}, false, false, ""},
	} {
		o := (&job{before: c.before, decision: call.Decision{Next: c.after}}).outcome()
		if got := o.started != nil; got != c.started {
			t.Errorf("%s: started %v, want %v", name, got, c.started)
		}
		if got := o.ended != nil; got != c.ended || got && o.ended.reason != c.reason {
			t.Errorf("%s: ended %+v, want %v %s", name, o.ended, c.ended, c.reason)
		}
	}
}

// TestCountingAllocatesNothing: what is counted for every message costs no memory.
func TestCountingAllocatesNothing(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry(), newHealth(time.Now))
	now := time.Now()
	j := &job{subjectType: string(signal.Update), decision: call.Decision{Verdict: call.Applied}}
	j.event.At, j.event.Delivery = now, 1
	if n := testing.AllocsPerRun(1000, func() { m.settled(j, j.outcome(), now) }); n > 0 {
		t.Errorf("%v allocations for a message, want none", n)
	}
}
