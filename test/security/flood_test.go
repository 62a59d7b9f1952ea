package security

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestFloods runs with the limits that a worker has by default.
func TestFloods(t *testing.T) {
	play(t, newArena(t, func(o *router.Options) { o.Limits = router.Limits{} }), floodAttacks())
}

// tiny is how many messages of a few bytes a flood has. In a short test it is
// less.
func tiny() int {
	if testing.Short() {
		return 10_000
	}
	return 100_000
}

// flooded is an attack of many messages. They are sent as fast as the broker
// takes them; while they are, the victims talk to each other.
func flooded(id, what, seen string, by string, send func(a *arena, x *peer), check func(a *arena, x *peer)) attack {
	return attack{id: id, what: what, talk: true, do: func(a *arena, x *peer) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			send(a, x)
		}()
		for flooding := true; flooding; {
			select {
			case <-done:
				flooding = false
			default:
			}
			a.honest()
		}
	}, want: nothing(by, seen, true, check)}
}

// burst publishes n messages with no interest in the answers.
func burst(x *peer, n int, subject func(i int) string, data []byte) {
	for i := range n {
		if err := x.nc.PublishMsg(&nats.Msg{Subject: subject(i), Data: data}); err != nil {
			return
		}
	}
	_ = x.nc.Flush()
}

func always(subject string) func(int) string { return func(int) string { return subject } }

func TestHeavy(t *testing.T) { play(t, newArena(t, nil), heavyAttacks()) }

func floodAttacks() []attack {
	return []attack{
		flooded("F01", fmt.Sprintf("%d tiny messages of rubbish", 100_000), "what exceeds 1000 waiting messages of a subject is refused by the broker, what exceeds the limits by the worker; at most 100 an hour are kept; the others' messages come through all the while", byBroker+", "+byWorker,
			func(_ *arena, x *peer) { burst(x, tiny(), always(subjects.Voice(mallory, "start")), []byte("x")) },
			func(a *arena, _ *peer) {
				if n := a.waiting(subjects.Voice(mallory, "start")); n > 1000 {
					a.t.Errorf("%d messages wait on one subject, want at most 1000", n)
				}
				a.drained()
				if n := a.keptOf(mallory); n > 200 {
					a.t.Errorf("%d refused messages are kept, want at most 100 for each worker and hour", n)
				}
				if a.count("refused", signal.CodeRateLimited) == 0 {
					a.t.Error("nothing was refused as rate_limited")
				}
			}),
		flooded("F02", "good messages far above the limit", "refused with `rate_limited` before the signature is verified; the sender is told once a second", byWorker,
			func(_ *arena, x *peer) {
				data := x.sign(x.claims(signal.Update, own, "k"))
				burst(x, 5000, always(subjects.Voice(mallory, "update")), data)
			},
			func(a *arena, x *peer) {
				a.drained()
				told := 0
				for n, _, _ := x.live.Pending(); n > 0; n, _, _ = x.live.Pending() {
					if f, _ := x.next().Fault(); f.Code == signal.CodeRateLimited {
						told++
					}
				}
				if told > 60 {
					a.t.Errorf("told %d times that it is too much", told)
				}
			}),
		flooded("F03", "messages of 64 KiB", "refused by the worker as `malformed` or `rate_limited`; the honest come through", byWorker,
			func(_ *arena, x *peer) {
				burst(x, 500, always(subjects.Voice(mallory, "stop")), bytes.Repeat([]byte("x"), 63<<10))
			},
			func(a *arena, _ *peer) { a.drained() }),
		deferrals(),
	}
}

