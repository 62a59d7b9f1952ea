package voice_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/voice"
)

const (
	customer = "1111111111"
	operator = "1112223334"
	proxy    = "proxy"
)

// relay stands in for the router: it commits messages to inboxes and answers the
// sync service from its own memory, a few messages a page.
type relay struct {
	tb     testing.TB
	broker *brokertest.Broker
	js     jetstream.JetStream

	mu    sync.Mutex
	log   []committed
	deaf  bool          // the sync service does not answer
	asked chan struct{} // holds one token when it has been asked
}

type committed struct {
	to string
	signal.SyncMessage
}

func newRelay(tb testing.TB) *relay {
	tb.Helper()
	r := &relay{tb: tb, asked: make(chan struct{}, 1), broker: brokertest.Start(tb, brokertest.Options{
		Memory: true, Users: []string{customer, operator}, Apps: []string{proxy},
	})}
	nc := r.broker.Router(tb)
	r.js = brokertest.JetStream(tb, nc)
	if _, err := nc.Subscribe(subjects.FilterSync, r.sync); err != nil {
		tb.Fatalf("subscribe to sync requests: %v", err)
	}
	if err := nc.Flush(); err != nil {
		tb.Fatalf("flush: %v", err)
	}
	return r
}

const pageSize = 3

func (r *relay) sync(msg *nats.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case r.asked <- struct{}{}:
	default:
	}
	if r.deaf {
		return
	}
	self, _ := subjects.ParseSync(msg.Subject)
	var request signal.SyncRequest
	if err := json.Unmarshal(msg.Data, &request); err != nil {
		r.tb.Errorf("sync request %q: %v", msg.Data, err)
	}
	var answer signal.SyncResponse
	for _, m := range r.log {
		if m.Seq <= request.Since {
			continue
		}
		if len(answer.Messages) == pageSize {
			answer.More = true
			break
		}
		answer.Upto = m.Seq
		if m.to == self {
			answer.Messages = append(answer.Messages, m.SyncMessage)
		}
	}
	answer.Upto = max(answer.Upto, request.Since)
	data, err := json.Marshal(answer)
	if err != nil {
		r.tb.Errorf("sync answer: %v", err)
	}
	_ = msg.Respond(data) // fails when the test is over
}

func (r *relay) setDeaf(deaf bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deaf = deaf
}

// message returns a valid message of the proxy.
func message(typ signal.Type, to, cid, call string) signal.Message {
	now := time.Now()
	return signal.Message{
		Type: typ, JTI: voice.NewID(), Issuer: identity.MustID(proxy), Recipient: identity.MustID(to),
		IssuedAt: now, ExpiresAt: now.Add(time.Minute), CID: cid, CallID: call,
	}
}

// commit stores m in the inbox of its recipient and returns its sequence.
func (r *relay) commit(m signal.Message) uint64 {
	r.tb.Helper()
	return r.commitSigned(m, r.broker.Get(r.tb, proxy).Key)
}

func (r *relay) commitSigned(m signal.Message, key identity.PrivateKey) uint64 {
	r.tb.Helper()
	claims, err := m.Encode()
	if err != nil {
		r.tb.Fatalf("encode: %v", err)
	}
	to, payload := m.Recipient.String(), key.Sign(claims)
	r.mu.Lock()
	defer r.mu.Unlock()
	ack, err := r.js.Publish(r.tb.Context(), subjects.Inbox(to, string(m.Type)), payload)
	if err != nil {
		r.tb.Fatalf("commit %s: %v", m.Type, err)
	}
	r.log = append(r.log, committed{to, signal.SyncMessage{
		Seq: ack.Sequence, Type: string(m.Type), Time: time.Now(), Payload: payload,
	}})
	return ack.Sequence
}

// options returns those of the identity name.
func (r *relay) options(name string) voice.Options {
	i := r.broker.Get(r.tb, name)
	return voice.Options{
		URL: r.broker.URL(), SelfID: name, SigningKey: i.Key, Role: i.Record.Role,
		NATSOptions: append(i.Options(), nats.ReconnectWait(10*time.Millisecond)),
		Logger:      slog.New(slog.NewTextHandler(testWriter{r.tb}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// connect returns a client that is closed with the test.
func connect(tb testing.TB, options voice.Options) *voice.Client {
	tb.Helper()
	client, err := voice.Connect(tb.Context(), options)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(func() { _ = client.Close(done()) })
	return client
}

// listening connects a client and waits until its cold start is over, so that
// what is committed next comes live.
func (r *relay) listening(options voice.Options) (*voice.Client, recorder) {
	r.tb.Helper()
	client := connect(r.tb, options)
	got := record(client)
	r.commit(message(signal.Setup, client.Self(), "warm", ""))
	got.want(r.tb, "setup ")
	return client, got
}

// recorder collects what handlers are given.
type recorder chan voice.Message

func record(client *voice.Client) recorder {
	r := make(recorder, 4096)
	client.Voice().OnMessage(func(_ ctx, m voice.Message) error {
		r <- m
		return nil
	})
	return r
}

// next returns the next message.
func (r recorder) next(tb testing.TB) voice.Message {
	tb.Helper()
	select {
	case m := <-r:
		return m
	case <-time.After(10 * time.Second):
		tb.Fatalf("got no message in 10 s")
		return voice.Message{}
	}
}

// want takes the next messages and compares type and call id: "start c1".
func (r recorder) want(tb testing.TB, want ...string) {
	tb.Helper()
	for _, w := range want {
		m := r.next(tb)
		if got := fmt.Sprintf("%s %s", m.Type, m.CallID); got != w {
			tb.Fatalf("got message %q, want %q", got, w)
		}
	}
}

// cable is a dialer whose connections can be cut.
type cable struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (c *cable) Dial(network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
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
	c.cut = cut
	if cut {
		for _, conn := range c.conns {
			_ = conn.Close()
		}
		c.conns = nil
	}
}

type testWriter struct{ tb testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	if w.tb.Context().Err() == nil { // not after the test
		w.tb.Logf("%s", p)
	}
	return len(p), nil
}
