package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// The cast, as in the protocol's examples.
const (
	operator = "1112223334"
	customer = "1111111111"
	stranger = "9999999999"
	proxy    = "proxy"
	app      = "helpdesk"
)

func TestMain(m *testing.M) {
	ats.Register()
	code := m.Run()
	ats.Unregister()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// world is a broker, routers and endpoints that speak the wire protocol without
// the SDK.
type world struct {
	*brokertest.Broker
	t  testing.TB
	nc *nats.Conn // as admin
}

func newWorld(t testing.TB, opts brokertest.Options) *world {
	t.Helper()
	opts.Memory = true
	opts.Callout = !opts.Bare
	opts.Users = append(opts.Users, operator, customer, stranger)
	opts.Apps = append(opts.Apps, proxy, app)
	b := brokertest.Start(t, opts)
	return &world{Broker: b, t: t, nc: b.Admin(t)}
}

// fleet starts a router that serves the proxy; stop it with the returned
// function, or with the test.
func (w *world) fleet(change func(*router.Options)) (stop func()) {
	w.t.Helper()
	_, stop = w.router(change)
	return stop
}

// ready is fleet, but returns when the router works.
func (w *world) ready(change func(*router.Options)) (stop func()) {
	w.t.Helper()
	r, stop := w.router(change)
	eventually(w.t, "the router is ready", func() bool { return r.Ready() == nil })
	return stop
}

func (w *world) router(change func(*router.Options)) (r *router.Router, stop func()) {
	w.t.Helper()
	opts := router.Options{
		Conn:    w.Router(w.t),
		Proxies: map[identity.ID]identity.PrivateKey{identity.MustID(proxy): w.Get(w.t, proxy).Key},
		Logger:  testLogger(w.t),
		Limits:  router.Limits{Messages: -1, Starts: -1},
	}
	if change != nil {
		change(&opts)
	}
	r, err := router.New(opts)
	if err != nil {
		w.t.Fatalf("new router: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() { // whoever calls it second waits for the first
		cancel()
		// A worker may be killed by its connection before it has begun.
		if err := <-done; err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			w.t.Errorf("router: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return r, stop
}

// route stores a route between the operator and the customer.
func (w *world) route(cid string, change func(*call.Route)) {
	w.t.Helper()
	route := call.Route{
		Proxy: identity.MustID(proxy), Operator: identity.MustID(operator), Customer: identity.MustID(customer),
		OperatorName: "Bob", CustomerName: "Ada",
	}
	if change != nil {
		change(&route)
	}
	data, err := route.Encode()
	if err != nil {
		w.t.Fatalf("route: %v", err)
	}
	w.putRoute(cid, data)
}

func (w *world) putRoute(cid string, data []byte) {
	w.t.Helper()
	kv, err := brokertest.JetStream(w.t, w.nc).KeyValue(w.t.Context(), subjects.BucketRoutes)
	if err == nil {
		_, err = kv.Put(w.t.Context(), cid, data)
	}
	if err != nil {
		w.t.Fatalf("put route %s: %v", cid, err)
	}
}

// state reads the record of a conversation.
func (w *world) state(key string) call.State {
	w.t.Helper()
	m, err := msgget.Last(w.t.Context(), w.nc, subjects.StreamOut, subjects.State(key))
	if err != nil {
		w.t.Fatalf("record of %s: %v", key, err)
	}
	s, err := call.DecodeState(m.Data)
	if err != nil {
		w.t.Fatalf("record of %s: %v", key, err)
	}
	return s
}

// endpoint is an identity on a raw connection.
type endpoint struct {
	w    *world
	id   brokertest.Identity
	nc   *nats.Conn
	live *nats.Subscription
	n    int
}

func (w *world) endpoint(name string) *endpoint {
	w.t.Helper()
	nc := w.Identity(w.t, name)
	live, err := nc.SubscribeSync(subjects.LiveAll(name))
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		w.t.Fatalf("%s: subscribe: %v", name, err)
	}
	return &endpoint{w: w, id: w.Get(w.t, name), nc: nc, live: live}
}

// claims returns a valid message of this endpoint to the proxy.
func (e *endpoint) claims(typ signal.Type, cid, callID string) signal.Message {
	e.n++
	now := time.Now()
	return signal.Message{
		Type: typ, JTI: fmt.Sprintf("%s-%s-%s-%d-%d", e.id.ID, typ, callID, e.n, now.UnixNano()),
		Issuer: e.id.ID, Recipient: identity.MustID(proxy),
		IssuedAt: now, ExpiresAt: now.Add(time.Minute), CID: cid, CallID: callID,
	}
}

// say sends one message of a call to the proxy.
func (e *endpoint) say(typ signal.Type, cid, callID string, change func(*signal.Message)) signal.Message {
	e.w.t.Helper()
	m := e.claims(typ, cid, callID)
	if change != nil {
		change(&m)
	}
	e.send(m)
	return m
}

func (e *endpoint) send(m signal.Message) {
	e.w.t.Helper()
	payload, err := m.Encode()
	if err != nil {
		e.w.t.Fatalf("encode: %v", err)
	}
	e.publish(string(m.Type), m.JTI, e.id.Key.Sign(payload))
}

// publish stores bytes in the inbound stream.
func (e *endpoint) publish(typ, jti string, data []byte) {
	e.w.t.Helper()
	msg := nats.NewMsg(subjects.Voice(e.id.ID.String(), typ))
	msg.Data = data
	if jti != "" {
		msg.Header.Set(nats.MsgIdHdr, signal.MsgID(e.id.ID, jti))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reply, err := e.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		e.w.t.Fatalf("%s: publish %s: %v", e.id.ID, typ, err)
	}
	var ack struct {
		Stream string          `json:"stream"`
		Error  json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil || ack.Stream != subjects.StreamIn {
		e.w.t.Fatalf("%s: publish %s: answer %s, error %v", e.id.ID, typ, reply.Data, err)
	}
}

// next returns the next live message; its signature and envelope are checked.
func (e *endpoint) next() signal.Message {
	e.w.t.Helper()
	m, ok := e.wait(10 * time.Second)
	if !ok {
		e.w.t.Fatalf("%s: nothing arrived", e.id.ID)
	}
	return m
}

func (e *endpoint) wait(patience time.Duration) (signal.Message, bool) {
	e.w.t.Helper()
	raw, err := e.live.NextMsg(patience)
	if err != nil {
		return signal.Message{}, false
	}
	envelope, err := identity.ParseEnvelope(raw.Data)
	if err != nil {
		e.w.t.Fatalf("%s: envelope: %v", e.id.ID, err)
	}
	m, err := signal.Decode(envelope.Payload)
	if err != nil {
		e.w.t.Fatalf("%s: claims: %v", e.id.ID, err)
	}
	if m.Issuer != identity.Router {
		if err := envelope.Verify(e.w.Get(e.w.t, m.Issuer.String()).Record.Keys); err != nil {
			e.w.t.Fatalf("%s: signature of %s: %v", e.id.ID, m.Issuer, err)
		}
	}
	if _, typ, ok := subjects.ParseLive(raw.Subject); !ok || typ != string(m.Type) || m.Recipient != e.id.ID {
		e.w.t.Fatalf("%s: subject %s carries %s for %s", e.id.ID, raw.Subject, m.Type, m.Recipient)
	}
	return m, true
}

// expect returns the next live message, which must be of this type and call.
func (e *endpoint) expect(typ signal.Type, callID string) signal.Message {
	e.w.t.Helper()
	m := e.next()
	if m.Type != typ || m.CallID != callID {
		e.w.t.Fatalf("%s: got %s %s %s %s, want %s %s", e.id.ID, m.Type, m.CallID, m.Reason, m.Data, typ, callID)
	}
	return m
}

// expectError returns the code of the error that must come next.
func (e *endpoint) expectError(callID string) signal.Fault {
	e.w.t.Helper()
	f, ok := e.expect(signal.Error, callID).Fault()
	if !ok {
		e.w.t.Fatalf("%s: error without a code", e.id.ID)
	}
	return f
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(60 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("not within 60 s: %s", what)
		case <-tick.C:
		}
	}
}

// testLogger writes warnings and errors into the test's log.
func testLogger(t testing.TB) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type testWriter struct{ testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.Helper()
	if w.Context().Err() == nil { // not after the test
		w.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}
