// Package tracing is how the trace of a call is found and how it travels in the
// headers of NATS messages.
//
// The trace of a call is derived from its cid and its call_id (ADR 0021). Whoever
// takes part in the call knows these two, so that both SDKs and the routers arrive
// at the same trace, also for what no message is the cause of, such as a timeout.
// Nothing that a client chooses crosses the mask with it: a trace that a client
// names otherwise is not followed.
package tracing

import (
	"context"
	"crypto/sha256"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Header is the only header that carries a trace (W3C Trace Context). What else
// clients put into tracestate or baggage stays where they wrote it.
const Header = "traceparent"

// TraceID returns the trace of a call: the first 16 bytes of the SHA-256 of "trace",
// a zero byte, cid, a zero byte, call_id. callID is the one by which the side knows
// the call that the trace is for.
func TraceID(cid, callID string) trace.TraceID {
	sum := hash(cid, callID)
	return trace.TraceID(sum[:16])
}

// Root is the parent of what has no other in the trace of a call. It is no span of
// anybody's: its number is derived as well.
func Root(cid, callID string) trace.SpanContext {
	sum := hash(cid, callID)
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(sum[:16]), SpanID: trace.SpanID(sum[16:24]), TraceFlags: trace.FlagsSampled, Remote: true,
	})
}

func hash(cid, callID string) [sha256.Size]byte {
	return sha256.Sum256([]byte("trace\x00" + cid + "\x00" + callID))
}

// Parent returns the parent of a span about a message of a call, and how the
// span must be started: in the context that it returns. The parent is the span that
// the header of the message names, if that belongs to the trace of the call. One of
// another trace is linked to.
//
// Whether the sender has sampled is not asked: a sampler that goes by its own
// judgement, or by the trace, decides.
func Parent(ctx context.Context, header map[string][]string, cid, callID string) (context.Context, []trace.SpanStartOption) {
	root := Root(cid, callID)
	sender := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), Carrier(header)))
	return parent(ctx, root, sender)
}

// Continue is Parent for a message that is about to be sent: its parent is the span
// of ctx if that belongs to the trace of the call.
func Continue(ctx context.Context, cid, callID string) (context.Context, []trace.SpanStartOption) {
	current := trace.SpanContextFromContext(ctx)
	if root := Root(cid, callID); current.TraceID() != root.TraceID() {
		return parent(ctx, root, current)
	}
	return ctx, nil
}

func parent(ctx context.Context, root, other trace.SpanContext) (context.Context, []trace.SpanStartOption) {
	switch {
	case !other.IsValid():
		return trace.ContextWithRemoteSpanContext(ctx, root), nil
	case other.TraceID() == root.TraceID():
		return trace.ContextWithRemoteSpanContext(ctx, other.WithTraceFlags(trace.FlagsSampled)), nil
	default:
		return trace.ContextWithRemoteSpanContext(ctx, root), []trace.SpanStartOption{trace.WithLinks(trace.Link{SpanContext: other})}
	}
}

// Inject writes a span into the headers of a message, if somebody records it.
func Inject(header map[string][]string, span trace.SpanContext) {
	if span.IsSampled() {
		Carrier(header).Set(Header, "00-"+span.TraceID().String()+"-"+span.SpanID().String()+"-01")
	}
}

// Carrier is the headers of a NATS message, which keep the case that the sender
// chose, as a carrier of the header traceparent and of no other.
type Carrier map[string][]string

// Get implements [propagation.TextMapCarrier]. A header that is there twice, in
// whatever case, says nothing.
func (c Carrier) Get(key string) string {
	if key != Header {
		return ""
	}
	var found []string
	for name, values := range c {
		if strings.EqualFold(name, key) {
			found = append(found, values...)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// Set implements [propagation.TextMapCarrier].
func (c Carrier) Set(key, value string) {
	if key == Header {
		c[key] = []string{value}
	}
}

// Keys implements [propagation.TextMapCarrier].
func (c Carrier) Keys() []string { return []string{Header} }
