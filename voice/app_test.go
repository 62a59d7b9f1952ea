package voice_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/voice"
)

// fromOperator commits a message of the operator for the app.
func (r *relay) fromOperator(typ signal.Type, call string) uint64 {
	r.tb.Helper()
	m := message(typ, proxy, "cid-"+call, call)
	m.Issuer = identity.MustID(operator)
	return r.commitSigned(m, r.broker.Get(r.tb, operator).Key)
}

// unacked returns how many deliveries of the app's durable are not acknowledged,
// and how many messages it has not delivered.
func (r *relay) unacked() (pending int, waiting uint64) {
	r.tb.Helper()
	js := brokertest.JetStream(r.tb, r.broker.Admin(r.tb))
	cons, err := js.Consumer(r.tb.Context(), subjects.StreamOut, subjects.AppConsumer(proxy))
	if err != nil {
		r.tb.Fatal(err)
	}
	info := cons.CachedInfo()
	return info.NumAckPending, info.NumPending
}

// eventually waits until what is true.
func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("not within 10 s: %s", what)
		}
	}
}

func TestAppConsumesAndAcknowledges(t *testing.T) {
	r := newRelay(t)
	r.fromOperator(signal.Start, "c0")
	got := record(connect(t, r.options(proxy)))
	got.want(t, "start c0")
	for i := range 10 {
		call := fmt.Sprintf("c%d", i)
		r.fromOperator(signal.Stop, call)
		got.want(t, "stop "+call)
	}
	eventually(t, "everything is acknowledged", func() bool {
		pending, waiting := r.unacked()
		return pending == 0 && waiting == 0
	})
}

func TestAppAcknowledgesAfterTheHandler(t *testing.T) {
	r := newRelay(t)
	client := connect(t, r.options(proxy))
	entered, leave := make(chan struct{}), make(chan struct{})
	client.Voice().OnStart(func(string, string, string, string, interface{}) {
		close(entered)
		<-leave
	})
	r.fromOperator(signal.Start, "c1")
	<-entered
	if pending, _ := r.unacked(); pending != 1 {
		t.Errorf("got %d unacknowledged messages while the handler runs, want 1", pending)
	}
	close(leave)
	eventually(t, "the message is acknowledged", func() bool {
		pending, _ := r.unacked()
		return pending == 0
	})
}

func TestAppGetsAMessageAgainAfterAnError(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	tries := make(chan uint64, 10)
	first := true
	connect(t, r.options(proxy)).Voice().OnMessage(func(_ ctx, m voice.Message) error {
		tries <- m.Seq
		if first {
			first = false
			return errors.New("not now")
		}
		return nil
	})
	want := r.fromOperator(signal.Start, "c1")
	for range 2 {
		select {
		case got := <-tries:
			if got != want {
				t.Fatalf("got message %d, want %d", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the message does not come again")
		}
	}
}

func TestAppStandbyTakesOver(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	var line cable
	options := r.options(proxy)
	options.NATSOptions = append(options.NATSOptions, dialer(&line))
	active := connect(t, options)
	entered, leave := make(chan string, 10), make(chan struct{})
	active.Voice().OnMessage(func(_ ctx, m voice.Message) error {
		entered <- m.CallID
		<-leave
		return nil
	})
	r.fromOperator(signal.Start, "c1")
	<-entered
	standby := record(connect(t, r.options(proxy)))

	line.set(true) // the active one is gone, half way through c1
	defer close(leave)
	began := time.Now()
	r.fromOperator(signal.Start, "c2")
	got := map[string]bool{standby.next(t).CallID: true, standby.next(t).CallID: true}
	if !got["c1"] || !got["c2"] {
		t.Errorf("got calls %v at the standby, want c1 and c2", got)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the standby took over after %v, want seconds", took)
	}
	select {
	case call := <-entered:
		t.Errorf("the dead process got %s", call)
	default:
	}
}

func TestAppWaitsForItsConsumer(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	js := brokertest.JetStream(t, r.broker.Admin(t))
	stream, err := js.Stream(t.Context(), subjects.StreamOut)
	if err != nil {
		t.Fatal(err)
	}
	cons, err := stream.Consumer(t.Context(), subjects.AppConsumer(proxy))
	if err != nil {
		t.Fatal(err)
	}
	config := cons.CachedInfo().Config
	if err := stream.DeleteConsumer(t.Context(), config.Durable); err != nil {
		t.Fatal(err)
	}
	got := record(connect(t, r.options(proxy)))
	r.fromOperator(signal.Start, "c1")
	if _, err := stream.CreateConsumer(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	got.want(t, "start c1")

	// Deleted under a running client, and made anew: it is taken up again, and
	// what was handled is not handled again.
	if err := stream.DeleteConsumer(t.Context(), config.Durable); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.CreateConsumer(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	r.fromOperator(signal.Stop, "c1")
	got.want(t, "stop c1")
}