func heavyAttacks() []attack {
	deep := strings.Repeat("[", 31<<10) + strings.Repeat("]", 31<<10)
	member := strings.Repeat(`{"data":`, 6000) + "1" + strings.Repeat("}", 6000)
	bomb := strings.Repeat("A", signal.MaxPeerInfo+1)
	return []attack{
		large("L01", "a message larger than 64 KiB", 64<<10+1),
		heavy("L02", "62 KiB of nested arrays instead of a JWS", signal.CodeMalformed, func(*arena, *peer) []byte { return []byte(deep) }),
		heavy("L03", "nested objects in a signed payload", signal.CodeBadClaims, func(_ *arena, x *peer) []byte { return x.id.Key.Sign([]byte(member[:40<<10])) }),
		heavy("L04", "`data` nested 20000 deep", signal.CodeBadClaims, func(_ *arena, x *peer) []byte {
			nested := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
			return x.id.Key.Sign([]byte(strings.Replace(string(x.stop(mallory)), "{", `{"data":{"media":`+nested+`},`, 1)))
		}),
		heavy("L05", "`data` nested 17 deep", signal.CodeOversized, func(_ *arena, x *peer) []byte {
			return x.id.Key.Sign([]byte(strings.Replace(string(x.stop(mallory)), "{", `{"data":{"media":`+strings.Repeat("[", 16)+strings.Repeat("]", 16)+`},`, 1)))
		}),
		heavy("L06", "a `peer_info` of one byte more than allowed", signal.CodeOversized, func(_ *arena, x *peer) []byte {
			return x.id.Key.Sign([]byte(strings.Replace(string(x.stop(mallory)), "{", `{"peer_info":"`+bomb+`",`, 1)))
		}),
		heavy("L07", "a string that grows sixfold when it is written out (`\\u003c`)", signal.CodeOversized, func(_ *arena, x *peer) []byte {
			return x.id.Key.Sign([]byte(strings.Replace(string(x.stop(mallory)), "{", `{"data":{"media":"`+strings.Repeat(`\u0001`, 1400)+`"},`, 1)))
		}),
		heavy("L08", "ten thousand members in the claims", signal.CodeBadClaims, func(_ *arena, x *peer) []byte {
			var b strings.Builder
			for i := range 4500 {
				fmt.Fprintf(&b, `"m%d":1,`, i)
			}
			payload := strings.Replace(string(x.stop(mallory)), "{", "{"+b.String(), 1)
			return x.id.Key.Sign([]byte(strings.Replace(payload, `"iss":`, `"m1":1,"iss":`, 1)))
		}),
		heavy("L09", "a number of 40000 digits", signal.CodeBadClaims, func(_ *arena, x *peer) []byte {
			return x.id.Key.Sign([]byte(strings.Replace(string(x.stop(mallory)), `"iat":`, `"iat":1`+strings.Repeat("0", 40000)+`,"was":`, 1)))
		}),
	}
}

// heavy is an attack with one expensive message; it is refused at once.
func heavy(id, what string, code signal.Code, make func(a *arena, x *peer) []byte) attack {
	var replies []signal.Type
	if code != signal.CodeMalformed {
		replies = append(replies, signal.Error)
	}
	k := refused(id, what, signal.Stop, code, make, replies...)
	check := k.want.check
	var begin time.Time
	do := k.do
	k.do = func(a *arena, x *peer) {
		begin = time.Now()
		do(a, x)
	}
	k.want.check = func(a *arena, x *peer) {
		a.t.Helper()
		check(a, x)
		if took := time.Since(begin); took > 2*time.Second {
			a.t.Errorf("refused after %v", took)
		}
	}
	return k
}

func large(id, what string, size int) attack {
	return attack{id: id, what: what, do: func(a *arena, x *peer) {
		for _, typ := range []string{"start", "stop"} {
			if ack := x.request(subjects.Voice(mallory, typ), make([]byte, size), nil); ack.Error == nil || ack.Error.Code != 10054 {
				a.t.Errorf("answer %+v, want the error 10054", ack)
			}
		}
	}, want: nothing(byBroker, "API error 10054, nothing stored", false, func(*arena, *peer) {})}
}

// deferrals sends candidates for calls that do not exist: each may wait a little
// for its call, of one identity only a few.
func deferrals() attack {
	return flooded("F04", "candidates of calls that do not exist, which wait for their start", "of one identity four wait at a time, the others are refused at once with `unknown_call` or `rate_limited`", byWorker,
		func(a *arena, x *peer) {
			for i := range 150 {
				m := x.claims(signal.Candidate, own, fmt.Sprint("none", i))
				m.JTI = fmt.Sprint("F04-", i)
				m.Recipient = identity.MustID(proxy)
				burst(x, 1, always(subjects.Voice(mallory, "candidate")), x.sign(m))
			}
		},
		func(a *arena, _ *peer) { a.drained() })
}

// waiting returns how many messages of a subject are in the inbound stream.
func (a *arena) waiting(subject string) uint64 {
	a.t.Helper()
	s, err := a.js.Stream(a.t.Context(), subjects.StreamIn)
	if err != nil {
		a.t.Fatal(err)
	}
	info, err := s.Info(a.t.Context(), withSubject(subject))
	if err != nil {
		a.t.Fatal(err)
	}
	return info.State.Subjects[subject]
}

// keptOf returns how many refused messages of an identity are kept.
func (a *arena) keptOf(name string) (sum uint64) {
	a.t.Helper()
	s, err := a.js.Stream(a.t.Context(), subjects.StreamOut)
	if err != nil {
		a.t.Fatal(err)
	}
	info, err := s.Info(a.t.Context(), withSubject("rejected.*."+name))
	if err != nil {
		a.t.Fatal(err)
	}
	for _, n := range info.State.Subjects {
		sum += n
	}
	return sum
}

// drained waits until the broker has taken in what was sent, and the worker has
// judged it.
func (a *arena) drained() {
	a.t.Helper()
	within(a.t, 2*time.Minute, "the inbound stream is empty", func() bool {
		s, err := a.js.Stream(a.t.Context(), subjects.StreamIn)
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
}
