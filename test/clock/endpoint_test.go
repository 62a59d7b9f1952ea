package clock

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// endpoint is an identity on a raw connection: what it hears is what the server
// sends, when it sends it.
type endpoint struct {
	w    *world
	id   brokertest.Identity
	nc   *nats.Conn
	live *nats.Subscription
	n    int
}

// heard is a message and when it was heard.
type heard struct {
	signal.Message
	at time.Time
}

func (w *world) endpoint(name string) *endpoint {
	w.t.Helper()
	nc := w.Identity(w.t, name)
	live, err := nc.SubscribeSync(subjects.LiveAll(name))
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		w.t.Fatalf("%s: subscribe: %v", name, err)
	}
	return &endpoint{w: w, id: w.Get(w.t, name), nc: nc, live: live}
}

// sign returns a message of this endpoint to the proxy, issued now and valid for
// a minute.
func (e *endpoint) sign(typ signal.Type, cid, callID string) *nats.Msg {
	e.w.t.Helper()
	e.n++
	now := time.Now()
	jti := fmt.Sprint(e.id.ID, "-", e.n)
	payload, err := signal.Message{
		Type: typ, JTI: jti, Issuer: e.id.ID, Recipient: identity.MustID(proxy),
		IssuedAt: now, ExpiresAt: now.Add(time.Minute), CID: cid, CallID: callID,
	}.Encode()
	if err != nil {
		e.w.t.Fatalf("encode: %v", err)
	}
	m := nats.NewMsg(subjects.Voice(e.id.ID.String(), string(typ)))
	m.Header.Set(nats.MsgIdHdr, signal.MsgID(e.id.ID, jti))
	m.Data = e.id.Key.Sign(payload)
	return m
}

// publish stores a message in the inbound stream and returns when the broker has
// acknowledged it.
func (e *endpoint) publish(m *nats.Msg) {
	e.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reply, err := e.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		e.w.t.Fatalf("%s: publish: %v", e.id.ID, err)
	}
	var ack struct{ Stream string }
	if err := json.Unmarshal(reply.Data, &ack); err != nil || ack.Stream != subjects.StreamIn {
		e.w.t.Fatalf("%s: publish: answer %s, error %v", e.id.ID, reply.Data, err)
	}
}

// say sends one message of a call to the proxy and returns when the broker has
// it.
func (e *endpoint) say(typ signal.Type, cid, callID string) time.Time {
	e.w.t.Helper()
	e.publish(e.sign(typ, cid, callID))
	return time.Now()
}

// hear returns the next message that arrives within some time.
func (e *endpoint) hear(within time.Duration) (heard, bool) {
	e.w.t.Helper()
	raw, err := e.live.NextMsg(within)
	if err != nil {
		return heard{}, false
	}
	at := time.Now()
	envelope, err := identity.ParseEnvelope(raw.Data)
	if err == nil {
		var m signal.Message
		if m, err = signal.Decode(envelope.Payload); err == nil {
			return heard{m, at}, true
		}
	}
	e.w.t.Fatalf("%s: %v", e.id.ID, err)
	return heard{}, false
}

// expect returns the next message, which must be of this type and call and
// arrive within some time.
func (e *endpoint) expect(typ signal.Type, callID string, within time.Duration) heard {
	e.w.t.Helper()
	m, ok := e.hear(within)
	if !ok {
		e.w.t.Fatalf("%s: nothing within %s, want %s %s", e.id.ID, within, typ, callID)
	}
	if m.Type != typ || m.CallID != callID {
		e.w.t.Fatalf("%s: got %s %s %s %s, want %s %s", e.id.ID, m.Type, m.CallID, m.Reason, m.Data, typ, callID)
	}
	return m
}

// stopped expects a stop for this reason.
func (e *endpoint) stopped(callID string, reason signal.Reason, within time.Duration) heard {
	e.w.t.Helper()
	m := e.expect(signal.Stop, callID, within)
	if m.Reason != reason {
		e.w.t.Errorf("%s: stop %s, want %s", e.id.ID, m.Reason, reason)
	}
	return m
}

// refused expects an error with this code.
func (e *endpoint) refused(code signal.Code, callID string, within time.Duration) heard {
	e.w.t.Helper()
	m := e.expect(signal.Error, callID, within)
	if f, ok := m.Fault(); !ok || f.Code != code {
		e.w.t.Errorf("%s: refused with %s, want %s", e.id.ID, m.Data, code)
	}
	return m
}

// quiet fails the test if anything arrives within some time.
func (e *endpoint) quiet(d time.Duration) {
	e.w.t.Helper()
	if m, ok := e.hear(d); ok {
		e.w.t.Errorf("%s: got %s %s %s %s, want nothing", e.id.ID, m.Type, m.CallID, m.Reason, m.Data)
	}
}

// stops counts the stops that have arrived, by conversation; every conversation
// that anything was heard of is in it.
func (e *endpoint) stops() map[string]int {
	e.w.t.Helper()
	n := map[string]int{}
	for m, ok := e.hear(time.Second); ok; m, ok = e.hear(time.Second) {
		n[m.CID] += 0
		if m.Type == signal.Stop {
			n[m.CID]++
		}
	}
	return n
}
