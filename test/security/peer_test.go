package security

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// peer is an identity on a raw connection.
type peer struct {
	a     *arena
	id    brokertest.Identity
	nc    *nats.Conn
	live  *nats.Subscription
	inbox *nats.Subscription // everything below its own reply prefix
	errs  chan error         // what the server says of this connection
}

func (a *arena) peer(name string) *peer {
	a.t.Helper()
	p := &peer{a: a, id: a.Get(a.t, name), errs: make(chan error, 256)}
	p.nc = a.Identity(a.t, name, report(p.errs), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	var err error
	if p.live, err = p.nc.SubscribeSync(subjects.LiveAll(name)); err == nil {
		if p.inbox, err = p.nc.SubscribeSync(subjects.InboxPrefix(name) + ".>"); err == nil {
			err = p.nc.Flush()
		}
	}
	if err != nil {
		a.t.Fatalf("%s: subscribe: %v", name, err)
	}
	return p
}

// report sends what the server says of a connection to a channel.
func report(errs chan<- error) nats.Option {
	return nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { errs <- err })
}

// claims returns a valid message to the proxy.
func (p *peer) claims(typ signal.Type, cid, callID string) signal.Message {
	now := time.Now()
	return signal.Message{
		Type: typ, JTI: fmt.Sprintf("%s-%d-%d", p.id.ID, p.a.sent.Add(1), now.UnixNano()),
		Issuer: p.id.ID, Recipient: identity.MustID(proxy),
		IssuedAt: now, ExpiresAt: now.Add(time.Minute), CID: cid, CallID: callID,
	}
}

// sign returns the bytes of a message in the name of this peer.
func (p *peer) sign(m signal.Message) []byte {
	p.a.t.Helper()
	payload, err := m.Encode()
	if err != nil {
		p.a.t.Fatal(err)
	}
	return p.id.Key.Sign(payload)
}

// say sends one message and returns its bytes.
func (p *peer) say(typ signal.Type, cid, callID string, change func(*signal.Message)) []byte {
	p.a.t.Helper()
	m := p.claims(typ, cid, callID)
	if change != nil {
		change(&m)
	}
	data := p.sign(m)
	if ack := p.request(subjects.Voice(p.id.ID.String(), string(typ)), data, nil); ack.Stream != subjects.StreamIn || ack.Error != nil {
		p.a.t.Fatalf("%s: %s: answer %+v", p.id.ID, typ, ack)
	}
	return data
}

// puback is what the broker answers to a message.
type puback struct {
	Stream    string `json:"stream"`
	Seq       uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
	Error     *struct {
		Code        int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

func (p *peer) request(subject string, data []byte, header nats.Header) (ack puback) {
	p.a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := p.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: subject, Data: data, Header: header})
	if err != nil {
		p.a.t.Fatalf("%s: request %s: %v", p.id.ID, subject, err)
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		p.a.t.Fatalf("%s: request %s: answer %s", p.id.ID, subject, reply.Data)
	}
	return ack
}

// raw returns the next live message as it came.
func (p *peer) raw() *nats.Msg {
	p.a.t.Helper()
	m, err := p.live.NextMsg(patience)
	if err != nil {
		p.a.t.Fatalf("%s: nothing arrived: %v", p.id.ID, err)
	}
	return m
}

// next returns the next live message.
func (p *peer) next() signal.Message {
	p.a.t.Helper()
	m := p.raw()
	envelope, err := identity.ParseEnvelope(m.Data)
	if err == nil {
		var claims signal.Message
		if claims, err = signal.Decode(envelope.Payload); err == nil {
			return claims
		}
	}
	p.a.t.Fatalf("%s: got %s %v %.200q: %v", p.id.ID, m.Subject, m.Header, m.Data, err)
	return signal.Message{}
}

// expect returns the next live message, which must be of this type and call.
func (p *peer) expect(typ signal.Type, callID string) signal.Message {
	p.a.t.Helper()
	m := p.next()
	if m.Type != typ || m.CallID != callID {
		p.a.t.Fatalf("%s: got %s %s %s %s %.100q, want %s %s", p.id.ID, m.Type, m.CallID, m.Reason, m.Data, m.PeerInfo, typ, callID)
	}
	return m
}

// freePort returns a port that nobody listens on, so that a server can be
// started again where it was.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// resealed changes claims of a signed message and leaves the signature.
func resealed(a *arena, data []byte, change func(map[string]any)) []byte {
	a.t.Helper()
	payload, members := reclaimed(a, data, change)
	members.Payload = base64.RawURLEncoding.EncodeToString(payload)
	return members.bytes()
}

// resigned changes claims of a message and signs it anew.
func (p *peer) resigned(a *arena, data []byte, change func(map[string]any)) []byte {
	a.t.Helper()
	payload, _ := reclaimed(a, data, change)
	return p.id.Key.Sign(payload)
}

// reclaimed returns the changed claims of a signed message, and its members.
func reclaimed(a *arena, data []byte, change func(map[string]any)) ([]byte, parts) {
	a.t.Helper()
	var members parts
	claims := map[string]any{}
	err := json.Unmarshal(data, &members)
	if err == nil {
		var raw []byte
		if raw, err = base64.RawURLEncoding.DecodeString(members.Payload); err == nil {
			err = json.Unmarshal(raw, &claims)
		}
	}
	change(claims)
	payload, err2 := json.Marshal(claims)
	if err != nil || err2 != nil {
		a.t.Fatal(err, err2)
	}
	return payload, members
}

// decode reads the claims of a message, whoever signed it.
func decode(t testing.TB, data []byte) signal.Message {
	t.Helper()
	envelope, err := identity.ParseEnvelope(data)
	if err == nil {
		var m signal.Message
		if m, err = signal.Decode(envelope.Payload); err == nil {
			return m
		}
	}
	t.Fatalf("%.200q is no message: %v", data, err)
	return signal.Message{}
}
