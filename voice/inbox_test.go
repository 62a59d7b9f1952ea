package voice

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

const me = "1111111111"

// desk is an inbox without a connection, and what its handlers were given.
type desk struct {
	*inbox
	key identity.PrivateKey

	mu  sync.Mutex
	got []Message
}

func newDesk(tb interface{ Fatal(...any) }, party string) *desk {
	key, err := identity.GenerateKey("1")
	if err != nil {
		tb.Fatal(err)
	}
	d := &desk{key: key}
	c := &Client{
		opts: Options{HoldFor: time.Hour, SyncEvery: time.Hour},
		self: identity.MustID(me), log: slog.New(slog.DiscardHandler),
		gate: gate{self: identity.MustID(me)}, mine: newCallSet(), talks: newTalks(),
		lanes: newLanes(1, 4096, func(_ context.Context, m Message) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.got = append(d.got, m)
			return nil
		}),
	}
	d.inbox = &inbox{
		c: c, filter: newFilter(party), story: newExplained(), hold: time.NewTimer(time.Hour),
		over: map[callID]bool{}, kick: make(chan struct{}, 1),
	}
	d.fallBehind()
	return d
}

// handed waits for the handlers and returns what they were given, as "type call".
func (d *desk) handed(tb interface{ Fatal(...any) }) []string {
	d.hold.Stop()
	if err := d.c.lanes.drain(context.Background()); err != nil {
		tb.Fatal(err)
	}
	var out []string
	for _, m := range d.got {
		out = append(out, fmt.Sprintf("%s %s", m.Type, m.CallID))
	}
	return out
}

// stored returns a message as the sync service knows it.
func (d *desk) stored(tb interface{ Fatal(...any) }, seq uint64, typ signal.Type, call, data string) raw {
	now := time.Now()
	m := signal.Message{
		Type: typ, JTI: fmt.Sprint(seq), Issuer: identity.MustID("proxy"), Recipient: identity.MustID(me),
		IssuedAt: now, ExpiresAt: now.Add(time.Minute), CID: "cid", CallID: call,
	}
	if data != "" {
		m.Data, m.Reason = []byte(data), signal.AnsweredElsewhere
	}
	claims, err := m.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return raw{seq: seq, typ: string(typ), at: now, payload: d.key.Sign(claims)}
}

// arrive has r come live; last is the sequence before it on its subject.
func (d *desk) arrive(r raw, last uint64) {
	d.live(context.Background(), &nats.Msg{
		Subject: "live." + subjects.Inbox(me, r.typ),
		Header: nats.Header{
			"Nats-Sequence":      {strconv.FormatUint(r.seq, 10)},
			"Nats-Last-Sequence": {strconv.FormatUint(last, 10)},
			"Nats-Time-Stamp":    {r.at.Format(time.RFC3339Nano)},
		},
		Data: r.payload,
	})
}

// answer has the sync service answer the latest wish.
func (d *desk) answer(upto uint64, messages ...raw) {
	d.page(context.Background(), page{gen: d.want.Load(), messages: messages, upto: upto})
}

