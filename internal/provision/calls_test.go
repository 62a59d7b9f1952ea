package provision_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/subjects"
)

// live returns how many calls the counting consumer says are live, and how many
// timers there are.
func (r rig) live(t testing.TB) (counted, timers int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := r.js.Consumer(ctx, subjects.StreamOut, subjects.ConsumerCalls)
	if err != nil {
		t.Fatal(err)
	}
	info, err := r.out.Info(ctx, jetstream.WithSubjectFilter(subjects.FilterTimer))
	if err != nil {
		t.Fatal(err)
	}
	if n := c.CachedInfo().NumAckPending; n != 0 {
		t.Errorf("%d messages pending acknowledgement, want none", n)
	}
	return int(c.CachedInfo().NumPending), len(info.State.Subjects)
}

func (r rig) expectLive(t testing.TB, when string, want int) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		counted, timers := r.live(t)
		if counted == want && timers == want {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: counted %d, timers %d, want %d", when, counted, timers, want)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// each commits what write returns for the calls from up to to, many to a batch.
func (r rig) each(t *testing.T, from, to int, write func(key string) []*nats.Msg) {
	t.Helper()
	var batch []*nats.Msg
	for i := from; i < to; i++ {
		batch = append(batch, write("c"+strconv.Itoa(i))...)
		if len(batch) > 600 || i == to-1 {
			r.mustCommit(t, batch...)
			batch = nil
		}
	}
}

// TestCallsAreCounted: what is pending for the consumer that counts calls is the
// number of timers, whatever happens to them.
func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	const calls = 3000
	dir := t.TempDir()
	b := brokertest.Start(t, brokertest.Options{Dir: dir})
	open := func() rig {
		js := brokertest.JetStream(t, b.Router(t))
		out, err := js.Stream(t.Context(), subjects.StreamOut)
		if err != nil {
			t.Fatal(err)
		}
		return rig{js: js, out: out}
	}
	r := open()
	far := time.Now().Add(time.Hour)
	r.each(t, 0, calls, func(key string) []*nats.Msg {
		return []*nats.Msg{message(subjects.State(key), "ringing"), message(subjects.Inbox("1", "start"), "x"), timer(key, "1", far)}
	})
	r.expectLive(t, "started", calls)
	r.each(t, 0, calls, func(key string) []*nats.Msg {
		return []*nats.Msg{message(subjects.State(key), "active"), timer(key, "2", far.Add(time.Minute))}
	})
	r.expectLive(t, "timers replaced", calls)
	r.each(t, 0, 1000, func(key string) []*nats.Msg {
		return []*nats.Msg{message(subjects.State(key), "ended", cancelHeader(key)...)}
	})
	r.expectLive(t, "timers purged", calls-1000)
	r.each(t, 1000, 1500, func(key string) []*nats.Msg {
		return []*nats.Msg{message(subjects.State(key), "active"), timer(key, "3", time.Now())}
	})
	r.expectLive(t, "timers fired", calls-1500)

	b.Shutdown()
	b = brokertest.Start(t, brokertest.Options{Dir: dir, Bare: true})
	r = open()
	r.expectLive(t, "restarted", calls-1500)
	r.each(t, 1500, 2000, func(key string) []*nats.Msg {
		return []*nats.Msg{message(subjects.State(key), "ended", cancelHeader(key)...)}
	})
	r.expectLive(t, "timers purged after the restart", calls-2000)
}

// TestFleetOfAnOlderVersion: routers do without the consumer that counts calls;
// provisioning makes it.
func TestFleetOfAnOlderVersion(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Memory: true})
	js := brokertest.JetStream(t, b.Admin(t))
	if err := js.DeleteConsumer(t.Context(), subjects.StreamOut, subjects.ConsumerCalls); err != nil {
		t.Fatal(err)
	}
	if err := provision.Verify(t.Context(), js, provision.Options{}); err != nil {
		t.Errorf("verify: want no error, got %v", err)
	}
	report, err := provision.Ensure(t.Context(), js, provision.Options{})
	if err != nil || len(report.Created) != 1 || report.Created[0] != "consumer calls of VOICE_OUT" {
		t.Errorf("want the consumer created, got %+v, %v", report, err)
	}
}
