package router

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

const (
	operator = "1112223334"
	customer = "1111111111"
	newcomer = "5555555555"
	desk     = "helpdesk"
	proxy    = "proxy"
)

// bench is a broker and workers that a test drives step by step: nothing here
// fetches by itself.
type bench struct {
	*brokertest.Broker
	t  testing.TB
	nc *nats.Conn
	js jetstream.JetStream
	n  int
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := brokertest.Start(t, brokertest.Options{
		Memory: true, Users: []string{operator, customer, newcomer}, Apps: []string{proxy, desk},
		Provision: provision.Options{AckWait: time.Second},
	})
	nc := b.Admin(t)
	return &bench{Broker: b, t: t, nc: nc, js: brokertest.JetStream(t, nc)}
}

// worker returns a worker with a connection and a cache of its own.
func (b *bench) worker() (*worker, *Router) {
	b.t.Helper()
	r, err := New(Options{
		Conn:      b.Router(b.t),
		Directory: b.Directory(),
		Proxies:   map[identity.ID]identity.PrivateKey{identity.MustID(proxy): b.Get(b.t, proxy).Key},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	w, err := r.worker()
	if err != nil {
		b.t.Fatal(err)
	}
	return w, r
}

func (b *bench) route(cid string) {
	b.t.Helper()
	data, err := call.Route{
		Proxy: identity.MustID(proxy), Operator: identity.MustID(operator), Customer: identity.MustID(customer), Start: call.StartBoth,
	}.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.js.Publish(b.t.Context(), subjects.KVKey(subjects.BucketRoutes, cid), data); err != nil {
		b.t.Fatal(err)
	}
}

// publish stores a message of an identity in the inbound stream.
func (b *bench) publish(from string, typ signal.Type, cid, callID string) {
	b.t.Helper()
	b.n++
	now := time.Now()
	payload, err := signal.Message{
		Type: typ, JTI: fmt.Sprint(from, ".", b.n), Issuer: identity.MustID(from), Recipient: identity.MustID(proxy),
		IssuedAt: now, ExpiresAt: now.Add(time.Minute), CID: cid, CallID: callID,
	}.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.js.Publish(b.t.Context(), subjects.Voice(from, string(typ)), b.Get(b.t, from).Key.Sign(payload)); err != nil {
		b.t.Fatal(err)
	}
}

// fetch takes n messages from the shared consumer as jobs.
func (b *bench) fetch(r *Router, n int) []*job {
	b.t.Helper()
	consumer, err := r.js.Consumer(b.t.Context(), subjects.StreamIn, subjects.ConsumerRouter)
	if err != nil {
		b.t.Fatal(err)
	}
	messages, err := consumer.Fetch(n, jetstream.FetchPrioritized(1), jetstream.FetchPriorityGroup(subjects.GroupRouter), jetstream.FetchMaxWait(10*time.Second))
	if err != nil {
		b.t.Fatal(err)
	}
	var jobs []*job
	for m := range messages.Messages() {
		jobs = append(jobs, inbound(m))
	}
	if len(jobs) != n {
		b.t.Fatalf("fetched %d messages, want %d: %v", len(jobs), n, messages.Error())
	}
	return jobs
}

// groups verifies jobs and groups them.
func (w *worker) groups(t testing.TB, jobs []*job) []*group {
	t.Helper()
	verifier{opts: w.opts, metrics: w.metrics, tracer: w.tracer, limiter: newLimiter(Limits{Messages: -1, Starts: -1}), log: w.log}.verify(t.Context(), jobs)
	groups := w.judgeable(grouped(jobs))
	if n := countJobs(groups); n != len(jobs) {
		t.Fatalf("%d of %d jobs are left over", len(jobs)-n, len(jobs))
	}
	return groups
}

// grouped groups jobs as the way of a message does.
func grouped(jobs []*job) []*group {
	q := newQueue()
	q.add(jobs)
	return q.take(len(jobs))
}

// work carries n messages from fetch to ack.
func (b *bench) work(w *worker, r *Router, n int) []*job {
	b.t.Helper()
	jobs := b.fetch(r, n)
	w.settle(b.t.Context(), w.groups(b.t, jobs), 1)
	return jobs
}

func (b *bench) state(cid string) call.State {
	b.t.Helper()
	m, err := msgget.Last(b.t.Context(), b.nc, subjects.StreamOut, subjects.State(cid))
	if err != nil {
		b.t.Fatalf("record of %s: %v", cid, err)
	}
	s, err := call.DecodeState(m.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// stored counts the messages of VOICE_OUT that match a filter.
func (b *bench) stored(filter string) (n uint64) {
	b.t.Helper()
	stream, err := b.js.Stream(b.t.Context(), subjects.StreamOut)
	if err != nil {
		b.t.Fatal(err)
	}
	info, err := stream.Info(b.t.Context(), jetstream.WithSubjectFilter(filter))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, count := range info.State.Subjects {
		n += count
	}
	return n
}

// TestLostAck: a worker dies between commit and ack. Whoever gets the message
// then finds it among the applied and says nothing twice.
func TestLostAck(t *testing.T) {
	b := newBench(t)
	b.route("c1")
	b.publish(operator, signal.Start, "c1", "k1")

	dead, r1 := b.worker()
	groups := dead.groups(t, b.fetch(r1, 1))
	groups, err := dead.decideAll(t.Context(), groups)
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.commit(t.Context(), groups); err != nil {
		t.Fatal(err)
	}
	// No ack: the message comes again after the ack wait.
	heir, r2 := b.worker()
	jobs := b.work(heir, r2, 1)
	if v := jobs[0].decision.Verdict; v != call.Repeat {
		t.Errorf("second delivery: verdict %v, want Repeat", v)
	}
	if n := b.stored(subjects.InboxAll(customer)); n != 1 {
		t.Errorf("%d messages in the customer's inbox, want 1", n)
	}
}

// TestLostRace: a worker decides on a record that another moves before it
// commits. The batch is refused whole; the loser decides again on what is, and
// the other calls of its batch are not held up.
func TestLostRace(t *testing.T) {
	b := newBench(t)
	b.route("c1")
	b.route("c2")
	slow, r1 := b.worker()
	fast, r2 := b.worker()
	b.publish(operator, signal.Start, "c1", "k1")
	b.work(slow, r1, 1) // slow has c1 in its cache from now on

	b.publish(customer, signal.Accept, "c1", "k1")
	b.publish(operator, signal.Start, "c2", "k2")
	jobs := b.fetch(r1, 2)
	b.publish(operator, signal.Stop, "c1", "k1")
	b.work(fast, r2, 1) // the stop overtakes the accept

	slow.settle(t.Context(), slow.groups(t, jobs), 1)
	if s := b.state("c1"); s.Phase != call.Ended || s.Reason != signal.Cancelled {
		t.Errorf("c1 is %s %s, want ended cancelled: the first commit wins", s.Phase, s.Reason)
	}
	if s := b.state("c2"); s.Phase != call.Ringing {
		t.Errorf("c2 is %s, want ringing", s.Phase)
	}
	if n := b.stored(subjects.Inbox(operator, string(signal.Accept))); n != 0 {
		t.Errorf("the operator was told of %d accepts of a call that he had cancelled", n)
	}
	if n := b.stored(subjects.Inbox(customer, string(signal.Stop))); n != 2 {
		// The stop of the caller, and the answer to an accept that came too late.
		t.Errorf("the customer was told to stop %d times, want 2", n)
	}
}

// TestNothingIsAsserted: a decision that writes nothing, taken on a stale record,
// could swallow the message. A worker knows a call as ringing that another has
// made active: what it would write loses the race and is decided again. What
// writes nothing asserts the record: on the current one it stands, on a stale one it
// loses the race as well.
func TestNothingIsAsserted(t *testing.T) {
	b := newBench(t)
	b.route("c1")
	stale, r1 := b.worker()
	other, r2 := b.worker()
	b.publish(operator, signal.Start, "c1", "k1")
	b.publish(operator, signal.Ringing, "c1", "k1") // refused, but writes the record
	b.work(stale, r1, 2)
	b.publish(customer, signal.Accept, "c1", "k1")
	b.work(other, r2, 1)

	// On the record that stale knows this ringing is news to the caller; on the
	// current one it means nothing.
	b.publish(customer, signal.Ringing, "c1", "k1")
	jobs := b.work(stale, r1, 1)
	if v := jobs[0].decision.Verdict; v != call.Nothing {
		t.Errorf("ringing after accept: verdict %v, want Nothing", v)
	}
	if s := b.state("c1"); s.Phase != call.Active {
		t.Errorf("call is %s, want active", s.Phase)
	}
	before := b.stored(subjects.Check("c1"))
	b.publish(customer, signal.Ringing, "c1", "k1")
	b.work(stale, r1, 1)
	if got := b.stored(subjects.Check("c1")); got != before+1 {
		t.Errorf("a decision that writes nothing stored %d assertions, want one", got-before)
	}

	// A server that leads no more may know a call as ended that another has begun. A
	// busy means nothing then; on the current record it ends the call.
	b.publish(operator, signal.Stop, "c1", "k1")
	b.work(other, r2, 1)
	b.publish(operator, signal.Start, "c1", "k2")
	b.work(other, r2, 1)
	b.publish(customer, signal.Busy, "c1", "k2")
	jobs = b.fetch(r1, 1)
	groups := stale.groups(t, jobs)
	g := groups[0]
	ended := b.state("c1")
	ended.Phase = call.Ended
	g.setBase(record{&ended, b.last(subjects.State("c1")).Seq - 1}, true)
	stale.settle(t.Context(), groups, 1)
	if v := jobs[0].decision.Verdict; v != call.Applied {
		t.Errorf("busy: verdict %v, want it applied on the current record", v)
	}
	if s := b.state("c1"); s.Phase != call.Ended || s.Reason != signal.BusyHere {
		t.Errorf("call is %s %s, want ended busy", s.Phase, s.Reason)
	}
}

// TestPoison: one message of a batch cannot be committed. The others are, it is
// put aside, its sender is told.
func TestPoison(t *testing.T) {
	b := newBench(t)
	w, r := b.worker()
	for i := range 5 {
		b.route(fmt.Sprint("c", i))
		b.publish(operator, signal.Start, fmt.Sprint("c", i), "k")
	}
	groups := w.groups(t, b.fetch(r, 5))
	bad := groups[2].jobs[0]
	w.outbound.fail = func(j *job) error {
		if j == bad && j.refusal == nil {
			return errors.New("cannot be encoded")
		}
		return nil
	}
	w.settle(t.Context(), groups, 1)
	if n := b.stored(subjects.FilterState); n != 4 {
		t.Errorf("%d calls committed, want 4", n)
	}
	if n := b.stored(subjects.Rejected(string(signal.CodeInternal), operator)); n != 1 {
		t.Errorf("%d messages under rejected.internal, want 1", n)
	}
	if n := b.stored(subjects.Inbox(operator, string(signal.Error))); n != 1 {
		t.Errorf("the sender was told %d times, want once", n)
	}
}
