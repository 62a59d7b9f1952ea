package main

import (
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/tracing"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/voice"
)

// otlp is a collector: it keeps what is exported to it.
type otlp struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*collector.ExportTraceServiceRequest
}

func newOTLP(t *testing.T) *otlp {
	t.Helper()
	o := new(otlp)
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			zipped, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = zipped
		}
		data, err := io.ReadAll(body)
		request := new(collector.ExportTraceServiceRequest)
		if err == nil {
			err = proto.Unmarshal(data, request)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("collector: %s: %v", r.URL.Path, err)
			return
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.requests = append(o.requests, request)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(o.Close)
	return o
}

// span is what of a received span is looked at.
type span struct{ service, trace, id, parent string }

func (o *otlp) await(t *testing.T, name string) (found span) {
	t.Helper()
	eventually(t, "span "+name+" exported", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, request := range o.requests {
			for _, of := range request.GetResourceSpans() {
				service := ""
				for _, a := range of.GetResource().GetAttributes() {
					if a.GetKey() == "service.name" {
						service = a.GetValue().GetStringValue()
					}
				}
				for _, scope := range of.GetScopeSpans() {
					for _, s := range scope.GetSpans() {
						if s.GetName() == name {
							found = span{service, trace.TraceID(s.GetTraceId()).String(), trace.SpanID(s.GetSpanId()).String(), trace.SpanID(s.GetParentSpanId()).String()}
							return true
						}
					}
				}
			}
		}
		return false
	})
	return found
}

// TestServeExportsTraces: a worker that is told of a collector by the standard
// variables exports its part of a trace that leads from one SDK to another.
func TestServeExportsTraces(t *testing.T) {
	t.Parallel()
	const op, cu = "1112223334", "1111111111"
	o := newOTLP(t)
	b := brokertest.Start(t, brokertest.Options{Memory: true, Users: []string{op, cu}, Apps: []string{"proxy"}})
	keys := t.TempDir()
	text, err := json.Marshal(b.Get(t, "proxy").Key)
	if err == nil {
		err = writeSecret(filepath.Join(keys, "proxy"+jwkEnding), text)
	}
	if err != nil {
		t.Fatal(err)
	}
	route, err := call.Route{Proxy: identity.MustID("proxy"), Operator: identity.MustID(op), Customer: identity.MustID(cu)}.Encode()
	if err == nil {
		_, err = brokertest.JetStream(t, b.Admin(t)).Publish(t.Context(), subjects.KVKey(subjects.BucketRoutes, "c1"), route)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := startServe(t, "ROUTER_NATS_URL="+b.URL(), "ROUTER_NATS_NKEY_FILE="+b.SeedFile(t, broker.UserRouter), "ROUTER_PROXY_KEYS="+keys,
		"OTEL_EXPORTER_OTLP_ENDPOINT="+o.URL, "OTEL_SERVICE_NAME=fleet", "OTEL_BSP_SCHEDULE_DELAY=20",
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=1")
	awaitStatusOK(t, "http://"+p.await(t, `msg="serving HTTP" address=(\S+)`)[1]+"/readyz")

	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	phone := func(name string) *voice.Voice {
		client, err := voice.Connect(t.Context(), voice.Options{
			URL: b.URL(), SelfID: name, SigningKey: b.Get(t, name).Key, NATSOptions: b.Get(t, name).Options(),
			TracerProvider: provider, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close(context.Background()) })
		return client.Voice()
	}
	rang := make(chan trace.SpanContext, 1)
	phone(cu).OnMessage(func(ctx context.Context, m voice.Message) error {
		if m.Type == signal.Start {
			rang <- trace.SpanContextFromContext(ctx)
		}
		return nil
	})
	if err := phone(op).Start("proxy", "c1", "k1", "offer", nil); err != nil {
		t.Fatal(err)
	}
	handler := <-rang
	settled := o.await(t, "settle start")
	want := span{"fleet", tracing.TraceID("c1", "k1").String(), settled.id, ""}
	var handled tracetest.SpanStub
	eventually(t, "spans of the clients", func() bool {
		n := 0
		for _, s := range spans.GetSpans() {
			switch s.Name {
			case "send start":
				want.parent = s.SpanContext.SpanID().String()
				n++
			case "handle start":
				handled = s
				n++
			}
		}
		return n == 2
	})
	if settled != want {
		t.Errorf("the collector has %+v, want %+v", settled, want)
	}
	if handled.SpanContext.SpanID() != handler.SpanID() || handled.Parent.SpanID().String() != settled.id || handled.SpanContext.TraceID().String() != settled.trace {
		t.Errorf("the handler's span %v has the parent %v, want %s of the router", handled.SpanContext, handled.Parent, settled.id)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(t); code != exitOK {
		t.Errorf("want exit 0, got %d:\n%s", code, p.log.String())
	}
}

// TestTracingIsOff unless it is asked for, and says what it cannot do.
func TestTracingIsOff(t *testing.T) {
	for name, c := range map[string]struct {
		env map[string]string
		on  bool
		bad bool
	}{
		"nothing set":     {nil, false, false},
		"endpoint":        {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, true, false},
		"traces endpoint": {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"}, true, false},
		"exporter":        {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, false},
		"none":            {map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, false, false},
		"disabled":        {map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, false, false},
		"only a name":     {map[string]string{"OTEL_SERVICE_NAME": "x"}, false, false},
		"other exporter":  {map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, false, true},
		"other protocol":  {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false, true},
		"bad ratio":       {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, false, true},
		"bad sampler":     {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "some"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			for key, value := range c.env {
				t.Setenv(key, value)
			}
			provider, stop, err := startTracing(t.Context(), slog.New(slog.DiscardHandler))
			if (err != nil) != c.bad || (provider != nil) != c.on {
				t.Errorf("got a provider: %v, error %v; want %v and %v", provider != nil, err, c.on, c.bad)
			}
			if err == nil {
				stop()
			}
		})
	}
}
