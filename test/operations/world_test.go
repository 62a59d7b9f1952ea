package operations

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/cluster"
	"github.com/voicerouter/voicerouter/internal/cluster/clustertest"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/voice"
)

// The cast, as in the protocol's examples.
const (
	operator = "1112223334"
	customer = "1111111111"
	proxy    = "proxy"
)

// patience is how long something may take that takes milliseconds, or an ack wait
// at most.
const patience = time.Minute

func TestMain(m *testing.M) { os.Exit(clustertest.Main(m)) }

// world is a fleet, an operator and a customer.
type world struct {
	*cluster.Cluster
	t      *testing.T
	nc     *nats.Conn // as admin
	js     jetstream.JetStream
	op, cu *side
	timers int
}

func newWorld(t *testing.T, opts cluster.Options) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("builds programs and runs them")
	}
	opts.WorkerEnv = append(opts.WorkerEnv, "ROUTER_LIMITS_STARTS=-1", "ROUTER_LIMITS_MESSAGES=-1")
	opts.Users, opts.Proxies = []string{operator, customer}, []string{proxy}
	w := &world{Cluster: clustertest.Start(t, opts), t: t}
	nc, err := w.Connect(broker.UserAdmin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if w.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(30*time.Second)); err != nil {
		t.Fatal(err)
	}
	w.nc = nc
	return w
}

// connect has the sides connect; workers must be running.
func (w *world) connect() {
	w.t.Helper()
	w.op, w.cu = w.side(operator), w.side(customer)
}

func (w *world) worker(opts cluster.WorkerOptions) *cluster.Worker {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	worker, err := w.AddWorker(ctx, opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return worker
}

// start starts a worker again.
func (w *world) start(worker *cluster.Worker) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := worker.Start(ctx); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) terminate(worker *cluster.Worker) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := worker.Terminate(ctx); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) kill(worker *cluster.Worker) {
	w.t.Helper()
	if err := worker.Kill(); err != nil {
		w.t.Fatal(err)
	}
}

// route stores a route between the operator and the customer.
func (w *world) route(cid string) {
	w.t.Helper()
	data, err := call.Route{Proxy: identity.MustID(proxy), Operator: identity.MustID(operator), Customer: identity.MustID(customer)}.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	kv, err := w.js.KeyValue(w.t.Context(), subjects.BucketRoutes)
	if err == nil {
		_, err = kv.Put(w.t.Context(), cid, data)
	}
	if err != nil {
		w.t.Fatalf("route %s: %v", cid, err)
	}
}

// last returns the last message on a subject of the outbound stream.
func (w *world) last(subject string) (msgget.Message, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
	defer cancel()
	return msgget.Last(ctx, w.nc, subjects.StreamOut, subject)
}

// ended waits until the call of a conversation has ended, and checks why.
func (w *world) ended(cid string, reason signal.Reason) {
	w.t.Helper()
	var s call.State
	w.eventually(cid+" has ended", func() error {
		m, err := w.last(subjects.State(cid))
		if err != nil {
			return err
		}
		if s, err = call.DecodeState(m.Data); err == nil && s.Phase != call.Ended {
			err = fmt.Errorf("it is %s", s.Phase)
		}
		return err
	})
	if s.Reason != reason {
		w.t.Errorf("%s ended %s, want %s", cid, s.Reason, reason)
	}
}

// eventually waits until holds returns nil.
func (w *world) eventually(what string, holds func() error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := cluster.Wait(ctx, what, func(context.Context) error { return holds() }); err != nil {
		w.t.Fatal(err)
	}
}

// side is one of the two with the SDK, and what it heard.
type side struct {
	*voice.Voice
	w    *world
	name string

	mu    sync.Mutex
	heard map[string]int
}

func (w *world) side(name string) *side {
	w.t.Helper()
	id, err := w.Identity(name)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := voice.Connect(w.t.Context(), voice.Options{
		URL: w.ClientURL(), SelfID: name, SigningKey: id.Key, NKeySeed: id.NKeySeed, SyncEvery: 2 * time.Second,
		SendTimeout: patience, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			w.t.Errorf("close %s: %v", name, err)
		}
	})
	s := &side{Voice: c.Voice(), w: w, name: name, heard: map[string]int{}}
	s.OnMessage(func(_ context.Context, m voice.Message) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.heard[fmt.Sprint(m.Type, " ", m.CID)]++
		return nil
	})
	return s
}

// times returns how often a message of a type arrived on a conversation.
func (s *side) times(typ signal.Type, cid string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard[fmt.Sprint(typ, " ", cid)]
}

// hears waits until a message has arrived.
func (s *side) hears(typ signal.Type, cid string) {
	s.w.t.Helper()
	s.w.eventually(fmt.Sprintf("%s hears %s on %s", s.name, typ, cid), func() error {
		if s.times(typ, cid) == 0 {
			return fmt.Errorf("heard so far: %v", s.all(cid))
		}
		return nil
	})
}

// once checks that messages have arrived exactly once.
func (s *side) once(cid string, types ...signal.Type) {
	s.w.t.Helper()
	for _, typ := range types {
		if n := s.times(typ, cid); n != 1 {
			s.w.t.Errorf("%s heard %d %s on %s, want 1", s.name, n, typ, cid)
		}
	}
}

func (s *side) all(cid string) (types []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, typ := range signal.Types() {
		if n := s.heard[fmt.Sprint(typ, " ", cid)]; n > 0 {
			types = append(types, fmt.Sprint(n, " ", typ))
		}
	}
	return types
}

// must fails the test if a message could not be sent.
func (s *side) must(err error) {
	s.w.t.Helper()
	if err != nil {
		s.w.t.Fatalf("%s: %v", s.name, err)
	}
}

// The steps of a call; every conversation has one, whose call_id is its own name.

func (w *world) calls(cid string) {
	w.t.Helper()
	w.op.must(w.op.Start(proxy, cid, cid, "offer", nil))
	w.cu.hears(signal.Start, cid)
}

func (w *world) answers(cid string) {
	w.t.Helper()
	w.cu.must(w.cu.Accept(proxy, cid, cid, "answer", nil))
	w.op.hears(signal.Accept, cid)
}

func (w *world) hangsUp(cid string) {
	w.t.Helper()
	w.op.must(w.op.Stop(proxy, cid, cid))
	w.cu.hears(signal.Stop, cid)
}

// completed checks a call that was answered and hung up.
func (w *world) completed(cid string) {
	w.t.Helper()
	w.ended(cid, signal.Hangup)
	w.cu.once(cid, signal.Start, signal.Stop)
	w.op.once(cid, signal.Accept)
}
