package voice

import (
	"context"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/voicerouter/voicerouter/internal/tracing"
	"github.com/voicerouter/voicerouter/signal"
)

// tracer makes the spans of a client; a nil one makes none. No attribute names a
// conversation or an identity.
type tracer struct{ trace.Tracer }

func newTracer(p trace.TracerProvider) *tracer {
	if p == nil {
		return nil
	}
	return &tracer{p.Tracer("github.com/voicerouter/voicerouter/voice")}
}

// traceparent is the header of an incoming message, "" if there is none: one that
// the sync service tells of has none.
type traceparent string

func traceOf(header nats.Header) traceparent {
	return traceparent(tracing.Carrier(header).Get(tracing.Header))
}

// header returns the traceparent as the header that it was.
func (t traceparent) header() map[string][]string {
	if t == "" {
		return nil
	}
	return map[string][]string{tracing.Header: {string(t)}}
}

// untraced is what ends a span that nobody wants.
func untraced(error) {}

// send starts the span of a message that is about to be published and writes it
// into the headers of that.
func (t *tracer) send(ctx context.Context, m signal.Message, header nats.Header) (context.Context, func(error)) {
	if t == nil {
		return ctx, untraced
	}
	ctx, opts := tracing.Continue(ctx, m.CID, m.CallID)
	ctx, end := t.start(ctx, "send", m, trace.SpanKindProducer, opts)
	tracing.Inject(header, trace.SpanContextFromContext(ctx))
	return ctx, end
}

// handle starts the span of the handlers of a message.
func (t *tracer) handle(ctx context.Context, m Message) (context.Context, func(error)) {
	if t == nil {
		return ctx, untraced
	}
	ctx, opts := tracing.Parent(ctx, m.trace.header(), m.CID, m.CallID)
	return t.start(ctx, "handle", m.Message, trace.SpanKindConsumer, opts)
}

func (t *tracer) start(ctx context.Context, what string, m signal.Message, kind trace.SpanKind, opts []trace.SpanStartOption) (context.Context, func(error)) {
	ctx, span := t.Start(ctx, what+" "+string(m.Type), append(opts, trace.WithSpanKind(kind), trace.WithAttributes(
		attribute.String("messaging.system", "nats"), attribute.String("messaging.operation.name", what),
		attribute.String("voicerouter.type", string(m.Type))))...)
	return ctx, func(err error) {
		if err != nil {
			// The text of an error may quote a program's own: it stays in its log.
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
