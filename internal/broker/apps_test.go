package broker_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestAppDrainsItsDurableAcrossTheWall(t *testing.T) {
	t.Parallel()
	b := start(t)
	ctx := t.Context()
	router := brokertest.JetStream(t, b.Router(t))
	for _, body := range []string{"one", "two"} {
		if _, err := router.Publish(ctx, subjects.Inbox(proxy, "start"), []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	app := brokertest.JetStream(t, b.Identity(t, proxy))
	c, err := app.Consumer(ctx, subjects.StreamOut, subjects.AppConsumer(proxy))
	if err != nil {
		t.Fatalf("want the durable's description, got %v", err)
	}
	messages, err := c.Messages(jetstream.PullPriorityGroup(subjects.GroupApp), jetstream.PullExpiry(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	for _, want := range []string{"one", "two"} {
		m, err := messages.Next(jetstream.NextMaxWait(5 * time.Second))
		if err != nil {
			t.Fatalf("want %q, got %v", want, err)
		}
		if string(m.Data()) != want {
			t.Errorf("want %q, got %q", want, m.Data())
		}
		if err := m.DoubleAck(ctx); err != nil {
			t.Errorf("ack %q: %v", want, err)
		}
	}
	info, err := c.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if info.NumAckPending != 0 || info.NumPending != 0 {
		t.Errorf("want everything acknowledged, got %d unacknowledged and %d pending", info.NumAckPending, info.NumPending)
	}
	nc, seen := violations(t, as(b, proxy))
	for _, subject := range []string{
		subjects.RequestNext(subjects.StreamOut, subjects.AppConsumer("other")),
		subjects.RequestConsumerInfo(subjects.StreamOut, subjects.AppConsumer("other")),
		"$JS.ACK." + subjects.StreamOut + ".app-other.1.1.1.1.1",
		"$JS.API.CONSUMER.CREATE." + subjects.StreamOut + ".x",
	} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, seen, subject)
	}
}

// TestPinPassesOn shows that another client of an app takes over soon after the
// pinned one is gone.
func TestPinPassesOn(t *testing.T) {
	t.Parallel()
	b := start(t)
	ctx := t.Context()
	router := brokertest.JetStream(t, b.Router(t))
	got := make(chan string, 8)
	consume := func(name string) *nats.Conn {
		nc := b.Identity(t, proxy)
		c, err := brokertest.JetStream(t, nc).Consumer(ctx, subjects.StreamOut, subjects.AppConsumer(proxy))
		if err != nil {
			t.Fatal(err)
		}
		cc, err := c.Consume(func(m jetstream.Msg) {
			_ = m.Ack()
			got <- name
		}, jetstream.PullPriorityGroup(subjects.GroupApp), jetstream.PullExpiry(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cc.Stop)
		return nc
	}
	publish := func() {
		if _, err := router.Publish(ctx, subjects.Inbox(proxy, "start"), nil); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string, within time.Duration) {
		t.Helper()
		select {
		case name := <-got:
			if name != want {
				t.Fatalf("want the message at client %s, got it at %s", want, name)
			}
		case <-time.After(within):
			t.Fatalf("want the message at client %s within %s, got none", want, within)
		}
	}
	first := consume("first")
	publish()
	expect("first", 5*time.Second)
	consume("second")
	for range 3 {
		publish()
		expect("first", 5*time.Second)
	}
	first.Close()
	begin := time.Now()
	// What the server sends before it notices the close waits for the ack wait.
	// What comes later does not: publish until something arrives.
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for waiting := true; waiting; {
		select {
		case name := <-got:
			if name != "second" {
				t.Fatalf("want the message at client second, got it at %s", name)
			}
			waiting = false
		case <-again.C:
			publish()
			if took := time.Since(begin); took > provision.AppPinnedTTL+5*time.Second {
				t.Fatalf("want the second client to take over within %s, got nothing after %s", provision.AppPinnedTTL, took)
			}
		}
	}
	t.Logf("the second client took over after %s", time.Since(begin).Round(time.Millisecond))
}
