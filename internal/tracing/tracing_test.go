package tracing_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/voicerouter/voicerouter/internal/tracing"
)

const spanText = "00f067aa0ba902b7"

// TestTraceIDFollowsTheRecipe of docs/protocol.md.
func TestTraceIDFollowsTheRecipe(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("trace\x00c1\x00k1"))
	if want, got := hex.EncodeToString(sum[:16]), tracing.TraceID("c1", "k1").String(); got != want {
		t.Errorf("want %s, got %s", want, got)
	}
	if !tracing.Root("c1", "k1").IsValid() || tracing.Root("c1", "k1").SpanID().String() != hex.EncodeToString(sum[16:24]) {
		t.Errorf("root is %v", tracing.Root("c1", "k1"))
	}
	if tracing.TraceID("c1", "k1") == tracing.TraceID("c1", "k2") || tracing.TraceID("c1", "k1") == tracing.TraceID("c", "1\x00k1") {
		t.Error("two calls have one trace")
	}
}

// spanOf starts a span as [tracing.Parent] says.
func spanOf(header map[string][]string) sdktrace.ReadOnlySpan {
	ctx, opts := tracing.Parent(context.Background(), header, "c1", "k1")
	_, span := sdktrace.NewTracerProvider().Tracer("test").Start(ctx, "x", opts...)
	return span.(sdktrace.ReadOnlySpan)
}

func TestParent(t *testing.T) {
	t.Parallel()
	mine := "00-" + tracing.TraceID("c1", "k1").String() + "-" + spanText + "-00"
	foreign := "00-4bf92f3577b34da6a3ce929d0e0e4736-" + spanText + "-01"
	root := tracing.Root("c1", "k1").SpanID().String()
	for name, c := range map[string]struct {
		header nats.Header
		parent string
		links  int
	}{
		"none":              {nil, root, 0},
		"lower case":        {nats.Header{"traceparent": {mine}}, spanText, 0},
		"canonical":         {nats.Header{"Traceparent": {mine}}, spanText, 0},
		"upper case":        {nats.Header{"TRACEPARENT": {mine}}, spanText, 0},
		"another trace":     {nats.Header{"traceparent": {foreign}}, root, 1},
		"twice":             {nats.Header{"traceparent": {mine, mine}}, root, 0},
		"twice, other case": {nats.Header{"traceparent": {mine}, "Traceparent": {mine}}, root, 0},
		"rubbish":           {nats.Header{"traceparent": {"00-1112223334-1-01"}}, root, 0},
		"state":             {nats.Header{"traceparent": {mine}, "tracestate": {"vendor=1112223334"}}, spanText, 0},
		"zero trace":        {nats.Header{"traceparent": {"00-" + strings.Repeat("0", 32) + "-" + spanText + "-01"}}, root, 0},
	} {
		s := spanOf(c.header)
		if got := s.Parent().SpanID().String(); got != c.parent {
			t.Errorf("%s: parent is %s, want %s", name, got, c.parent)
		}
		if s.SpanContext().TraceID() != tracing.TraceID("c1", "k1") || !s.SpanContext().IsSampled() {
			t.Errorf("%s: span is %v, want one of the call", name, s.SpanContext())
		}
		if s.SpanContext().TraceState().Len() != 0 {
			t.Errorf("%s: tracestate is followed: %v", name, s.SpanContext().TraceState())
		}
		if len(s.Links()) != c.links {
			t.Errorf("%s: links are %v, want %d", name, s.Links(), c.links)
		}
	}
}

// TestContinue: what a handler sends has the handler's span as its parent, if it
// is about the same call, and links to it otherwise.
func TestContinue(t *testing.T) {
	t.Parallel()
	tracer := sdktrace.NewTracerProvider().Tracer("test")
	start := func(ctx context.Context, callID string) (context.Context, sdktrace.ReadOnlySpan) {
		ctx, opts := tracing.Continue(ctx, "c1", callID)
		ctx, span := tracer.Start(ctx, "x", opts...)
		return ctx, span.(sdktrace.ReadOnlySpan)
	}
	ctx, handler := start(t.Context(), "k1")
	if handler.Parent().SpanID() != tracing.Root("c1", "k1").SpanID() {
		t.Errorf("parent is %v, want the root of the call", handler.Parent())
	}
	if _, reply := start(ctx, "k1"); reply.Parent().SpanID() != handler.SpanContext().SpanID() || len(reply.Links()) != 0 {
		t.Errorf("parent is %v, want the handler", reply.Parent())
	}
	_, other := start(ctx, "k2")
	if other.SpanContext().TraceID() != tracing.TraceID("c1", "k2") || len(other.Links()) != 1 ||
		other.Links()[0].SpanContext.SpanID() != handler.SpanContext().SpanID() {
		t.Errorf("another call: %v with links %v", other.SpanContext(), other.Links())
	}
}

func TestInject(t *testing.T) {
	t.Parallel()
	state, err := trace.ParseTraceState("vendor=1112223334")
	if err != nil {
		t.Fatal(err)
	}
	h := nats.Header{}
	tracing.Inject(h, tracing.Root("c1", "k1").WithTraceFlags(0))
	if len(h) != 0 {
		t.Errorf("nobody records the span: want no header, got %v", h)
	}
	tracing.Inject(h, tracing.Root("c1", "k1").WithTraceState(state))
	if len(h) != 1 || !strings.HasPrefix(h["traceparent"][0], "00-"+tracing.TraceID("c1", "k1").String()) {
		t.Errorf("want the header traceparent alone, got %v", h)
	}
}
