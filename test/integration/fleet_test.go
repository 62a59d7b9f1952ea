package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestKill kills workers, without a drain, in the middle of many calls: every
// call still ends as its parties said, each side hears each message once, and
// nothing is left behind.
func TestKill(t *testing.T) {
	const calls, kills = 200, 4
	w := newWorld(t, brokertest.Options{Provision: provision.Options{AckWait: time.Second}})
	op, cu := w.endpoint(operator), w.endpoint(customer)

	worker := func() (kill func()) {
		nc := w.Router(t)
		stop := w.fleet(func(o *router.Options) { o.Conn, o.Logger = nc, nil })
		return func() {
			nc.Close()
			go stop()
		}
	}
	worker()
	for i := range calls {
		w.route(fmt.Sprint("c", i), nil)
	}
	var wg sync.WaitGroup
	wg.Go(func() { // the callee answers whatever rings
		for range calls {
			m := cu.expect(signal.Start, "k")
			cu.say(signal.Accept, m.CID, "k", nil)
		}
	})
	kill := worker()
	for i := range calls {
		op.say(signal.Start, fmt.Sprint("c", i), "k", nil)
		if i%(calls/kills) == calls/kills/2 {
			kill()
			kill = worker()
		}
	}
	accepted := map[string]bool{}
	for range calls {
		m := op.expect(signal.Accept, "k")
		if accepted[m.CID] {
			t.Errorf("%s: the caller heard two accepts", m.CID)
		}
		accepted[m.CID] = true
	}
	wg.Wait()
	for i := range calls {
		op.say(signal.Stop, fmt.Sprint("c", i), "k", nil)
	}
	for range calls {
		cu.expect(signal.Stop, "k")
	}
	for i := range calls {
		if s := w.state(fmt.Sprint("c", i)); s.Phase != call.Ended || s.Reason != signal.Hangup {
			t.Errorf("c%d is %s %s, want ended hangup", i, s.Phase, s.Reason)
		}
	}
	if m, ok := op.wait(100 * time.Millisecond); ok {
		t.Errorf("the caller heard %s besides", m.Type)
	}
	w.drained()
}

// drained waits until nothing waits in the inbound stream or for an ack.
func (w *world) drained() {
	w.t.Helper()
	js := brokertest.JetStream(w.t, w.nc)
	eventually(w.t, "every message acknowledged", func() bool {
		consumer, err := js.Consumer(w.t.Context(), subjects.StreamIn, subjects.ConsumerRouter)
		if err != nil {
			return false
		}
		info := consumer.CachedInfo()
		return info.NumAckPending == 0 && info.NumPending == 0
	})
}

// TestCompetingWorkers lets two workers of equal priority, to whom the server
// deals the messages of each call in turn, race for every call.
func TestCompetingWorkers(t *testing.T) {
	const calls = 50
	w := newWorld(t, brokertest.Options{})
	for range 2 {
		w.fleet(func(o *router.Options) { o.Priority, o.Batch = 1, 4 })
	}
	op, cu := w.endpoint(operator), w.endpoint(customer)
	for i := range calls {
		w.route(fmt.Sprint("c", i), nil)
		cid := fmt.Sprint("c", i)
		op.say(signal.Start, cid, "k", nil)
		for range 4 {
			op.say(signal.Candidate, cid, "k", nil)
		}
		op.say(signal.Stop, cid, "k", nil)
	}
	// A stop that overtakes its start leaves no trace on the other side; one that
	// does not is heard once. Either way no call goes on.
	w.drained()
	eventually(t, "every call is over", func() bool {
		for i := range calls {
			if s := w.state(fmt.Sprint("c", i)); s.Live() {
				return false
			}
		}
		return true
	})
	starts, stops := map[string]int{}, map[string]int{}
	for {
		m, ok := cu.wait(200 * time.Millisecond)
		if !ok {
			break
		}
		switch m.Type {
		case signal.Start:
			starts[m.CID]++
		case signal.Stop:
			stops[m.CID]++
		}
	}
	for cid, n := range starts {
		if n != 1 || stops[cid] != 1 {
			t.Errorf("%s: the callee heard %d starts and %d stops, want one of each", cid, n, stops[cid])
		}
	}
}

