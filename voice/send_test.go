package voice_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
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

// trust returns keys for one issuer.
func trust(id string, keys []identity.PublicKey) func(identity.ID) []identity.PublicKey {
	return func(iss identity.ID) []identity.PublicKey {
		if iss.String() == id {
			return keys
		}
		return nil
	}
}

// inStream returns the messages of VOICE_IN, oldest first.
func inStream(t *testing.T, b *brokertest.Broker) []jetstream.Msg {
	t.Helper()
	js := brokertest.JetStream(t, b.Admin(t))
	stream, err := js.Stream(t.Context(), subjects.StreamIn)
	if err != nil {
		t.Fatal(err)
	}
	cons, err := stream.Consumer(t.Context(), subjects.ConsumerRouter)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := cons.Fetch(100, jetstream.FetchMaxWait(time.Second), jetstream.FetchPriorityGroup(subjects.GroupRouter))
	if err != nil {
		t.Fatal(err)
	}
	var out []jetstream.Msg
	for m := range batch.Messages() {
		out = append(out, m)
	}
	return out
}

func TestSendsAreStoredSignedAndNamed(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	options := r.options(operator)
	options.Party = "desk"
	v := connect(t, options).Voice()
	sends := []struct {
		typ  signal.Type
		send func() error
	}{
		{signal.Setup, func() error { return v.Setup(proxy, "Ann", "cid") }},
		{signal.Start, func() error { return v.Start(proxy, "cid", "c1", "offer", map[string]string{"media": "audio"}) }},
		{signal.Ringing, func() error { return v.Ringing(proxy, "cid", "c1") }},
		{signal.Accept, func() error { return v.Accept(proxy, "cid", "c1", "answer", nil) }},
		{signal.Busy, func() error { return v.Busy(proxy, "cid", "c1") }},
		{signal.Stop, func() error { return v.StopWithReason(proxy, "cid", "c1", signal.ICEFailed) }},
		{signal.Candidate, func() error { return v.Candidate(proxy, "cid", "c1", "candidate") }},
		{signal.Update, func() error { return v.Update(proxy, "cid", "c1", "offer", map[string]any{}) }},
		{signal.Summary, func() error { return v.Summary(proxy, "cid", "c1") }},
	}
	for _, s := range sends {
		if err := s.send(); err != nil {
			t.Fatalf("%s: %v", s.typ, err)
		}
	}
	stored := inStream(t, r.broker)
	if len(stored) != len(sends) {
		t.Fatalf("got %d messages in the stream, want %d", len(stored), len(sends))
	}
	for i, s := range sends {
		msg := stored[i]
		env, err := identity.ParseEnvelope(msg.Data())
		if err != nil {
			t.Fatalf("%s: %v", s.typ, err)
		}
		if err := env.Verify(r.broker.Get(t, operator).Record.Keys); err != nil {
			t.Errorf("%s: %v", s.typ, err)
		}
		m, err := signal.Decode(env.Payload)
		if err != nil {
			t.Fatalf("%s: %v", s.typ, err)
		}
		if m.Type != s.typ || msg.Subject() != subjects.Voice(operator, string(s.typ)) {
			t.Errorf("got type %s on %s, want %s", m.Type, msg.Subject(), s.typ)
		}
		if got, want := msg.Headers().Get(nats.MsgIdHdr), signal.MsgID(m.Issuer, m.JTI); got != want {
			t.Errorf("%s: got Nats-Msg-Id %q, want %q", s.typ, got, want)
		}
		if m.Party != "desk" || m.Issuer.String() != operator || m.Recipient.String() != proxy || m.CID != "cid" {
			t.Errorf("%s: got party %q iss %s sub %s cid %q", s.typ, m.Party, m.Issuer, m.Recipient, m.CID)
		}
		if got := m.ExpiresAt.Sub(m.IssuedAt); got != 5*time.Minute {
			t.Errorf("%s: got lifetime %v, want 5m", s.typ, got)
		}
	}
}

func TestSameJTIIsStoredOnce(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	options := r.options(operator)
	var receipts []voice.Receipt
	options.Stored = func(_ signal.Message, receipt voice.Receipt) { receipts = append(receipts, receipt) }
	v := connect(t, options).Voice()
	m := message(signal.Stop, proxy, "cid", "c1")
	for range 3 {
		if err := v.Send(t.Context(), m); err != nil {
			t.Fatalf("send: %v", err)
		}
	}
	if want := []voice.Receipt{{Seq: 1}, {Seq: 1, Duplicate: true}, {Seq: 1, Duplicate: true}}; !slices.Equal(receipts, want) {
		t.Errorf("got receipts %+v, want %+v", receipts, want)
	}
	if got := len(inStream(t, r.broker)); got != 1 {
		t.Errorf("got %d messages in the stream, want 1", got)
	}
}

func TestInvalidMessagesAreRefusedBeforeSending(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	v := connect(t, r.options(operator)).Voice()
	for name, err := range map[string]error{
		"recipient":       v.Stop("a.b", "cid", "c1"),
		"cid":             v.Stop(proxy, "not a cid", "c1"),
		"call_id":         v.Stop(proxy, "cid", ""),
		"data is a list":  v.Start(proxy, "cid", "c1", "", []string{"x"}),
		"data is no JSON": v.Start(proxy, "cid", "c1", "", func() {}),
		"peer_info":       v.Start(proxy, "cid", "c1", string(make([]byte, signal.MaxPeerInfo+1)), nil),
		"type":            v.Send(t.Context(), signal.Message{Type: "inbox.*", Recipient: identity.MustID(proxy), CID: "cid"}),
	} {
		if refusal, ok := errors.AsType[*signal.Refusal](err); !ok || refusal.Detail == "" {
			t.Errorf("%s: got %v, want a *signal.Refusal", name, err)
		}
	}
	if got := len(inStream(t, r.broker)); got != 0 {
		t.Errorf("got %d messages in the stream, want none", got)
	}
}

