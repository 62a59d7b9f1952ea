package voice_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/voice"
)

func TestCloseWaitsForHandlers(t *testing.T) {
	r := newRelay(t)
	client := connect(t, r.options(customer))
	entered, leave := make(chan struct{}), make(chan struct{})
	sent := make(chan error, 1)
	client.Voice().OnStart(func(iss, cid, callID, _ string, _ interface{}) {
		close(entered)
		<-leave
		sent <- client.Voice().Busy(iss, cid, callID) // sends work while draining
	})
	r.commit(message(signal.Start, customer, "cid", "c1"))
	<-entered
	result := make(chan error, 1)
	go func() { result <- client.Close(done()) }()
	select {
	case err := <-result:
		t.Fatalf("close returned %v while a handler runs", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(leave)
	if err := <-result; err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-sent; err != nil {
		t.Errorf("send while closing: %v", err)
	}
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	r := newRelay(t)
	client := connect(t, r.options(customer))
	entered, ended := make(chan struct{}), make(chan struct{})
	client.Voice().OnMessage(func(ctx ctx, _ voice.Message) error {
		close(entered)
		<-ctx.Done()
		close(ended)
		return nil
	})
	r.commit(message(signal.Start, customer, "cid", "c1"))
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := client.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the error of the context", err)
	}
	<-ended
}

func TestPanicIsContained(t *testing.T) {
	r := newRelay(t)
	client, _ := r.listening(r.options(customer))
	stopped := make(chan struct{})
	client.Voice().OnMessage(nil)
	client.Voice().OnStart(func(string, string, string, string, interface{}) { panic("secret") })
	client.Voice().OnStop(func(string, string, string) { close(stopped) })
	r.commit(message(signal.Start, customer, "cid", "c1"))
	r.commit(message(signal.Stop, customer, "cid", "c1"))
	select {
	case <-stopped:
	case <-time.After(5 * time.Second):
		t.Fatal("nothing is handed over after a panic")
	}
}

func TestConnectSaysAllThatIsWrong(t *testing.T) {
	_, err := voice.Connect(t.Context(), voice.Options{SelfID: "not an id", Role: "admin", Party: "a b", Lifetime: -1})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"SelfID", "SigningKey", "Role", "Party", "Lifetime"} {
		if !contains(err.Error(), want) {
			t.Errorf("got %q, want it to name %s", err, want)
		}
	}
}

func TestConnectObeysItsContext(t *testing.T) {
	key, err := identity.GenerateKey("1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = voice.Connect(t.Context(), voice.Options{URL: "nats://user:secret@127.0.0.1:1", SelfID: customer, SigningKey: key})
	if err == nil || contains(err.Error(), "secret") {
		t.Errorf("got %v, want an error without the password", err)
	}
}
