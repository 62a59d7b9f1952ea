package provision_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/subjects"
)

// These tests hold the provisioned streams against what the router relies on.

// rig is a provisioned broker with a worker's connection.
type rig struct {
	js       jetstream.JetStream
	out      jetstream.Stream
	timeouts jetstream.Consumer
}

func newRig(t *testing.T) rig {
	t.Helper()
	b := brokertest.Start(t, brokertest.Options{Memory: true})
	js := brokertest.JetStream(t, b.Router(t))
	out, err := js.Stream(t.Context(), subjects.StreamOut)
	if err != nil {
		t.Fatal(err)
	}
	timeouts, err := js.Consumer(t.Context(), subjects.StreamOut, subjects.ConsumerTimeouts)
	if err != nil {
		t.Fatal(err)
	}
	return rig{js, out, timeouts}
}

func message(subject, body string, header ...string) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Data = []byte(body)
	for i := 0; i < len(header); i += 2 {
		m.Header.Set(header[i], header[i+1])
	}
	return m
}

// state is a compare-and-swap write of a call record.
func state(key, body string, last uint64, header ...string) *nats.Msg {
	return message(subjects.State(key), body, append(header, jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))...)
}

func timer(key, body string, at time.Time) *nats.Msg {
	return message(subjects.Timer(key), body,
		"Nats-Schedule", "@at "+at.UTC().Format(time.RFC3339Nano), "Nats-Schedule-Target", subjects.Timeout(key))
}

func cancelHeader(key string) []string {
	return []string{"Nats-Scheduler", subjects.Timer(key), "Nats-Schedule-Next", "purge"}
}

func (r rig) commit(t *testing.T, messages ...*nats.Msg) (uint64, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	ack, err := jetstreamext.PublishMsgBatch(ctx, r.js, messages)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

func (r rig) mustCommit(t *testing.T, messages ...*nats.Msg) uint64 {
	t.Helper()
	seq, err := r.commit(t, messages...)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return seq
}

func (r rig) count(t *testing.T, filter string) int {
	t.Helper()
	info, err := r.out.Info(t.Context(), jetstream.WithSubjectFilter(filter))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range info.State.Subjects {
		n += int(c)
	}
	return n
}

func (r rig) fired(t *testing.T, within time.Duration) (jetstream.Msg, bool) {
	t.Helper()
	m, err := r.timeouts.Next(jetstream.FetchMaxWait(within))
	if errors.Is(err, nats.ErrTimeout) {
		return nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	return m, true
}

func TestAtomicBatchWithTimer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	due := time.Now().Add(300 * time.Millisecond)
	r.mustCommit(t,
		state("c1", "ringing", 0),
		message(subjects.Inbox("1111111111", "start"), "hello"),
		message(subjects.Rejected("bad_signature", "1112223334"), "junk", jetstream.MsgTTLHeader, "1h"),
		timer("c1", "c1 1", due))
	// A stale writer is refused whole.
	_, err := r.commit(t, state("c1", "lost race", 0), message(subjects.Inbox("1111111111", "stop"), "never"))
	var apiErr *jetstream.APIError
	if !errors.As(err, &apiErr) || apiErr.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence {
		t.Errorf("want error 10071, got %v", err)
	}
	if n := r.count(t, subjects.FilterInbox); n != 1 {
		t.Errorf("want 1 inbox message, got %d", n)
	}
	m, ok := r.fired(t, 5*time.Second)
	if !ok {
		t.Fatal("want the timer's message, got none")
	}
	if m.Subject() != subjects.Timeout("c1") || string(m.Data()) != "c1 1" {
		t.Errorf("want c1 1 on %s, got %q on %s", subjects.Timeout("c1"), m.Data(), m.Subject())
	}
	if late := time.Since(due); late < 0 {
		t.Errorf("want the timer not before its time, got it %s early", -late)
	}
	if n := r.count(t, subjects.FilterTimer); n != 0 {
		t.Errorf("want the fired timer gone, got %d", n)
	}
}

func TestTimerIsCancelledInTheBatchThatMakesItMoot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mustCommit(t, timer("c1", "first", time.Now().Add(time.Second)), state("c1", "ringing", 0))
	seq := r.mustCommit(t, timer("c2", "other", time.Now().Add(2*time.Second)), state("c2", "ringing", 0))
	if n := r.count(t, subjects.FilterTimer); n != 2 {
		t.Fatalf("want 2 timers, got %d", n)
	}
	r.mustCommit(t, state("c1", "ended", 2, cancelHeader("c1")...), message(subjects.Inbox("1111111111", "stop"), "bye"))
	// Cancelling and arming anew may share a batch.
	r.mustCommit(t, state("c2", "active", seq, cancelHeader("c2")...), timer("c2", "second", time.Now().Add(1200*time.Millisecond)))
	if n := r.count(t, subjects.FilterTimer); n != 1 {
		t.Errorf("want 1 timer left, got %d", n)
	}
	m, ok := r.fired(t, 5*time.Second)
	if !ok || string(m.Data()) != "second" {
		t.Fatalf("want the second timer of c2 first, got %v", m)
	}
	if m, ok := r.fired(t, 1500*time.Millisecond); ok {
		t.Errorf("want nothing after it, got %q", m.Data())
	}
}