// ask sends a request to a service and decodes the answer.
func ask[A any](t testing.TB, nc *nats.Conn, subject string, request any) (answer A, code string) {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var reply *nats.Msg
	eventually(t, subject+" answers", func() bool {
		reply, err = nc.RequestWithContext(ctx, subject, body)
		return err == nil
	})
	if code = reply.Header.Get("Nats-Service-Error-Code"); code != "" {
		return answer, code
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		t.Fatalf("%s: %v: %s", subject, err, reply.Data)
	}
	return answer, ""
}

// TestServices creates, reads, lists and ends a call through the services.
func TestServices(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	op, cu := w.endpoint(operator), w.endpoint(customer)
	backend := w.Backend(t)

	request := router.CreateRequest{CID: "c1", TTL: 3600, Route: call.Route{
		Proxy: identity.MustID(proxy), Customer: identity.MustID(customer), Operator: identity.MustID(operator), CustomerName: "Ada",
	}}
	created, code := ask[router.CreateResponse](t, backend, subjects.ServiceCallCreate, request)
	if code != "" || created.Route.ExpiresAt.IsZero() {
		t.Fatalf("create: %q %+v", code, created)
	}
	setup := op.expect(signal.Setup, "")
	if setup.CID != "c1" || string(setup.Data) != `{"name":"Ada"}` || setup.Issuer.String() != proxy {
		t.Errorf("setup: %+v %s", setup, setup.Data)
	}
	if _, code := ask[router.CreateResponse](t, backend, subjects.ServiceCallCreate, request); code != router.ServiceExists {
		t.Errorf("second create: %q, want exists", code)
	}
	op.say(signal.Start, "c1", "k1", nil)
	cu.expect(signal.Start, "k1")
	if list, _ := ask[router.ListResponse](t, backend, subjects.ServiceCallList, router.ListRequest{}); len(list.Calls) != 1 || list.Calls[0].CallID != "k1" {
		t.Errorf("list: %+v", list)
	}
	if _, code := ask[router.EndResponse](t, backend, subjects.ServiceCallEnd, router.EndRequest{CID: "c1"}); code != "" {
		t.Errorf("end: %s", code)
	}
	for _, side := range []*endpoint{op, cu} {
		if m := side.expect(signal.Stop, "k1"); m.Reason != signal.AdminTerminated {
			t.Errorf("%s: stop %s, want admin_terminated", side.id.ID, m.Reason)
		}
	}
	if _, code := ask[router.EndResponse](t, backend, subjects.ServiceCallEnd, router.EndRequest{CID: "c1"}); code != router.ServiceNotFound {
		t.Errorf("second end: %q, want not_found", code)
	}
	got, code := ask[router.GetResponse](t, backend, subjects.ServiceCallGet, router.GetRequest{CID: "c1", History: true})
	if code != "" || got.Route == nil || got.State == nil || len(got.History) != 2 || got.History[1].State.Reason != signal.AdminTerminated {
		t.Errorf("get: %q %+v", code, got)
	}
	if list, _ := ask[router.ListResponse](t, backend, subjects.ServiceCallList, router.ListRequest{All: true}); len(list.Calls) != 1 || list.Calls[0].Phase != call.Ended {
		t.Errorf("list of all: %+v", list)
	}
}

