package brokertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestMain(m *testing.M) {
	ats.Register()
	m.Run()
}

// TestHoursPassInABubble shows that a broker in process lives on the clock of
// testing/synctest.
func TestHoursPassInABubble(t *testing.T) {
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		b := brokertest.Start(t, brokertest.Options{InProcess: true, Memory: true})
		js := brokertest.JetStream(t, b.Router(t))
		due := time.Now().Add(3 * time.Hour)
		timer := nats.NewMsg(subjects.Timer("c1"))
		timer.Header.Set("Nats-Schedule", "@at "+due.UTC().Format(time.RFC3339Nano))
		timer.Header.Set("Nats-Schedule-Target", subjects.Timeout("c1"))
		if _, err := js.PublishMsg(t.Context(), timer); err != nil {
			t.Fatal(err)
		}
		c, err := js.Consumer(t.Context(), subjects.StreamOut, subjects.ConsumerTimeouts)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next(jetstream.FetchMaxWait(4 * time.Hour)); err != nil {
			t.Fatalf("want the timer's message, got %v", err)
		}
		if late := time.Since(due); late < 0 || late > time.Second {
			t.Errorf("want it when it is due, got it %s late", late)
		}
	})
	t.Logf("3 hours took %s", time.Since(began).Round(time.Millisecond))
}
