package security

import (
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestClock(t *testing.T) { play(t, newArena(t, nil), clockAttacks()) }

// clocked is an attack with claims of the attacker's own choice about time, on its
// own conversation.
func clocked(id, what string, code signal.Code, change map[string]any) attack {
	return refused(id, what, signal.Stop, code, func(a *arena, x *peer) []byte {
		good := x.sign(x.claims(signal.Stop, own, "k"))
		return x.resigned(a, good, func(claims map[string]any) {
			for name, v := range change {
				claims[name] = v
				if f, ok := v.(func() any); ok {
					claims[name] = f()
				}
			}
		})
	}, signal.Error)
}

func in(d time.Duration) func() any {
	return func() any { return time.Now().Add(d).UTC().Format(time.RFC3339) }
}

func clockAttacks() []attack {
	return []attack{
		clocked("K01", "sign for the future", signal.CodeFuture, map[string]any{"iat": in(2 * time.Minute)}),
		clocked("K02", "sign for a future as seconds since the epoch", signal.CodeFuture, map[string]any{"iat": 4102444800}),
		clocked("K03", "sign long ago, valid for ever", signal.CodeStale, map[string]any{"iat": in(-7 * time.Minute), "exp": "9999-12-31T23:59:59Z"}),
		clocked("K04", "sign something that has expired", signal.CodeExpired, map[string]any{"exp": in(-2 * time.Minute)}),
		clocked("K05", "a year that does not fit", signal.CodeBadClaims, map[string]any{"exp": "99999-01-01T00:00:00Z"}),
		clocked("K06", "a time before the epoch", signal.CodeBadClaims, map[string]any{"iat": -1}),
		clocked("K07", "a number beyond all integers", signal.CodeBadClaims, map[string]any{"exp": 1e300}),
		clocked("K08", "a time with a fraction or an exponent", signal.CodeBadClaims, map[string]any{"iat": 1.5}),
		clocked("K09", "a leap second, a day that does not exist", signal.CodeBadClaims, map[string]any{"iat": "2026-02-30T00:00:61Z"}),
		clocked("K10", "an offset of days", signal.CodeBadClaims, map[string]any{"iat": "2026-01-01T00:00:00+99:99"}),
		brokersClock(),
	}
}

// brokersClock: the header of a delivered message is the broker's word about
// time; written by a sender it is nothing.
func brokersClock() attack {
	return attack{id: "K11", what: "bring the broker's timestamp along as a header", do: func(a *arena, x *peer) {
		m := x.claims(signal.Stop, own, "k")
		old := time.Now().Add(-time.Hour)
		m.IssuedAt, m.ExpiresAt = old, old.Add(time.Minute)
		before := a.count("refused", signal.CodeStale) + a.count("refused", signal.CodeExpired)
		data := x.sign(m)
		x.request(subjects.Voice(mallory, "stop"), data, one("Nats-Time-Stamp", old.UTC().Format(time.RFC3339Nano), "Nats-Sequence", "1"))
		if f, _ := x.expect(signal.Error, "k").Fault(); f.Code != signal.CodeStale && f.Code != signal.CodeExpired {
			a.t.Errorf("told %s, want stale or expired", f.Code)
		}
		eventually(a.t, "counted", func() bool {
			return a.count("refused", signal.CodeStale)+a.count("refused", signal.CodeExpired) == before+1
		})
	}, want: nothing(byWorker, "the worker asks the stream, not the headers: refused with `expired` or `stale`", true, func(_ *arena, x *peer) { x.told("") })}
}
