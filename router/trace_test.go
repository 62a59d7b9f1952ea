package router

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/tracing"
	"github.com/voicerouter/voicerouter/signal"
)

// stored is a message as far as a span looks at it.
type stored struct {
	jetstream.Msg
	header nats.Header
}

func (s stored) Headers() nats.Header { return s.header }

// ways returns the function that makes the span of a message and all that belongs
// to it, as a worker calls it.
func ways(t *tracer) func() {
	header := nats.Header{nats.MsgIdHdr: {"x"}, tracing.Header: {"00-" + tracing.TraceID("c1", "k1").String() + "-00f067aa0ba902b7-01"}}
	j := &job{source: stored{header: header}, subjectType: string(signal.Update)}
	j.event.Delivery = 1
	j.event.Msg = signal.Message{CID: "c1", CallID: "k1", Type: signal.Update}
	groups := []*group{{jobs: []*job{j}}}
	say := call.Say{To: identity.MustID(customer), Type: signal.Update, CallID: "k1"}
	now := time.Now()
	return func() {
		t.begin(context.Background(), j, now)
		t.event(groups, "loaded")
		t.event(groups, "decided")
		t.inject(header, j, say)
		t.event(groups, "committed")
		t.end(j, "applied")
	}
}

// TestTracingOffCostsNothing: not an allocation, and no header.
func TestTracingOffCostsNothing(t *testing.T) {
	if n := testing.AllocsPerRun(1000, ways(newTracer(nil))); n > 0 {
		t.Errorf("%v allocations for a message, want none", n)
	}
}

// BenchmarkTrace is what spans cost a message, to be compared with what a message
// costs in all (BenchmarkRelay in test/integration).
func BenchmarkTrace(b *testing.B) {
	for name, t := range map[string]*tracer{
		"off":       newTracer(nil),
		"unsampled": newTracer(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))),
		"on":        newTracer(sdktrace.NewTracerProvider()),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			way := ways(t)
			for b.Loop() {
				way()
			}
		})
	}
}

// TestExemplars: a histogram names the trace of a call that it counted, to who
// asks for OpenMetrics.
func TestExemplars(t *testing.T) {
	b := newBench(t)
	b.route("c1")
	w, r := b.worker()
	reg := prometheus.NewRegistry()
	w.metrics = newMetrics(reg, newHealth(time.Now))
	w.ledger.metrics = w.metrics
	w.ledger.commits.stored = w.metrics.committed
	w.tracer = newTracer(sdktrace.NewTracerProvider())
	b.publish(operator, signal.Start, "c1", "k1")
	b.work(w, r, 1)
	b.publish(customer, signal.Accept, "c1", "k1")
	b.work(w, r, 1)

	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(answer, request)
	want := `# {trace_id="` + tracing.TraceID("c1", "k1").String() + `"}`
	for _, name := range []string{"voicerouter_route_seconds_bucket", "voicerouter_call_setup_seconds_bucket"} {
		found := false
		for line := range strings.Lines(answer.Body.String()) {
			found = found || strings.HasPrefix(line, name) && strings.Contains(line, want)
		}
		if !found {
			t.Errorf("%s has no exemplar %s", name, want)
		}
	}
}
