package router

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// publishAs stores a message whose claims change has had its way with.
func (b *bench) publishAs(from string, typ signal.Type, cid, callID string, change func(*signal.Message)) {
	b.t.Helper()
	b.n++
	now := time.Now()
	m := signal.Message{
		Type: typ, JTI: fmt.Sprint(from, ".", b.n), Issuer: identity.MustID(from), Recipient: identity.MustID(proxy),
		IssuedAt: now, ExpiresAt: now.Add(time.Minute), CID: cid, CallID: callID,
	}
	change(&m)
	payload, err := m.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.js.Publish(b.t.Context(), subjects.Voice(from, string(typ)), b.Get(b.t, from).Key.Sign(payload)); err != nil {
		b.t.Fatal(err)
	}
}

// TestErrorWithoutCID: an error is the one message that may name no conversation.
// One sent to a proxy must not hold up the batch that it shares with others.
func TestErrorWithoutCID(t *testing.T) {
	b := newBench(t)
	w, r := b.worker()
	b.route("c1")
	b.publishAs(customer, signal.Error, "", "", func(*signal.Message) {})
	b.publish(operator, signal.Start, "c1", "k1")
	jobs := b.work(w, r, 2)
	if n := b.stored(subjects.Inbox(customer, string(signal.Start))); n != 1 {
		t.Errorf("a start beside an error without a cid was delivered %d times, want once", n)
	}
	if v := jobs[0].decision; v.Code != signal.CodeUnknownCall && v.Code != signal.CodeWrongRole {
		t.Errorf("an error to a proxy: %v %q, want it refused", v.Verdict, v.Code)
	}
}

// TestStrangerOnStaleRecord: a worker remembers a live call of two sides; the
// call has ended and the conversation got another customer since. Whoever is a
// stranger by the record that the worker remembers may be none by the current.
func TestStrangerOnStaleRecord(t *testing.T) {
	b := newBench(t)
	b.route("c1")
	stale, r1 := b.worker()
	other, r2 := b.worker()
	b.publish(operator, signal.Start, "c1", "k1")
	b.work(stale, r1, 1)
	b.publish(operator, signal.Stop, "c1", "k1")
	b.work(other, r2, 1)

	data, err := call.Route{
		Proxy: identity.MustID(proxy), Operator: identity.MustID(operator), Customer: identity.MustID(newcomer), Start: call.StartBoth,
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(t.Context(), subjects.KVKey(subjects.BucketRoutes, "c1"), data); err != nil {
		t.Fatal(err)
	}
	b.publish(newcomer, signal.Start, "c1", "k2")
	jobs := b.work(stale, r1, 1)
	if v := jobs[0].decision.Verdict; v != call.Applied {
		t.Errorf("start of the new customer: verdict %v %s, want Applied", v, jobs[0].decision.Code)
	}
}

// TestDeferralsWithinBatch: the bound on what one sender may have waiting holds
// within a batch, too.
func TestDeferralsWithinBatch(t *testing.T) {
	b := newBench(t)
	w, r := b.worker()
	const n = 20
	for i := range n {
		cid := fmt.Sprint("c", i%2)
		b.route(cid)
		b.publish(customer, signal.Candidate, cid, fmt.Sprint("k", i))
	}
	jobs := b.work(w, r, n)
	deferred := 0
	for _, j := range jobs {
		if j.decision.Verdict == call.Deferred {
			deferred++
		}
	}
	if deferred != maxDeferredPerIdentity {
		t.Errorf("%d messages of one sender wait, want %d", deferred, maxDeferredPerIdentity)
	}
}

// TestJudgeBackoff: while the directory cannot be read, a message comes back
// less and less often.
func TestJudgeBackoff(t *testing.T) {
	b := newBench(t)
	w, r := b.worker()
	b.publish(operator, signal.Start, "c1", "k1")
	j := b.fetch(r, 1)[0]
	naks := &nakRecorder{message: j.source}
	j.source = naks
	for delivery := 1; delivery <= 8; delivery++ {
		j.event.Delivery, j.fault = delivery, errors.New("no directory")
		if left := w.judgeable(grouped([]*job{j})); len(left) != 0 {
			t.Fatal("judged without a directory")
		}
	}
	if last := naks.delays[7]; last < 2*time.Second {
		t.Errorf("delays %v: want them to grow to seconds", naks.delays)
	}
}

type nakRecorder struct {
	message
	delays []time.Duration
}

func (m *nakRecorder) NakWithDelay(d time.Duration) error {
	m.delays = append(m.delays, d)
	return nil
}

// TestClassify: what the server refuses for a reason that passes is never put
// aside.
func TestClassify(t *testing.T) {
	for code, want := range map[jetstream.ErrorCode]failure{
		10002: starved,   // the account is full
		10109: transient, // the stream is sealed
		10120: transient, // no limits for this tier
		10166: transient, // message TTL is disabled
		10174: transient, // atomic batches are disabled
		10188: transient, // schedules are disabled
		10054: poison,    // too large
		10071: conflict,
		19999: unexplained,
	} {
		if got := classify(&jetstream.APIError{Code: 400, ErrorCode: code}); got != want {
			t.Errorf("code %d: %v, want %v", code, got, want)
		}
	}
	if got := classify(fmt.Errorf("commit: %w", context.DeadlineExceeded)); got != transient {
		t.Errorf("timeout: %v, want transient", got)
	}
}

// TestDirectRecordExpires: anybody makes records of direct conversations, so they
// do not stay as long as the stream keeps calls.
func TestDirectRecordExpires(t *testing.T) {
	b := newBench(t)
	w, r := b.worker()
	b.publishAs(operator, signal.Start, "c1", "k1", func(m *signal.Message) { m.Recipient = identity.MustID(desk) })
	b.work(w, r, 1)
	m, err := msgget.Last(t.Context(), b.nc, subjects.StreamOut, subjects.State(subjects.DirectKey("c1", operator, desk)))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Header.Get(jetstream.MsgTTLHeader); got != directTTL {
		t.Errorf("TTL of the record is %q, want %s", got, directTTL)
	}
}

// TestStopFlood: stops are judged without limit; the answers to those of somebody
// who is on no route are not stored without limit.
func TestStopFlood(t *testing.T) {
	b := newBench(t)
	w, r := b.worker()
	const n, answered = 20, 4
	for i := range n {
		b.publish(newcomer, signal.Stop, fmt.Sprint("c", i), "k1")
	}
	jobs := b.fetch(r, n)
	now := time.Now()
	for _, j := range jobs {
		j.event.At = now // so that the bucket does not fill meanwhile
	}
	verifier{opts: w.opts, metrics: w.metrics, limiter: newLimiter(Limits{Messages: answered / 2, Starts: 1}), log: w.log}.verify(t.Context(), jobs)
	w.settle(t.Context(), grouped(jobs), 1)
	for _, j := range jobs {
		if v := j.decision.Verdict; v != call.Stranger {
			t.Fatalf("verdict %v, want every stop judged", v)
		}
	}
	if got := b.stored(subjects.Inbox(newcomer, string(signal.Error))); got != answered {
		t.Errorf("%d errors stored, want %d", got, answered)
	}
}