func TestInboxOrder(t *testing.T) {
	tests := map[string]struct {
		do   func(d *desk, r func(seq uint64, typ signal.Type, call string) raw)
		want []string
	}{
		"a new call waits for the end of the one before": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.answer(1, r(1, signal.Start, "c1"))
				d.arrive(r(3, signal.Start, "c2"), 1) // the stop of c1 was lost live
				d.arrive(r(4, signal.Candidate, "c2"), 0)
				d.answer(4, r(2, signal.Stop, "c1"), r(3, signal.Start, "c2"), r(4, signal.Candidate, "c2"))
			},
			want: []string{"start c1", "stop c1", "start c2", "candidate c2"},
		},
		"so does the answer to a call of one's own": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.answer(1)
				d.c.talks.note(signal.Start, callID{"cid", "c1"})
				d.arrive(r(3, signal.Start, "c2"), 0) // no answer to c1 yet: its stop was lost
				d.answer(3, r(2, signal.Stop, "c1"), r(3, signal.Start, "c2"))
			},
			want: []string{"stop c1", "start c2"},
		},
		"so does the answer to a second one": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.answer(1)
				d.c.talks.note(signal.Start, callID{"cid", "c1"})
				d.c.talks.note(signal.Start, callID{"cid", "c2"}) // the stop of c1 was lost
				d.arrive(r(3, signal.Ringing, "c2"), 0)
				d.answer(3, r(2, signal.Stop, "c1"), r(3, signal.Ringing, "c2"))
			},
			want: []string{"stop c1", "ringing c2"},
		},
		"a call that has ended holds nothing up": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.answer(1, r(1, signal.Start, "c1"))
				d.arrive(r(2, signal.Stop, "c1"), 0)
				d.arrive(r(3, signal.Start, "c2"), 1)
				d.c.talks.note(signal.Busy, callID{"cid", "c2"}) // refused by this process
				d.arrive(r(5, signal.Start, "c3"), 3)
				if d.behind {
					t.Error("the inbox thinks that something is missing")
				}
			},
			want: []string{"start c1", "stop c1", "start c2", "start c3"},
		},
		"a gap holds what is newer": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.answer(10)
				d.arrive(r(15, signal.Stop, "c2"), 12) // stop 12 is missing
				d.arrive(r(16, signal.Start, "c3"), 11)
				d.answer(15, r(11, signal.Start, "c1"), r(12, signal.Stop, "c1"), r(15, signal.Stop, "c2"))
			},
			want: []string{"start c1", "stop c1", "stop c2", "start c3"},
		},
		"a sync that began before the gap does not end it": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.answer(10)
				old := d.want.Load()
				d.arrive(r(15, signal.Stop, "c1"), 12)
				d.page(context.Background(), page{gen: old, upto: 11})
				if !d.behind {
					t.Error("the inbox thinks that it caught up")
				}
				d.answer(15, r(12, signal.Stop, "c0"))
			},
			want: []string{"stop c0", "stop c1"},
		},
		"without sync, what is there is handed over; a start behind its stop is not": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.answer(10)
				d.arrive(r(15, signal.Stop, "c1"), 12)
				d.giveUp(context.Background())
				d.arrive(r(17, signal.Busy, "c9"), 16) // blind: not held
				d.answer(16, r(11, signal.Start, "c1"), r(12, signal.Stop, "c0"), r(16, signal.Busy, "c0"))
			},
			want: []string{"stop c1", "busy c9", "stop c0", "busy c0"},
		},
		"a sync and a live message are one": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.answer(10)
				d.arrive(r(11, signal.Start, "c1"), 5)
				d.answer(12, r(11, signal.Start, "c1"), r(12, signal.Candidate, "c1"))
				d.arrive(r(12, signal.Candidate, "c1"), 0)
			},
			want: []string{"start c1", "candidate c1"},
		},
		"a cold start tells nothing of calls that ended": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.arrive(r(8, signal.Stop, "c2"), 2) // while the pages are read
				d.arrive(r(9, signal.Start, "c4"), 6)
				d.page(context.Background(), page{gen: d.want.Load(), more: true, upto: 3, messages: []raw{
					r(1, signal.Start, "c1"), r(2, signal.Stop, "c1"), r(3, signal.Setup, ""),
				}})
				d.answer(7, r(4, signal.Start, "c2"), r(5, signal.Busy, "c3"), r(6, signal.Start, "own"))
			},
			want: []string{"setup ", "start own", "start c4"},
		},
		"a cold start tells all of calls that this process began": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.c.mine.add(callID{"cid", "c1"})
				d.answer(7, r(5, signal.Busy, "c1"), r(6, signal.Busy, "c2"), r(7, signal.Stop, "c2"))
			},
			want: []string{"busy c1"},
		},
		"a cold start believes the service about calls that ended": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.page(context.Background(), page{
					gen: d.want.Load(), upto: 7, ended: []signal.SyncCall{{CID: "cid", CallID: "own"}},
					messages: []raw{r(6, signal.Start, "own"), r(7, signal.Start, "c1")},
				})
			},
			want: []string{"start c1"},
		},
		"a candidate waits for a start that was lost live": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.answer(10)
				d.arrive(r(12, signal.Candidate, "c1"), 0)
				d.arrive(r(13, signal.Candidate, "c1"), 12)
				d.answer(13, r(11, signal.Start, "c1"), r(12, signal.Candidate, "c1"))
				d.arrive(r(14, signal.Candidate, "c1"), 13) // not held
			},
			want: []string{"start c1", "candidate c1", "candidate c1", "candidate c1"},
		},
		"a caller's candidate waits for an accept that was lost live": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.c.mine.add(callID{"cid", "c1"})
				d.answer(10)
				d.arrive(r(11, signal.Ringing, "c1"), 0)
				d.arrive(r(13, signal.Candidate, "c1"), 0)
				d.answer(13, r(12, signal.Accept, "c1"))
			},
			want: []string{"ringing c1", "accept c1", "candidate c1"},
		},
		"a stop waits for a start that was lost live": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.answer(10)
				d.arrive(r(12, signal.Stop, "c1"), 0)
				d.answer(12, r(11, signal.Start, "c1"))
			},
			want: []string{"start c1", "stop c1"},
		},
		"what stays without explanation is handed over": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.c.mine.add(callID{"cid", "c2"})
				d.answer(10)
				d.arrive(r(11, signal.Stop, "c2"), 0) // of a call of this process
				d.arrive(r(12, signal.Update, "c1"), 0)
				d.answer(12)
				d.arrive(r(13, signal.Candidate, "c1"), 0)
				d.arrive(r(14, signal.Stop, "c1"), 11)
			},
			want: []string{"stop c2", "update c1", "candidate c1", "stop c1"},
		},
		"a stream that was made anew is read from the start": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.answer(1000)
				d.page(context.Background(), page{gen: d.want.Load(), restart: true, upto: 2, messages: []raw{r(2, signal.Start, "c1")}})
				d.arrive(r(3, signal.Stop, "c1"), 0)
			},
			want: []string{"start c1", "stop c1"},
		},
		"a stream that was restored holds again what was handed over": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				first := r(2, signal.Start, "c1")
				d.answer(2, first)
				d.arrive(r(9, signal.Candidate, "c1"), 0)
				d.page(context.Background(), page{gen: d.want.Load(), restart: true, upto: 3, messages: []raw{first, r(3, signal.Start, "c2")}})
				d.arrive(r(4, signal.Stop, "c1"), 0)
			},
			want: []string{"start c1", "candidate c1", "start c2", "stop c1"},
		},
		"a server that is behind repeats nothing": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				one, two, three := r(1, signal.Start, "c1"), r(2, signal.Accept, "c1"), r(3, signal.Stop, "c1")
				d.answer(2, one, two)
				d.page(context.Background(), page{gen: d.want.Load(), restart: true, upto: 1, messages: []raw{one}})
				d.arrive(three, 0)
				d.fallBehind()
				d.answer(3, two, three)
			},
			want: []string{"start c1", "accept c1", "stop c1"},
		},
		"a stream that was made anew has other messages": {
			do: func(d *desk, r func(uint64, signal.Type, string) raw) {
				d.answer(2, r(1, signal.Start, "c1"), r(2, signal.Stop, "c1"))
				one, two := r(1, signal.Start, "c2"), r(2, signal.Stop, "c2")
				d.page(context.Background(), page{gen: d.want.Load(), restart: true, upto: 0})
				d.fallBehind()
				d.arrive(two, 0)
				d.answer(2, one, two)
			},
			want: []string{"start c2", "stop c2"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, "")
			test.do(d, func(seq uint64, typ signal.Type, call string) raw { return d.stored(t, seq, typ, call, "") })
			if got := d.handed(t); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestInboxOfTheDeviceThatAnswered(t *testing.T) {
	d := newDesk(t, "phone")
	d.answer(3,
		d.stored(t, 1, signal.Start, "c1", ""),
		d.stored(t, 2, signal.Stop, "c1", `{"party":"phone"}`),
		d.stored(t, 3, signal.Candidate, "c1", ""))
	want := []string{"start c1", "candidate c1"}
	if got := d.handed(t); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: the call goes on at this device", got, want)
	}
}

