package integration

import (
	"testing"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func addressed(to string) func(*signal.Message) {
	return func(m *signal.Message) { m.Recipient = identity.MustID(to) }
}

// TestDirect: what an app sends, and what is sent to one, is passed on with the
// sender's own signature.
func TestDirect(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	op, desk := w.endpoint(operator), w.endpoint(app)

	sent := op.say(signal.Start, "c1", "k1", func(m *signal.Message) {
		m.Recipient, m.PeerInfo, m.Party = identity.MustID(app), "offer", "desk"
		m.Data = []byte(`{"anything":[1,2]}`)
	})
	got := desk.expect(signal.Start, "k1")
	if got.Issuer != sent.Issuer || got.JTI != sent.JTI || got.PeerInfo != "offer" || got.Party != "desk" || string(got.Data) != `{"anything":[1,2]}` {
		t.Errorf("passed on as %+v, want it unchanged", got)
	}
	desk.say(signal.Accept, "c1", "k1", addressed(operator))
	op.expect(signal.Accept, "k1")
}

// TestDirectForbidden: a user may not address a user, in the same words as a
// user may not address nobody.
func TestDirectForbidden(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	op, cu, desk := w.endpoint(operator), w.endpoint(customer), w.endpoint(app)

	op.say(signal.Start, "c1", "k1", addressed(customer))
	user := op.expectError("k1")
	op.say(signal.Start, "c1", "k1", addressed("5555555555"))
	nobody := op.expectError("k1")
	if user.Code != signal.CodeForbidden || user.Code != nobody.Code || user.Detail != nobody.Detail {
		t.Errorf("to a user: %+v, to nobody: %+v, want the same words and forbidden", user, nobody)
	}
	desk.say(signal.Start, "c1", "k2", addressed("5555555555"))
	if f := desk.expectError("k2"); f.Code != signal.CodeUnknownRecipient {
		t.Errorf("an app to nobody: %s, want unknown_recipient", f.Code)
	}
	// The customer heard nothing of all that: the first thing is this.
	desk.say(signal.Setup, "c1", "", addressed(customer))
	cu.expect(signal.Setup, "")
}

// TestDirectOnce: a message stored twice is passed on once, and a start that
// comes behind its own stop goes nowhere.
func TestDirectOnce(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	op, desk := w.endpoint(operator), w.endpoint(app)

	stop := op.claims(signal.Stop, "c1", "k1")
	stop.Recipient = identity.MustID(app)
	payload, err := stop.Encode()
	if err != nil {
		t.Fatal(err)
	}
	envelope := op.id.Key.Sign(payload)
	op.publish("stop", "", envelope) // no Nats-Msg-Id: the broker stores both
	op.publish("stop", "", envelope)
	op.say(signal.Start, "c1", "k1", addressed(app))
	op.say(signal.Start, "c1", "k2", addressed(app))
	desk.expect(signal.Stop, "k1")
	desk.expect(signal.Start, "k2")

	key := subjects.DirectKey("c1", operator, app)
	if s := w.state(key); s.CID != "c1" {
		t.Errorf("record %s is of %q, want c1", key, s.CID)
	}
}
