package security

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/voice"
)

// device runs another device of the operator, on the SDK, while do attacks. It
// hears the honest messages before and behind the attack and nothing else, and
// logs n messages that it ignored.
func (a *arena) device(n int, do func()) {
	a.t.Helper()
	var log journal
	c, err := voice.Connect(a.t.Context(), voice.Options{
		URL: a.URL(), SelfID: operator, SigningKey: a.op.id.Key, NKeySeed: seed(a, operator),
		Logger: slog.New(slog.NewTextHandler(&log, nil)), SyncEvery: time.Minute,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(a.t.Context())) }()
	got := make(chan voice.Message, 256)
	c.Voice().OnMessage(func(_ context.Context, m voice.Message) error {
		got <- m
		return nil
	})
	hear := func(word string) {
		a.t.Helper()
		a.cu.say(signal.Update, victims, current, func(m *signal.Message) { m.PeerInfo = word })
		for {
			select {
			case m := <-got:
				if m.PeerInfo == word {
					return
				}
				if m.CID != victims || m.Issuer.String() != proxy || strings.Contains(m.PeerInfo, secret) {
					a.t.Errorf("the device heard %s %s of %s", m.Type, m.CID, m.Issuer)
				}
			case <-time.After(patience):
				a.t.Fatalf("the device did not hear %q", word)
			}
		}
	}
	hear("honest, before")
	a.op.expect(signal.Update, current)
	do()
	eventually(a.t, "the forged messages are ignored", func() bool { return strings.Count(log.String(), "ignored") >= n })
	hear("honest, behind")
	if ignored := strings.Count(log.String(), "ignored"); ignored != n {
		a.t.Errorf("the device ignored %d messages, want %d:\n%s", ignored, n, log.String())
	}
}

func seed(a *arena, name string) []byte {
	a.t.Helper()
	s, err := a.Get(a.t, name).NKey.Seed()
	if err != nil {
		a.t.Fatal(err)
	}
	return s
}

// journal keeps what is logged.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// guessedInbox writes below another's reply prefix.
func guessedInbox() attack {
	k := answered("P11", "one's own message with a guessed reply subject of another", subjects.Voice(mallory, "start"), text(secret),
		subjects.InboxPrefix(operator)+".guess", subjects.InboxPrefix(operator)+".AAAAAAAAAAAAAAAAAAAAAA.BBBBBBBB")
	k.want = nothing("SDK", "a reply subject has 22 random characters for the connection and 8 for the request: the victim's client takes no other, its own requests are answered as ever", true,
		func(*arena, *peer) {})
	return k
}

// forgedLive lets the broker's or the service's answer go to the live subject of
// the operator.
func forgedLive(id, what, subject string, body func(*arena, *peer) string) attack {
	k := answered(id, what, subject, body, "live."+subjects.Inbox(operator, "stop"), "live."+subjects.Inbox(operator, "start"))
	send := k.do
	k.do = func(a *arena, x *peer) { a.device(2, func() { send(a, x) }) }
	k.talk = true
	k.want = nothing("SDK", "arrives without `Nats-Sequence`, an answer of the server's making; the SDK drops it unread", true, func(a *arena, _ *peer) { a.bare(2) })
	return k
}

// bare takes n messages off the operator's live subject; no client that keeps the
// protocol reads them.
func (a *arena) bare(n int) {
	a.t.Helper()
	for range n {
		if m := a.op.raw(); m.Header.Get("Nats-Sequence") != "" || m.Header.Get("Nats-Time-Stamp") != "" {
			a.t.Errorf("a forged live message has the headers %v", m.Header)
		}
	}
	a.op.expect(signal.Update, current) // what the device was told
}
