package integration

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/tracing"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/voice"
)

// recorder keeps the spans of one program.
type recorder struct {
	*sdktrace.TracerProvider
	spans *tracetest.InMemoryExporter
}

func newRecorder(t *testing.T) recorder {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	p := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	t.Cleanup(func() { _ = p.Shutdown(context.WithoutCancel(t.Context())) })
	return recorder{p, spans}
}

// await returns the only span of this name in the trace of a call.
func (r recorder) await(t *testing.T, name, cid, callID string) (found tracetest.SpanStub) {
	t.Helper()
	eventually(t, "span "+name+" in the trace of "+callID, func() bool {
		n := 0
		for _, s := range r.spans.GetSpans() {
			if s.Name == name && s.SpanContext.TraceID() == tracing.TraceID(cid, callID) {
				found, n = s, n+1
			}
		}
		return n == 1
	})
	return found
}

// tracedPhone is a phone with spans.
func (w *world) tracedPhone(name string, spans recorder) *phone {
	w.t.Helper()
	i := w.Get(w.t, name)
	p := &phone{t: w.t, got: make(chan voice.Message, 100)}
	client, err := voice.Connect(w.t.Context(), voice.Options{
		URL: w.URL(), SelfID: name, Role: i.Record.Role, SigningKey: i.Key, NATSOptions: i.Options(),
		Logger: testLogger(w.t), TracerProvider: spans,
	})
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	w.t.Cleanup(func() { _ = client.Close(context.Background()) })
	p.Voice = client.Voice()
	return p
}

// childOf fails unless a span is the child of another, of another program.
func childOf(t *testing.T, child, parent tracetest.SpanStub) {
	t.Helper()
	if child.Parent.SpanID() != parent.SpanContext.SpanID() || child.SpanContext.TraceID() != parent.SpanContext.TraceID() {
		t.Errorf("%s %v: parent is %v, want %s %v", child.Name, child.SpanContext.SpanID(), child.Parent.SpanID(), parent.Name, parent.SpanContext.SpanID())
	}
}

// TestOneTraceForACall follows a call through three programs - the operator's, the
// router, the customer's - that share nothing but the broker.
func TestOneTraceForACall(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	spans := map[string]recorder{operator: newRecorder(t), "router": newRecorder(t), customer: newRecorder(t)}
	w.ready(func(o *router.Options) {
		o.TracerProvider = spans["router"]
		o.Policy.RingTimeout = 2 * time.Second
	})
	w.route("c1", nil)
	op, cu := w.tracedPhone(operator, spans[operator]), w.tracedPhone(customer, spans[customer])
	op.OnMessage(func(_ context.Context, m voice.Message) error { op.got <- m; return nil })
	cu.OnMessage(func(ctx context.Context, m voice.Message) error {
		cu.got <- m
		if m.Type != signal.Start || m.CallID != "k1" {
			return nil
		}
		return cu.Send(ctx, signal.Message{Type: signal.Accept, Recipient: m.Issuer, CID: m.CID, CallID: m.CallID, PeerInfo: "answer"})
	})
	// What an endpoint is told by its first sync knows no trace: both have to listen.
	op.must(op.Start(proxy, "c1", "k0", "offer", nil))
	cu.hears(signal.Start, "k0")
	cu.must(cu.Stop(proxy, "c1", "k0"))
	op.hears(signal.Stop, "k0")

	op.must(op.Start(proxy, "c1", "k1", "offer", nil))
	cu.hears(signal.Start, "k1")
	op.hears(signal.Accept, "k1")
	op.must(op.Stop(proxy, "c1", "k1"))
	cu.hears(signal.Stop, "k1")

	way := []struct{ who, what string }{
		{operator, "send start"},
		{"router", "settle start"},
		{customer, "handle start"},
		{customer, "send accept"},
		{"router", "settle accept"},
		{operator, "handle accept"},
	}
	var last tracetest.SpanStub
	for i, step := range way {
		s := spans[step.who].await(t, step.what, "c1", "k1")
		if i > 0 {
			childOf(t, s, last)
		} else if s.Parent.SpanID() != tracing.Root("c1", "k1").SpanID() {
			t.Errorf("first span: parent is %v, want the root of the call", s.Parent)
		}
		last = s
	}
	childOf(t, spans[customer].await(t, "handle stop", "c1", "k1"), spans["router"].await(t, "settle stop", "c1", "k1"))

	// A call that nobody answers: its end has no message as its cause.
	op.must(op.Start(proxy, "c1", "k2", "offer", nil))
	cu.hears(signal.Start, "k2")
	cu.hears(signal.Stop, "k2")
	timeout := spans["router"].await(t, "settle timeout", "c1", "k2")
	childOf(t, spans[customer].await(t, "handle stop", "c1", "k2"), timeout)
	childOf(t, spans[operator].await(t, "handle stop", "c1", "k2"), timeout)

	events := ""
	for _, e := range spans["router"].await(t, "settle accept", "c1", "k1").Events {
		events += e.Name + " "
	}
	if events != "loaded decided committed " {
		t.Errorf("events of the router's span: %q", events)
	}
	for who, r := range spans {
		nameNobody(t, who, r.spans.GetSpans())
	}
}

