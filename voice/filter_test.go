package voice

import (
	"fmt"
	"testing"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

func TestFilter(t *testing.T) {
	f := newFilter("phone")
	at := func(seq uint64, typ signal.Type, call string) Message {
		return Message{Seq: seq, Message: signal.Message{
			Type: typ, JTI: fmt.Sprint(seq), Issuer: identity.MustID("proxy"), CID: "cid", CallID: call,
		}}
	}
	with := func(m Message, reason signal.Reason, party string) Message {
		m.Reason, m.Data = reason, []byte(`{"party":"`+party+`"}`)
		return m
	}
	again := at(90, signal.Start, "c1")
	again.JTI = "10"
	steps := []struct {
		name string
		m    Message
		want string
	}{
		{"a start", at(10, signal.Start, "c1"), pass},
		{"the same, delivered again", at(10, signal.Start, "c1"), pass},
		{"its jti under another sequence", again, repeated},
		{"a busy", at(20, signal.Busy, "c1"), pass},
		{"an accept of another device, before the busy", at(19, signal.Accept, "c1"), pass},
		{"a start before the busy", at(18, signal.Start, "c1"), overdue},
		{"a stop", at(30, signal.Stop, "c1"), pass},
		{"a candidate before the stop", at(25, signal.Candidate, "c1"), overdue},
		{"a summary before the stop", at(26, signal.Summary, "c1"), pass},
		{"an update behind the stop: the router knows better", at(31, signal.Update, "c1"), pass},
		{"another call", at(9, signal.Start, "c2"), pass},
		{"its accept", at(12, signal.Accept, "c2"), pass},
		{"ringing before that", at(11, signal.Ringing, "c2"), overdue},
		{"answered by this device", with(at(40, signal.Stop, "c2"), signal.AnsweredElsewhere, "phone"), ours},
		{"which goes on", at(39, signal.Candidate, "c2"), pass},
		{"refused by this device", with(at(50, signal.Stop, "c3"), signal.Declined, "phone"), ours},
		{"which is over", at(49, signal.Start, "c3"), overdue},
		{"answered by another device", with(at(60, signal.Stop, "c4"), signal.AnsweredElsewhere, "tablet"), pass},
		{"which is over here", at(59, signal.Start, "c4"), overdue},
	}
	for _, s := range steps {
		if got := f.judge(s.m); got != s.want {
			t.Errorf("%s: got %q, want %q", s.name, got, s.want)
		}
	}
}

func TestRingForgetsTheOldest(t *testing.T) {
	r := newRing[int, int](3)
	for i := range 5 {
		r.put(i, i)
		r.put(i, 10*i)
	}
	for i := range 5 {
		got, known := r.get(i)
		if want := i >= 2; known != want || known && got != 10*i {
			t.Errorf("%d: got %d %v, want known %v", i, got, known, want)
		}
	}
	if len(r.values) != 3 || len(r.order) != 3 {
		t.Errorf("got %d values and %d keys, want 3", len(r.values), len(r.order))
	}
}

func TestSeenIsBounded(t *testing.T) {
	var s seen
	overflows := 0
	for seq := uint64(2); seq < 10*maxAbove; seq += 2 {
		if s.add(seq) {
			overflows++
		}
		if !s.has(seq) {
			t.Fatalf("%d was added and is not known", seq)
		}
	}
	if len(s.above) > maxAbove || overflows == 0 {
		t.Errorf("got %d sequences after %d overflows, want at most %d", len(s.above), overflows, maxAbove)
	}
	s.raise(20 * maxAbove)
	if len(s.above) != 0 || s.has(20*maxAbove+1) {
		t.Errorf("got %d sequences above a floor over all of them", len(s.above))
	}
}
