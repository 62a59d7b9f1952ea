package broker_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestWorkerPermissions does once everything that a worker does.
func TestWorkerPermissions(t *testing.T) {
	t.Parallel()
	b := start(t)
	ctx := t.Context()
	nc, seen := violations(t, b.Router)
	js := brokertest.JetStream(t, nc)

	if _, err := b.Identity(t, alice).Request(subjects.Voice(alice, "start"), []byte("{}"), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	drain(t, js, subjects.StreamIn, subjects.ConsumerRouter, jetstream.FetchPriorityGroup(subjects.GroupRouter), jetstream.FetchPrioritized(3))

	watchBuckets(t, js)
	routes, err := js.KeyValue(ctx, subjects.BucketRoutes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := routes.Create(ctx, "c1", []byte("{}"), jetstream.KeyTTL(time.Hour)); err != nil {
		t.Errorf("create a route: %v", err)
	}
	if _, err := routes.Get(ctx, "c1"); err != nil {
		t.Errorf("read a route: %v", err)
	}
	if _, err := nc.Request(subjects.RequestMessage(subjects.StreamOut), []byte(`{"last_by_subj":"call.x.state"}`), 5*time.Second); err != nil {
		t.Errorf("read from the leader: %v", err)
	}
	serveMicro(t, b, nc)

	select {
	case err := <-seen:
		t.Errorf("want no violations so far, got %v", err)
	default:
	}
	for _, subject := range []string{
		subjects.Voice(alice, "start"),
		subjects.KVKey(subjects.BucketIdentities, alice),
		"$JS.API.STREAM.CREATE.X",
		"$JS.API.STREAM.DELETE." + subjects.StreamOut,
		"$JS.API.STREAM.PURGE." + subjects.StreamIn,
		"$JS.API.CONSUMER.CREATE." + subjects.StreamOut + ".x",
		"$JS.API.CONSUMER.DELETE." + subjects.StreamIn + "." + subjects.ConsumerRouter,
	} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, seen, subject)
	}
}

func drain(t *testing.T, js jetstream.JetStream, stream, consumer string, opts ...jetstream.FetchOpt) {
	t.Helper()
	c, err := js.Consumer(t.Context(), stream, consumer)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := c.Fetch(1, append(opts, jetstream.FetchMaxWait(5*time.Second))...)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := <-batch.Messages()
	if !ok {
		t.Fatalf("fetch from %s: want a message, got %v", consumer, batch.Error())
	}
	if err := m.DoubleAck(t.Context()); err != nil {
		t.Errorf("ack: %v", err)
	}
}

func watchBuckets(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	for _, bucket := range []string{subjects.BucketRoutes, subjects.BucketIdentities} {
		kv, err := js.KeyValue(t.Context(), bucket)
		if err != nil {
			t.Fatal(err)
		}
		w, err := kv.WatchAll(t.Context())
		if err != nil {
			t.Fatalf("watch %s: %v", bucket, err)
		}
		timeout := time.After(5 * time.Second)
		for initial := true; initial; {
			select {
			case entry := <-w.Updates():
				initial = entry != nil
			case <-timeout:
				t.Fatalf("watch %s: want the end of the initial values, got none", bucket)
			}
		}
		if err := w.Stop(); err != nil {
			t.Errorf("stop watching %s: %v", bucket, err)
		}
	}
}

// serveMicro answers a request of the backend and one of an identity from the
// far side of the wall.
func serveMicro(t *testing.T, b *brokertest.Broker, nc *nats.Conn) {
	t.Helper()
	svc, err := micro.AddService(nc, micro.Config{Name: "router", Version: "0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = svc.Stop() }()
	for name, subject := range map[string]string{"get": subjects.ServiceCallGet, "sync": subjects.FilterSync} {
		err := svc.AddEndpoint(name, micro.HandlerFunc(func(r micro.Request) { _ = r.Respond([]byte("ok")) }),
			micro.WithEndpointSubject(subject))
		if err != nil {
			t.Fatal(err)
		}
	}
	flush(t, nc)
	backend := b.Backend(t)
	for _, subject := range []string{subjects.ServiceCallGet, "$SRV.PING.router"} {
		if _, err := backend.Request(subject, nil, 5*time.Second); err != nil {
			t.Errorf("backend asks %s: %v", subject, err)
		}
	}
	for _, name := range []string{alice, proxy} {
		if m, err := b.Identity(t, name).Request(subjects.Sync(name), nil, 5*time.Second); err != nil || string(m.Data) != "ok" {
			t.Errorf("%s asks for sync: want ok, got %v, %v", name, m, err)
		}
	}
}

func TestBackendPermissions(t *testing.T) {
	t.Parallel()
	b := start(t)
	ctx := t.Context()
	nc, seen := violations(t, b.Backend)
	routes, err := brokertest.JetStream(t, nc).KeyValue(ctx, subjects.BucketRoutes)
	if err != nil {
		t.Fatal(err)
	}
	revision, err := routes.Create(ctx, "c1", []byte("{}"))
	if err != nil {
		t.Fatalf("create a route: %v", err)
	}
	if _, err := routes.Update(ctx, "c1", []byte(`{"a":1}`), revision); err != nil {
		t.Errorf("update a route: %v", err)
	}
	if e, err := routes.Get(ctx, "c1"); err != nil || string(e.Value()) != `{"a":1}` {
		t.Errorf("read a route: %v, %v", e, err)
	}
	for _, subject := range []string{
		subjects.KVKey(subjects.BucketIdentities, alice),
		subjects.RequestMessage(subjects.KV(subjects.BucketIdentities)),
		subjects.State("c1"), subjects.Inbox(alice, "start"), subjects.Voice(alice, "start"),
		subjects.RequestMessage(subjects.StreamOut), subjects.RequestDirect(subjects.StreamOut),
		subjects.RequestNext(subjects.StreamIn, subjects.ConsumerRouter),
		"$JS.API.CONSUMER.CREATE." + subjects.KV(subjects.BucketRoutes) + ".x",
		"$JS.API.STREAM.DELETE." + subjects.KV(subjects.BucketRoutes),
	} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, seen, subject)
	}
	for _, subject := range []string{subjects.FilterServiceCalls, subjects.FilterVoice, "_INBOX_router.>", ">"} {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, seen, subject)
	}
}