// TestWhatIsTooLargeIsNotSent: whatever passes the check here is small enough for
// the broker, to the byte.
func TestWhatIsTooLargeIsNotSent(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	js := brokertest.JetStream(t, r.broker.Admin(t))
	stream, err := js.Stream(t.Context(), subjects.StreamIn)
	if err != nil {
		t.Fatal(err)
	}
	v := connect(t, r.options(operator)).Voice()
	refused := sort.Search(signal.MaxPeerInfo, func(n int) bool {
		err := v.Start(proxy, "cid", fmt.Sprintf("c%d", n), strings.Repeat(`"`, n), nil) // one byte, two when escaped
		if refusal, ok := errors.AsType[*signal.Refusal](err); ok {
			if refusal.Code != signal.CodeOversized || !contains(refusal.Detail, "65536") {
				t.Errorf("got %v, want code oversized and the limit", refusal)
			}
			return true
		}
		if err != nil {
			t.Fatalf("peer_info of %d bytes: got %v, want it stored, or a *signal.Refusal", n, err)
		}
		return false
	})
	if refused == signal.MaxPeerInfo {
		t.Fatal("nothing is refused")
	}
	largest := 0
	for _, m := range inStream(t, r.broker) {
		size := len("NATS/1.0\r\n\r\n") + len(m.Data())
		for name, values := range m.Headers() {
			size += len(name + ": " + values[0] + "\r\n")
		}
		largest = max(largest, size)
	}
	if limit := int(stream.CachedInfo().Config.MaxMsgSize); largest > limit || largest < limit-8 {
		t.Errorf("the largest message that is sent has %d bytes, want nearly the stream's limit of %d", largest, limit)
	}
}

func TestBacklogFull(t *testing.T) {
	r := newRelay(t)
	js := brokertest.JetStream(t, r.broker.Admin(t))
	stream, err := js.Stream(t.Context(), subjects.StreamIn)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxMsgsPerSubject = 2
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	v := connect(t, r.options(operator)).Voice()
	for i := range 3 {
		err := v.Stop(proxy, "cid", "c1")
		if i < 2 && err != nil {
			t.Fatalf("stop %d: %v", i, err)
		}
		if i == 2 && (!errors.Is(err, voice.ErrBacklogFull) || !errors.Is(err, voice.ErrRefused)) {
			t.Errorf("got %v, want ErrBacklogFull", err)
		}
	}
	if err := v.Busy(proxy, "cid", "c1"); err != nil {
		t.Errorf("busy, another subject: %v", err)
	}
}

// TestRefusedAfterNoAnswer: an attempt that nobody answered may have been stored,
// whatever becomes of the next one.
func TestRefusedAfterNoAnswer(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	js := brokertest.JetStream(t, r.broker.Admin(t))
	stream, err := js.Stream(t.Context(), subjects.StreamIn)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxMsgsPerSubject = 1
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	var line cable
	options := r.options(operator)
	options.NATSOptions = append(options.NATSOptions, dialer(&line))
	v := connect(t, options).Voice()
	if err := v.Stop(proxy, "cid", "c1"); err != nil {
		t.Fatalf("stop: %v", err)
	}
	line.set(true)
	result := make(chan error, 1)
	go func() { result <- v.Stop(proxy, "cid", "c2") }()
	timer := time.AfterFunc(2500*time.Millisecond, func() { line.set(false) }) // an attempt takes 2 s
	defer timer.Stop()
	if err := <-result; !errors.Is(err, voice.ErrTimeout) || !errors.Is(err, voice.ErrBacklogFull) {
		t.Errorf("got %v, want ErrTimeout and ErrBacklogFull", err)
	}
}

func TestNoRouter(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Bare: true, Users: []string{operator}})
	i := b.Get(t, operator)
	client := connect(t, voice.Options{
		URL: b.URL(), SelfID: operator, SigningKey: i.Key, NATSOptions: i.Options(), SendTimeout: 300 * time.Millisecond,
	})
	if err := client.Voice().Stop(proxy, "cid", "c1"); !errors.Is(err, voice.ErrNoRouter) {
		t.Errorf("got %v, want ErrNoRouter", err)
	}
}

func TestTimeoutIsRetriedWithTheSameJTI(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	var line cable
	options := r.options(operator)
	options.NATSOptions = append(options.NATSOptions, dialer(&line))
	v := connect(t, options).Voice()
	line.set(true)
	result := make(chan error, 1)
	go func() { result <- v.Stop(proxy, "cid", "c1") }()
	timer := time.AfterFunc(500*time.Millisecond, func() { line.set(false) })
	defer timer.Stop()
	if err := <-result; err != nil {
		t.Fatalf("stop while the connection is down: %v", err)
	}
	if got := len(inStream(t, r.broker)); got != 1 {
		t.Errorf("got %d messages in the stream, want 1", got)
	}

	line.set(true)
	defer line.set(false)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := v.Send(ctx, message(signal.Stop, proxy, "cid", "c1")); !errors.Is(err, voice.ErrTimeout) {
		t.Errorf("got %v, want ErrTimeout", err)
	}
}

func TestSendAfterClose(t *testing.T) {
	r := newRelay(t)
	client := connect(t, r.options(operator))
	if err := client.Close(t.Context()); err != nil {
		t.Fatalf("close: %v", err)
	}
	if err := client.Voice().Stop(proxy, "cid", "c1"); !errors.Is(err, voice.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if err := client.Close(t.Context()); err != nil {
		t.Errorf("second close: %v", err)
	}
}
