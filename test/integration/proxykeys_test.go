package integration

import (
	"context"
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestNoProxyKey: a worker that lacks the key of a proxy does not take the calls
// through it for direct messages. It says what is wrong, and leaves them to the
// workers that have the key.
func TestNoProxyKey(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.route("c1", nil)
	keyless, err := router.New(router.Options{Conn: w.Router(t), Priority: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- keyless.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	op, cu := w.endpoint(operator), w.endpoint(customer)
	eventually(t, "the worker is ready", func() bool { return keyless.Ready() == nil })
	op.say(signal.Start, "c1", "k1", nil)
	eventually(t, "the worker says which key it lacks", func() bool {
		err := keyless.Ready()
		return err != nil && strings.Contains(err.Error(), "proxy "+proxy)
	})
	w.fleet(func(o *router.Options) { o.Priority = 2 })
	cu.expect(signal.Start, "k1")
	stream, err := brokertest.JetStream(t, w.nc).Stream(t.Context(), subjects.StreamOut)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.GetLastMsgForSubject(t.Context(), subjects.Inbox(proxy, string(signal.Start))); err == nil {
		t.Error("the start lies in the inbox of the proxy, which nobody reads")
	}
}

// TestWrongProxyKey: a worker whose key is not the proxy's refuses to run, and so
// does one whose proxy nobody knows or is no app.
func TestWrongProxyKey(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	for name, want := range map[string]string{proxy: "is not the one in the directory", "nobody": "is not in the directory", operator: "no app"} {
		t.Run(name, func(t *testing.T) {
			r, err := router.New(router.Options{Conn: w.Router(t), Proxies: map[identity.ID]identity.PrivateKey{
				identity.MustID(name): w.Get(t, customer).Key,
			}})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error that says %q", err, want)
			}
		})
	}
}
