package integration

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
)

// TestUnsigned: with signatures off a call goes through whose messages are not
// signed, or signed by whomever; what arrives says that it is not signed; and who
// the broker admits is still the only one who speaks in that name.
func TestUnsigned(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	var log lockedBuffer
	w.fleet(func(o *router.Options) {
		o.Unsigned = true
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	w.route("c", nil)
	op, cu := w.endpoint(operator), w.endpoint(customer)

	op.publish("start", "", identity.Unsigned(encoded(t, op.claims(signal.Start, "c", "k"))))
	cu.expectUnsigned(signal.Start)
	cu.publish("accept", "", w.Get(t, stranger).Key.Sign(encoded(t, cu.claims(signal.Accept, "c", "k"))))
	op.expectUnsigned(signal.Accept)

	forged := op.claims(signal.Stop, "c", "k")
	forged.Issuer = identity.MustID(customer)
	op.publish("stop", "", identity.Unsigned(encoded(t, forged)))
	if f, ok := op.expectUnsigned(signal.Error).Fault(); !ok || f.Code != signal.CodeWrongIssuer {
		t.Errorf("in the customer's name: %+v, want %s", f, signal.CodeWrongIssuer)
	}
	op.publish("stop", "", identity.Unsigned(encoded(t, op.claims(signal.Stop, "c", "k"))))
	cu.expectUnsigned(signal.Stop)
	if !strings.Contains(log.String(), "SIGNATURES ARE OFF") {
		t.Errorf("the log does not say so:\n%s", log.String())
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestUnsignedRefused: without that option nothing unsigned passes.
func TestUnsignedRefused(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	w.route("c", nil)
	op, cu := w.endpoint(operator), w.endpoint(customer)
	op.publish("start", "", identity.Unsigned(encoded(t, op.claims(signal.Start, "c", "unsigned"))))
	op.say(signal.Start, "c", "signed", nil)
	cu.expect(signal.Start, "signed")
}

func encoded(t testing.TB, m signal.Message) []byte {
	t.Helper()
	payload, err := m.Encode()
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return payload
}

// expectUnsigned returns the next live message, which must not be signed.
func (e *endpoint) expectUnsigned(typ signal.Type) signal.Message {
	e.w.t.Helper()
	raw, err := e.live.NextMsg(10 * time.Second)
	if err != nil {
		e.w.t.Fatalf("%s: nothing arrived: %v", e.id.ID, err)
	}
	if _, err := identity.ParseEnvelope(raw.Data); !errors.Is(err, identity.ErrAlgorithm) {
		e.w.t.Fatalf("%s: read as if it were signed: %v", e.id.ID, err)
	}
	envelope, err := identity.ParseUnverified(raw.Data)
	if err != nil {
		e.w.t.Fatalf("%s: %v", e.id.ID, err)
	}
	m, err := signal.Decode(envelope.Payload)
	if err != nil || m.Type != typ {
		e.w.t.Fatalf("%s: got %+v, %v, want %s", e.id.ID, m, err, typ)
	}
	return m
}