// nameNobody fails if a span names an identity, a conversation or a call.
func nameNobody(t *testing.T, who string, spans tracetest.SpanStubs) {
	t.Helper()
	for _, s := range spans {
		texts := []string{s.Name, s.Status.Description}
		for _, a := range s.Attributes {
			texts = append(texts, string(a.Key), a.Value.String())
		}
		for _, e := range s.Events {
			texts = append(texts, e.Name)
			for _, a := range e.Attributes {
				texts = append(texts, a.Value.String())
			}
		}
		for _, text := range texts {
			for _, name := range []string{operator, customer, proxy, "c1", "k1"} {
				if strings.Contains(text, name) {
					t.Errorf("span %s of %s names %s: %q", s.Name, who, name, text)
				}
			}
		}
	}
}

// traceparents collects the trace and parent ids in the live messages of an
// endpoint until one of this type arrives.
func (e *endpoint) traceparents(last signal.Type) (ids []string, headers nats.Header) {
	e.w.t.Helper()
	for {
		msg, err := e.live.NextMsg(10 * time.Second)
		if err != nil {
			e.w.t.Fatalf("%s: waiting for %s: %v", e.id.ID, last, err)
		}
		parts := strings.Split(msg.Header.Get(tracing.Header), "-")
		if len(parts) != 4 {
			e.w.t.Fatalf("%s: headers %v, want a traceparent", e.id.ID, msg.Header)
		}
		ids = append(ids, parts[1], parts[2])
		if _, typ, _ := subjects.ParseLive(msg.Subject); typ == string(last) {
			return ids, msg.Header
		}
	}
}

// TestNoCommonTraceBehindMaskedCallIDs: what one side can read of traces on a route
// with mask_call_id occurs nowhere on the other side.
func TestNoCommonTraceBehindMaskedCallIDs(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	spans := newRecorder(t)
	w.fleet(func(o *router.Options) {
		o.TracerProvider = spans
		o.Policy.RingTimeout = 2 * time.Second
	})
	w.route("c1", func(r *call.Route) { r.MaskCallID = true })
	op, cu := w.endpoint(operator), w.endpoint(customer)
	op.say(signal.Start, "c1", "k1", nil)
	start := cu.next()
	sent := op.claims(signal.Candidate, "c1", "k1")
	sent.PeerInfo = "candidate"
	op.send(sent)
	cu.say(signal.Ringing, "c1", start.CallID, nil)
	opSaw, _ := op.traceparents(signal.Stop) // ringing, and the stop of the timeout
	cuSaw, _ := cu.traceparents(signal.Stop)
	if len(opSaw) != 4 || len(cuSaw) != 4 {
		t.Fatalf("the operator saw %v, the customer %v, want two messages each", opSaw, cuSaw)
	}
	for _, id := range opSaw {
		if slices.Contains(cuSaw, id) {
			t.Errorf("both sides can read %s", id)
		}
	}
	if opSaw[0] != tracing.TraceID("c1", "k1").String() || cuSaw[0] != tracing.TraceID("c1", start.CallID).String() {
		t.Errorf("want each side in the trace of the call as it knows it, got %s and %s", opSaw[0], cuSaw[0])
	}
}

// TestTraceOfAClientStaysThere: of what a client writes into headers about traces
// nothing reaches the other side, whether or not the router makes spans.
func TestTraceOfAClientStaysThere(t *testing.T) {
	for name, on := range map[string]bool{"traced": true, "untraced": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, brokertest.Options{})
			w.fleet(func(o *router.Options) {
				if on {
					o.TracerProvider = newRecorder(t)
				}
			})
			w.route("c1", nil)
			op, cu := w.endpoint(operator), w.endpoint(customer)
			mine := strings.Repeat("0", 22) + operator
			for i, headers := range []nats.Header{
				{"traceparent": {"00-" + mine + "-00f067aa0ba902b7-01"}, "tracestate": {"me=" + operator}, "baggage": {"user=" + operator}},
				{"Traceparent": {"00-" + tracing.TraceID("c1", "k1").String() + "-000000" + operator + "-01"}, "Tracestate": {operator + "=1"}},
			} {
				m := op.claims(signal.Start, "c1", []string{"k0", "k1"}[i])
				m.PeerInfo = "offer"
				payload, err := m.Encode()
				if err != nil {
					t.Fatal(err)
				}
				msg := &nats.Msg{Subject: subjects.Voice(operator, "start"), Data: op.id.Key.Sign(payload), Header: headers}
				if _, err := op.nc.RequestMsg(msg, 10*time.Second); err != nil {
					t.Fatal(err)
				}
				got, err := cu.live.NextMsg(10 * time.Second)
				if err != nil {
					t.Fatal(err)
				}
				for _, key := range slices.Sorted(maps.Keys(got.Header)) {
					if !strings.HasPrefix(key, "Nats-") && (!on || key != tracing.Header) {
						t.Errorf("delivered with header %s: %v", key, got.Header[key])
					}
					if strings.Contains(strings.Join(got.Header[key], " "), operator) {
						t.Errorf("header %s names the operator: %v", key, got.Header[key])
					}
				}
				op.say(signal.Stop, "c1", m.CallID, nil)
				cu.expect(signal.Stop, m.CallID)
			}
		})
	}
}
