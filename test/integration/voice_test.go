package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/voice"
)

// phone is an identity that speaks through the SDK.
type phone struct {
	*voice.Voice
	t    testing.TB
	line cable
	got  chan voice.Message
}

func (w *world) phone(name, party string) *phone {
	w.t.Helper()
	i := w.Get(w.t, name)
	p := &phone{t: w.t, got: make(chan voice.Message, 4096)}
	client, err := voice.Connect(w.t.Context(), voice.Options{
		URL: w.URL(), SelfID: name, Party: party, Role: i.Record.Role, SigningKey: i.Key,
		NATSOptions: append(i.Options(), nats.SetCustomDialer(&p.line), nats.ReconnectWait(10*time.Millisecond)),
		Logger:      testLogger(w.t),
	})
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	w.t.Cleanup(func() { _ = client.Close(context.Background()) })
	p.Voice = client.Voice()
	p.OnMessage(func(_ context.Context, m voice.Message) error {
		p.got <- m
		return nil
	})
	return p
}

// hears returns the next message, which must be of this type and call.
func (p *phone) hears(typ signal.Type, callID string) voice.Message {
	p.t.Helper()
	select {
	case m := <-p.got:
		if m.Type != typ || m.CallID != callID {
			p.t.Fatalf("got %s %s %s %s, want %s %s", m.Type, m.CallID, m.Reason, m.Data, typ, callID)
		}
		return m
	case <-time.After(20 * time.Second):
		p.t.Fatalf("got nothing in 20 s, want %s %s", typ, callID)
		return voice.Message{}
	}
}

func (p *phone) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// cable is a dialer whose connections can be cut.
type cable struct {
	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

func (c *cable) Dial(network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		return nil, io.ErrClosedPipe
	}
	conn, err := net.Dial(network, address)
	if err == nil {
		c.conns = append(c.conns, conn)
	}
	return conn, err
}

func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = cut
	if cut {
		for _, conn := range c.conns {
			_ = conn.Close()
		}
		c.conns = nil
	}
}

// TestVoiceMaskedCall plays a call with two devices at the customer through the
// SDK.
func TestVoiceMaskedCall(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	w.route("c1", nil)
	op, cell, tablet := w.phone(operator, "desk"), w.phone(customer, "cell"), w.phone(customer, "tablet")

	op.must(op.Start(proxy, "c1", "k1", "offer", map[string]any{"media": "audio"}))
	for _, p := range []*phone{cell, tablet} {
		if m := p.hears(signal.Start, "k1"); m.PeerInfo != "offer" || m.Issuer.String() != proxy {
			t.Errorf("start: peer_info %q from %s", m.PeerInfo, m.Issuer)
		}
		p.must(p.Ringing(proxy, "c1", "k1"))
	}
	op.hears(signal.Ringing, "k1")
	op.must(op.Candidate(proxy, "c1", "k1", "from-op"))
	cell.hears(signal.Candidate, "k1")
	tablet.hears(signal.Candidate, "k1")

	cell.must(cell.Accept(proxy, "c1", "k1", "answer", nil))
	op.hears(signal.Accept, "k1")
	if m := tablet.hears(signal.Stop, "k1"); m.Reason != signal.AnsweredElsewhere {
		t.Errorf("tablet: stop with reason %q, want answered_elsewhere", m.Reason)
	}
	cell.must(cell.Candidate(proxy, "c1", "k1", "from-cell"))
	op.hears(signal.Candidate, "k1")
	op.must(op.Update(proxy, "c1", "k1", "hold", nil))
	cell.hears(signal.Update, "k1") // and not the stop for the other devices
	op.must(op.StopWithReason(proxy, "c1", "k1", signal.ICETimeout))
	if m := cell.hears(signal.Stop, "k1"); m.Reason != signal.ICETimeout {
		t.Errorf("cell: stop with reason %q, want ice_timeout", m.Reason)
	}
}

// TestVoiceHearsWhyItWasRefused sends a start that the route does not allow.
func TestVoiceHearsWhyItWasRefused(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	w.route("c1", nil)
	cu := w.phone(customer, "")
	faults := make(chan signal.Fault, 1)
	cu.OnMessage(nil)
	cu.OnError(func(_, _, _ string, f signal.Fault) { faults <- f })
	m := signal.Message{Type: signal.Start, JTI: "mine", Recipient: w.Get(t, proxy).ID, CID: "c1", CallID: "k1"}
	cu.must(cu.Send(t.Context(), m))
	select {
	case f := <-faults:
		if f.Code != signal.CodeForbidden || f.Ref != "mine" {
			t.Errorf("got %+v, want forbidden about mine", f)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no error message in 10 s")
	}
}

// TestVoiceColdStart connects devices while calls go on and after they ended.
func TestVoiceColdStart(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	w.route("c1", nil)
	w.route("c2", nil)
	op := w.phone(operator, "")
	first := w.phone(customer, "first")
	op.must(op.Start(proxy, "c1", "ended", "offer", nil))
	first.hears(signal.Start, "ended")
	op.must(op.Stop(proxy, "c1", "ended"))
	first.hears(signal.Stop, "ended")
	op.must(op.Start(proxy, "c2", "rings", "offer", nil))
	first.hears(signal.Start, "rings")

	second := w.phone(customer, "second")
	second.hears(signal.Start, "rings")
	second.must(second.Accept(proxy, "c2", "rings", "answer", nil))
	op.hears(signal.Accept, "rings")
}

// TestVoiceMissesNothing cuts the customer's line and replaces the router again
// and again while the operator trickles candidates.
func TestVoiceMissesNothing(t *testing.T) {
	const rounds, each = 6, 25
	w := newWorld(t, brokertest.Options{})
	stop := w.fleet(nil)
	w.route("c1", func(r *call.Route) { r.Start = call.StartBoth })
	op, cu := w.phone(operator, ""), w.phone(customer, "")
	op.must(op.Start(proxy, "c1", "k1", "offer", nil))
	cu.hears(signal.Start, "k1")
	cu.must(cu.Accept(proxy, "c1", "k1", "answer", nil))
	op.hears(signal.Accept, "k1")

	for round := range rounds {
		cu.line.set(round%2 == 0)
		if round%3 == 1 {
			stop()
		}
		for i := range each {
			if i == each/2 {
				cu.line.set(false)
			}
			op.must(op.Candidate(proxy, "c1", "k1", fmt.Sprintf("%d", round*each+i)))
		}
		if round%3 == 1 {
			stop = w.fleet(nil)
		}
	}
	op.must(op.Stop(proxy, "c1", "k1"))
	seen := map[string]bool{}
	for len(seen) < rounds*each {
		m := cu.hears(signal.Candidate, "k1")
		if seen[m.PeerInfo] {
			t.Fatalf("candidate %s was handed over twice", m.PeerInfo)
		}
		seen[m.PeerInfo] = true
	}
	cu.hears(signal.Stop, "k1")
}
