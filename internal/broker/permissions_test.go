package broker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

const (
	alice   = "1112223334"
	mallory = "1111111111"
	proxy   = "proxy"
)

func start(t *testing.T) *brokertest.Broker {
	t.Helper()
	return brokertest.Start(t, brokertest.Options{Memory: true, Users: []string{alice, mallory}, Apps: []string{proxy, "other"}})
}

// violations connects and returns a channel of the permission errors that the
// server reports.
func violations(t *testing.T, connect func(testing.TB, ...nats.Option) *nats.Conn) (*nats.Conn, <-chan error) {
	t.Helper()
	seen := make(chan error, 64)
	nc := connect(t, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { seen <- err }))
	return nc, seen
}

func as(b *brokertest.Broker, name string) func(testing.TB, ...nats.Option) *nats.Conn {
	return func(tb testing.TB, opts ...nats.Option) *nats.Conn {
		tb.Helper()
		return b.Identity(tb, name, opts...)
	}
}

// refused waits for the server's word on subject.
func refused(t *testing.T, nc *nats.Conn, seen <-chan error, subject string) {
	t.Helper()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-seen:
		if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), `"`+subject+`"`) {
			t.Errorf("want a permissions violation for %q, got %v", subject, err)
		}
	case <-time.After(5 * time.Second):
		t.Errorf("want a permissions violation for %q, got none", subject)
	}
}

func TestIdentityPublishesOnlyAsItself(t *testing.T) {
	t.Parallel()
	b := start(t)
	js := brokertest.JetStream(t, b.Admin(t))
	for _, typ := range signal.Types() {
		// The PubAck comes back across the wall between the accounts.
		nc := b.Identity(t, mallory)
		reply, err := nc.Request(subjects.Voice(mallory, string(typ)), []byte("{}"), 5*time.Second)
		if err != nil {
			t.Fatalf("%s: want a PubAck, got %v", typ, err)
		}
		if !strings.Contains(string(reply.Data), `"stream":"VOICE_IN"`) {
			t.Errorf("%s: want a PubAck of VOICE_IN, got %s", typ, reply.Data)
		}
	}
	nc, seen := violations(t, as(b, mallory))
	for _, subject := range []string{
		subjects.Voice(alice, "start"),
		subjects.Voice(mallory, "invented"),
		subjects.Inbox(alice, "start"),
		subjects.Inbox(mallory, "start"),
		"live." + subjects.Inbox(alice, "start"),
		subjects.State("c1"),
		subjects.Timer("c1"),
		subjects.Timeout("c1"),
		subjects.Rejected("bad", alice),
		subjects.Sync(alice),
		subjects.ServiceCallEnd,
		subjects.KVKey(subjects.BucketRoutes, "c1"),
		subjects.RequestAccountInfo,
		subjects.RequestMessage(subjects.StreamOut),
		subjects.RequestDirect(subjects.StreamOut),
		subjects.RequestNext(subjects.StreamOut, subjects.AppConsumer(proxy)),
		subjects.RequestNext(subjects.StreamOut, subjects.ConsumerTimeouts),
		"$JS.API.CONSUMER.CREATE." + subjects.StreamOut + ".x",
		"$JS.API.STREAM.PURGE." + subjects.StreamIn,
		"$JS.ACK." + subjects.StreamOut + ".app-proxy.1.1.1.1.1",
		"_INBOX_" + alice + ".x",
		"_R_.x",
	} {
		if err := nc.Publish(subject, []byte("x")); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, seen, subject)
	}
	info, err := js.Stream(t.Context(), subjects.StreamIn)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.CachedInfo().State.Msgs, uint64(len(signal.Types())); got != want {
		t.Errorf("want %d messages in VOICE_IN, got %d", want, got)
	}
}

func TestIdentityHearsOnlyItself(t *testing.T) {
	t.Parallel()
	b := start(t)
	nc, seen := violations(t, as(b, mallory))
	for _, subject := range []string{
		subjects.LiveAll(alice), subjects.FilterLive, "live.>", ">", "*", subjects.FilterVoice,
		subjects.InboxAll(alice), "_INBOX_" + alice + ".>", subjects.FilterInboxes, subjects.FilterServiceReplies,
		subjects.FilterState, subjects.FilterSync, "$JS.>",
	} {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		refused(t, nc, seen, subject)
	}
}

