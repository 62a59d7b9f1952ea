package router

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/tracing"
)

// tracer makes the spans of a worker. A nil one makes none, and that is all that
// an event costs where nobody wants a trace.
//
// No attribute names a conversation or an identity: the trace is that of a call
// (see package tracing), and who knows the call finds it.
type tracer struct{ trace.Tracer }

// instrumentation is the name under which the spans are exported.
const instrumentation = "github.com/voicerouter/voicerouter/router"

func newTracer(p trace.TracerProvider) *tracer {
	if p == nil {
		return nil
	}
	return &tracer{p.Tracer(instrumentation)}
}

// begin starts the span of an event whose call is known and vouched for by a
// signature, or is the router's own.
func (t *tracer) begin(ctx context.Context, j *job, at time.Time) {
	if t == nil || j.cid() == "" {
		return
	}
	var header map[string][]string
	callID := j.event.CallID
	if j.event.Kind == call.Message {
		header, callID = map[string][]string(j.source.Headers()), j.event.Msg.CallID
	}
	ctx, opts := tracing.Parent(context.WithoutCancel(ctx), header, j.cid(), callID)
	j.spanCtx, j.span = t.Start(ctx, "settle "+j.kind(), append(opts, trace.WithTimestamp(at),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			attribute.String("messaging.system", "nats"), attribute.String("messaging.operation.name", "settle"),
			attribute.String("voicerouter.type", j.kind()), attribute.Int("voicerouter.delivery", j.event.Delivery)))...)
}

// event notes what has been done with groups.
func (t *tracer) event(groups []*group, name string) {
	if t == nil {
		return
	}
	for _, g := range groups {
		for _, j := range g.jobs {
			if j.span != nil {
				j.span.AddEvent(name)
			}
		}
	}
}

// end ends the span of an event, once: what is said of it later is not heard.
func (t *tracer) end(j *job, result string) {
	if t == nil || j.span == nil {
		return
	}
	j.span.SetAttributes(attribute.String("voicerouter.result", result), attribute.String("voicerouter.code", string(j.decision.Code)))
	j.span.End()
}

// inject lets a message that an event makes the router say continue its trace. A
// message about a call that its receiver knows by another call_id is in another
// trace: nothing in it, the number of a span included, is in both.
func (t *tracer) inject(header map[string][]string, j *job, s call.Say) {
	if t == nil || j.span == nil || !j.span.IsRecording() {
		return
	}
	from := j.span.SpanContext()
	if s.Forward || from.TraceID() == tracing.TraceID(j.cid(), s.CallID) {
		tracing.Inject(header, from)
		return
	}
	root := trace.ContextWithRemoteSpanContext(j.spanCtx, tracing.Root(j.cid(), s.CallID))
	_, span := t.Start(root, "cross "+string(s.Type), trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithLinks(trace.Link{SpanContext: from}), trace.WithAttributes(attribute.String("messaging.system", "nats")))
	span.End()
	tracing.Inject(header, span.SpanContext())
}

// traceID is that of an event whose span is recorded, "" of any other.
func (j *job) traceID() string {
	if j.span == nil || !j.span.SpanContext().IsSampled() {
		return ""
	}
	return j.span.SpanContext().TraceID().String()
}
