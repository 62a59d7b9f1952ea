package security

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// limit is something that is not defended. Its test shows how far it goes; if it
// fails because the attack fails, docs/security.md says less than is true.
type limit struct {
	id, what string
	show     func(t *testing.T)
}

func limits() []limit {
	return []limit{
		{"X01", "whoever guesses an identity can see that a message of it waits", showWaiting},
		{"X02", "the sequences of the streams tell how much the service is used", showVolume},
		{"X03", "the call_id, chosen by a client, passes the mask", showCallID},
		{"X04", "a replay in the sender's own name is delivered again when many messages have passed since", showOldReplay},
	}
}

// TestNotDefended shows what docs/security.md says is not defended.
func TestNotDefended(t *testing.T) {
	for _, l := range limits() {
		t.Run(l.id, l.show)
	}
}

// showWaiting: the broker tells everybody who may write to a stream the last
// sequence of any of its subjects. Only what waits for the workers is there: a
// number, for some milliseconds, for somebody who knows whom to ask about.
func showWaiting(t *testing.T) {
	a := newArena(t, nil)
	x := a.peer(mallory)
	ask := func() bool {
		ack := x.request(subjects.Voice(mallory, "start"), nil, one("Nats-Expected-Last-Subject-Sequence", "99999999",
			"Nats-Expected-Last-Subject-Sequence-Subject", subjects.Voice(operator, "*")))
		if ack.Error == nil || ack.Error.Code != 10071 {
			t.Fatalf("answer %+v, want the error 10071", ack)
		}
		return ack.Error.Description != "wrong last sequence: 0"
	}
	if ask() {
		t.Error("nothing waits, the broker says otherwise")
	}
	a.stop()
	a.op.say(signal.Update, victims, current, nil)
	if !ask() {
		t.Error("the broker does not tell that a message waits: say so in docs/security.md")
	}
	a.work(nil)
	a.cu.expect(signal.Update, current)
	eventually(t, "nothing is told any longer", func() bool { return !ask() })
}

// showVolume: a PubAck has the sequence of the stream that all share.
func showVolume(t *testing.T) {
	a := newArena(t, nil)
	x := a.peer(mallory)
	first := x.request(subjects.Voice(mallory, "start"), []byte("{}"), nil).Seq
	a.honest()
	if next := x.request(subjects.Voice(mallory, "start"), []byte("{}"), nil).Seq; next != first+3 {
		t.Errorf("sequences %d and %d around two messages of others", first, next)
	}
}

// showCallID: the other side sees the call_id as the caller chose it.
func showCallID(t *testing.T) {
	a := newArena(t, nil)
	const telling = "call-of-" + operator
	a.route("X03", operator, customer, nil)
	a.op.say(signal.Start, "X03", telling, nil)
	a.cu.expect(signal.Start, telling)
	found := false
	for _, f := range a.verified("X03", 1).Findings {
		found = found || f.Where == "claims.call_id"
	}
	if !found {
		t.Error("router call verify does not find it")
	}
}

// showOldReplay: a record remembers what could be replayed, until its list is full;
// then only what is younger than three times the ack wait. Whoever holds the
// sender's connection, but not its signing key, can have an update delivered again
// behind that, until it is stale. Starts and stops do nothing even then.
func showOldReplay(t *testing.T) {
	a := newArena(t, func(o *router.Options) { o.Policy = call.Policy{KeepApplied: time.Millisecond} })
	say := func(typ signal.Type, word string) []byte {
		data := a.op.say(typ, victims, current, func(m *signal.Message) { m.PeerInfo = word })
		if m := a.cu.expect(typ, current); m.PeerInfo != word {
			t.Fatalf("got %q, want %q", m.PeerInfo, word)
		}
		return data
	}
	old := say(signal.Update, "old")
	again := func() {
		a.op.request(subjects.Voice(operator, "update"), old, nats.Header{})
	}
	again()
	say(signal.Candidate, "the first thing behind a replay that is remembered")
	// A mark goes only if its message is known to be acknowledged, which a worker
	// looks up now and then.
	for i := 0; ; i++ {
		for range call.KeepMarks {
			say(signal.Candidate, fmt.Sprint("candidate ", i))
		}
		again()
		a.op.say(signal.Candidate, victims, current, func(m *signal.Message) { m.PeerInfo = "behind" })
		m := a.cu.next()
		if m.PeerInfo == "old" {
			a.cu.expect(signal.Candidate, current)
			return
		}
		if i == 100 {
			t.Fatal("it was not delivered again: say so in docs/security.md")
		}
	}
}