// TestSync pages through an inbox: oldest first, complete, and only one's own.
func TestSync(t *testing.T) {
	const calls = 300
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	op, cu := w.endpoint(operator), w.endpoint(customer)
	for i := range calls {
		w.route(fmt.Sprint("c", i), nil)
		op.say(signal.Start, fmt.Sprint("c", i), "k", nil)
	}
	for range calls {
		cu.expect(signal.Start, "k")
	}
	var since uint64
	seen := map[string]bool{}
	for pages := 1; ; pages++ {
		page, _ := ask[signal.SyncResponse](t, cu.nc, subjects.Sync(customer), signal.SyncRequest{Since: since})
		if page.Error != nil {
			t.Fatalf("sync: %+v", page.Error)
		}
		for _, m := range page.Messages {
			if m.Seq <= since {
				t.Fatalf("sequence %d behind %d", m.Seq, since)
			}
			since = m.Seq
			envelope, err := identity.ParseEnvelope(m.Payload)
			if err != nil {
				t.Fatal(err)
			}
			claims, err := signal.Decode(envelope.Payload)
			if err != nil || claims.Recipient.String() != customer || seen[claims.JTI] {
				t.Fatalf("message %d: %+v, %v", m.Seq, claims, err)
			}
			seen[claims.JTI] = true
		}
		if page.Upto < since {
			t.Fatalf("upto %d, but message %d was returned", page.Upto, since)
		}
		if since = page.Upto; !page.More {
			if pages < 2 {
				t.Errorf("%d messages in one page, want at most %d", calls, signal.MaxSync)
			}
			break
		}
	}
	if len(seen) != calls {
		t.Errorf("synced %d messages, want %d", len(seen), calls)
	}
	if page, _ := ask[signal.SyncResponse](t, cu.nc, subjects.Sync(customer), signal.SyncRequest{Since: since}); len(page.Messages) != 0 {
		t.Errorf("nothing new, but %d messages", len(page.Messages))
	}
}

// TestSyncReply: an answer never goes to a subject that a stream stores.
func TestSyncReply(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	w.route("c1", nil)
	cu := w.endpoint(customer)
	ask[signal.SyncResponse](t, cu.nc, subjects.Sync(customer), signal.SyncRequest{})
	for _, nc := range []*nats.Conn{cu.nc, w.nc} {
		if err := nc.PublishRequest(subjects.Sync(customer), subjects.State("c1"), []byte(`{"since":0}`)); err != nil {
			t.Fatal(err)
		}
	}
	// The next answer of the same worker comes behind those two.
	ask[signal.SyncResponse](t, cu.nc, subjects.Sync(customer), signal.SyncRequest{})
	ask[router.ListResponse](t, w.nc, subjects.ServiceCallList, router.ListRequest{})
	stream, err := brokertest.JetStream(t, w.nc).Stream(t.Context(), subjects.StreamOut)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(subjects.FilterCall))
	if err != nil {
		t.Fatal(err)
	}
	if len(info.State.Subjects) != 0 {
		t.Errorf("an answer was stored: %v", info.State.Subjects)
	}
}

// TestSyncEnded: an answer names the calls that are over, those too that the
// asker ended himself: his own stop is not in his inbox.
func TestSyncEnded(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	w.route("c1", nil)
	w.route("c2", nil)
	op, cu := w.endpoint(operator), w.endpoint(customer)
	for _, cid := range []string{"c1", "c2"} {
		op.say(signal.Start, cid, "k", nil)
		cu.expect(signal.Start, "k")
	}
	cu.say(signal.Stop, "c1", "k", nil)
	op.expect(signal.Stop, "k")
	page, _ := ask[signal.SyncResponse](t, cu.nc, subjects.Sync(customer), signal.SyncRequest{})
	if len(page.Messages) != 2 || len(page.Ended) != 1 || page.Ended[0].CID != "c1" {
		t.Errorf("%d messages, ended %v; want 2 and the call on c1", len(page.Messages), page.Ended)
	}
	if again, _ := ask[signal.SyncResponse](t, cu.nc, subjects.Sync(customer), signal.SyncRequest{Since: page.Upto + 1000}); again.Upto >= page.Upto+1000 {
		t.Errorf("asked since beyond the end of the stream, answered upto %d", again.Upto)
	}
}

// TestSyncLimited: an identity that asks without end is told to wait, and keeps
// nobody else from asking.
func TestSyncLimited(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	cu, op := w.endpoint(customer), w.endpoint(operator)
	eventually(t, "too many requests are refused", func() bool {
		page, _ := ask[signal.SyncResponse](t, cu.nc, subjects.Sync(customer), signal.SyncRequest{})
		return page.Error != nil && page.Error.Code == signal.CodeRateLimited
	})
	if page, _ := ask[signal.SyncResponse](t, op.nc, subjects.Sync(operator), signal.SyncRequest{}); page.Error != nil {
		t.Errorf("another identity: %+v", page.Error)
	}
}