// Whatever is lost live, however syncs, reconnects and commits interleave: after
// a last sync every message has been handed over exactly once, and those of one
// type in order unless the sync service was given up.
func TestInboxMissesNothingAndRepeatsNothing(t *testing.T) {
	// Types that are handed over even if they come late.
	types := []signal.Type{signal.Stop, signal.Summary, signal.Busy}
	rapid.Check(t, func(t *rapid.T) {
		d := newDesk(t, "")
		d.answer(0) // the cold start is over
		var log []raw
		last := map[string]uint64{}
		seq, since := uint64(0), uint64(0)
		gaveUp := false
		var gen uint64
		syncing := false
		nextPage := func(size int) {
			p := page{gen: gen, upto: since}
			for _, r := range log {
				if r.seq <= since {
					continue
				}
				if len(p.messages) == size {
					p.more = true
					break
				}
				p.messages, p.upto = append(p.messages, r), r.seq
			}
			since, syncing = p.upto, p.more
			d.page(context.Background(), p)
		}
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) {
				seq += rapid.Uint64Range(1, 3).Draw(t, "step") // others use sequences too
				typ := rapid.SampledFrom(types).Draw(t, "type")
				r := d.stored(t, seq, typ, fmt.Sprintf("c%d", seq), "")
				log = append(log, r)
				if !rapid.Bool().Draw(t, "lost") {
					d.arrive(r, last[r.typ])
				}
				last[r.typ] = seq
			},
			"sync": func(t *rapid.T) {
				if !syncing {
					gen = d.want.Load()
				}
				nextPage(rapid.IntRange(1, 4).Draw(t, "page"))
			},
			"reconnect": func(*rapid.T) { d.fallBehind() },
			"give up": func(*rapid.T) {
				gaveUp = gaveUp || d.behind
				d.giveUp(context.Background())
			},
		})
		gen = d.want.Load()
		nextPage(len(log) + 1)
		check(t, d, log, gaveUp)
	})
}

func check(t *rapid.T, d *desk, log []raw, gaveUp bool) {
	d.handed(t)
	count := map[uint64]int{}
	newest := map[signal.Type]uint64{}
	for _, m := range d.got {
		count[m.Seq]++
		if m.Seq < newest[m.Type] && !gaveUp {
			t.Fatalf("%s %d was handed over after %d", m.Type, m.Seq, newest[m.Type])
		}
		newest[m.Type] = max(newest[m.Type], m.Seq)
	}
	for _, r := range log {
		if count[r.seq] != 1 {
			t.Fatalf("message %d was handed over %d times, want once", r.seq, count[r.seq])
		}
	}
	if len(count) != len(log) {
		t.Fatalf("got %d messages, want %d", len(count), len(log))
	}
}