func TestLiveCrossesTheWall(t *testing.T) {
	t.Parallel()
	b := start(t)
	_, sub := listen(t, b, alice)
	other, foreign := listen(t, b, mallory)
	if _, err := brokertest.JetStream(t, b.Router(t)).Publish(t.Context(), subjects.Inbox(alice, "start"), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	m, err := sub.NextMsg(5 * time.Second)
	if err != nil {
		t.Fatalf("want the live message, got %v", err)
	}
	if want := "live." + subjects.Inbox(alice, "start"); m.Subject != want || string(m.Data) != "hello" {
		t.Errorf("want hello on %s, got %q on %s", want, m.Data, m.Subject)
	}
	if m.Header.Get(jetstream.SequenceHeader) != "1" {
		t.Errorf("want the stream sequence 1 in the headers, got %v", m.Header)
	}
	flush(t, other)
	if n, _, _ := foreign.Pending(); n != 0 {
		t.Errorf("want nothing for the other identity, got %d messages", n)
	}
}

func flush(t *testing.T, conns ...*nats.Conn) {
	t.Helper()
	for _, nc := range conns {
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
}

// listen subscribes an identity to its live messages.
func listen(t *testing.T, b *brokertest.Broker, name string) (*nats.Conn, *nats.Subscription) {
	t.Helper()
	nc := b.Identity(t, name)
	sub, err := nc.SubscribeSync(subjects.LiveAll(name))
	if err != nil {
		t.Fatal(err)
	}
	flush(t, nc)
	return nc, sub
}

// TestReplySubjectCannotReachAStream plays the attack that one shared account
// would be open to: the broker checks no permission on reply subjects, so that
// the PubAck of one's own message would be published anywhere.
func TestReplySubjectCannotReachAStream(t *testing.T) {
	t.Parallel()
	b := start(t)
	ctx := t.Context()
	admin := brokertest.JetStream(t, b.Admin(t))
	if _, err := admin.Publish(ctx, subjects.State("x"), []byte("genuine")); err != nil {
		t.Fatal(err)
	}
	nc := b.Identity(t, mallory)
	attacks := []string{
		subjects.State("x"), subjects.Timer("x"), subjects.Timeout("x"), subjects.Inbox(alice, "stop"),
		subjects.Voice(alice, "stop"), subjects.Rejected("bad", alice), subjects.KVKey(subjects.BucketRoutes, "x"),
		"$JS.API.STREAM.PURGE." + subjects.StreamOut, "live." + subjects.Inbox(alice, "stop"),
	}
	victim, live := listen(t, b, alice)
	for _, subject := range attacks {
		if err := nc.PublishRequest(subjects.Voice(mallory, "start"), subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	// A request of one's own behind them, answered: all before it has been dealt with.
	if _, err := nc.Request(subjects.Voice(mallory, "start"), []byte("{}"), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	in, out := streamInfo(t, admin, subjects.StreamIn), streamInfo(t, admin, subjects.StreamOut)
	if want := uint64(len(attacks) + 1); in.State.Msgs != want || in.State.NumSubjects != 1 {
		t.Errorf("VOICE_IN: want %d messages on 1 subject, got %d on %d: %v", want, in.State.Msgs, in.State.NumSubjects, in.State.Subjects)
	}
	if out.State.Msgs != 1 {
		t.Errorf("VOICE_OUT: want only the genuine state, got %d messages: %v", out.State.Msgs, out.State.Subjects)
	}
	// Within VOICE a reply subject can still name somebody's live subject. What
	// arrives there is the server's PubAck: no headers, nothing signed, not a byte
	// of the attacker's choice. Clients verify every live message.
	flush(t, victim)
	m, err := live.NextMsg(5 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Header) != 0 || !strings.HasPrefix(string(m.Data), `{"stream":"VOICE_IN","seq":`) {
		t.Errorf("want a bare PubAck, got %v %s", m.Header, m.Data)
	}
	if n, _, _ := live.Pending(); n != 0 {
		t.Errorf("want nothing else live for the victim, got %d messages", n)
	}
}

func streamInfo(t *testing.T, js jetstream.JetStream, name string) *jetstream.StreamInfo {
	t.Helper()
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		t.Fatal(err)
	}
	return info
}