func TestCancellingNoTimerIsHarmless(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mustCommit(t, state("c1", "ended", 0, cancelHeader("c1")...), message(subjects.Inbox("1111111111", "stop"), "bye"))
	if n := r.count(t, ">"); n != 2 {
		t.Errorf("want both messages stored, got %d", n)
	}
}

func TestTimerInThePastFiresAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, ago := range []time.Duration{time.Second, 24 * time.Hour} {
		begin := time.Now()
		r.mustCommit(t, timer("c1", ago.String(), begin.Add(-ago)))
		m, ok := r.fired(t, 5*time.Second)
		if !ok || string(m.Data()) != ago.String() {
			t.Fatalf("%s ago: want the timer's message, got %v", ago, m)
		}
		t.Logf("due %s ago: fired after %s", ago, time.Since(begin).Round(time.Millisecond))
	}
}

func TestInboundRefusesWhatReachesBeyondItsSubject(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Memory: true, Users: []string{"1112223334"}})
	nc := b.Identity(t, "1112223334")
	ask := func(header ...string) string {
		m := message(subjects.Voice("1112223334", "start"), "x", header...)
		reply, err := nc.RequestMsg(m, 5*time.Second)
		if err != nil {
			t.Fatalf("%v: %v", header, err)
		}
		return string(reply.Data)
	}
	for name, header := range map[string][]string{
		"rollup":   {"Nats-Rollup", "all"},
		"schedule": {"Nats-Schedule", "@at 2030-01-01T00:00:00Z", "Nats-Schedule-Target", subjects.Voice("1111111111", "stop")},
		"cancel":   cancelHeader("c1"),
		"ttl":      {"Nats-TTL", "1s"},
		"batch":    {"Nats-Batch-Id", "b", "Nats-Batch-Sequence", "1", "Nats-Batch-Commit", "1"},
	} {
		if got := ask(header...); !strings.Contains(got, `"error"`) {
			t.Errorf("%s: want an error, got %s", name, got)
		}
	}
	if got := ask("Nats-Msg-Id", "1112223334.jti"); strings.Contains(got, `"error"`) {
		t.Errorf("want an ordinary message stored, got %s", got)
	}
}

func TestFlooderFillsOnlyHisOwnSubject(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Memory: true, Users: []string{"1112223334", "1111111111"}})
	flooder := b.Identity(t, "1112223334")
	for range 1000 {
		if err := flooder.Publish(subjects.Voice("1112223334", "start"), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for subject, refused := range map[string]bool{
		subjects.Voice("1112223334", "start"): true,
		subjects.Voice("1112223334", "stop"):  false,
	} {
		reply, err := flooder.Request(subject, []byte("x"), 5*time.Second)
		if err != nil || strings.Contains(string(reply.Data), `"error"`) != refused {
			t.Errorf("%s: want refused %t, got %v, %v", subject, refused, reply, err)
		}
	}
	reply, err := b.Identity(t, "1111111111").Request(subjects.Voice("1111111111", "start"), []byte("x"), 5*time.Second)
	if err != nil || strings.Contains(string(reply.Data), `"error"`) {
		t.Errorf("want another identity served, got %v, %v", reply, err)
	}
}
