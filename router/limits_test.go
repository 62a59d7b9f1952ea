package router

import (
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

func TestLimiter(t *testing.T) {
	const (
		user = identity.RoleUser
		app  = identity.RoleApp
	)
	self := identity.MustID("1112223334")
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	count := func(l *limiter, role identity.Role, typ signal.Type, n int, at time.Time) map[pass]int {
		got := map[pass]int{}
		for range n {
			got[l.take(self, role, typ, at)]++
		}
		return got
	}
	t.Run("burst, then one answer, then silence", func(t *testing.T) {
		l := newLimiter(Limits{Messages: 5, Starts: 60})
		got := count(l, user, signal.Candidate, 30, start)
		if got[within] != 10 || got[over] != 1 || got[silent] != 19 {
			t.Errorf("got %v, want 10 within, 1 over, 19 silent", got)
		}
		got = count(l, user, signal.Candidate, 30, start.Add(time.Second))
		if got[within] != 5 || got[over] != 1 || got[silent] != 24 {
			t.Errorf("a second later: got %v, want 5 within, 1 over, 24 silent", got)
		}
	})
	t.Run("stop and busy are never limited", func(t *testing.T) {
		l := newLimiter(Limits{Messages: 1, Starts: 1})
		count(l, user, signal.Candidate, 100, start)
		for _, typ := range []signal.Type{signal.Stop, signal.Busy} {
			if got := count(l, user, typ, 1000, start); got[within]+got[quiet] != 1000 {
				t.Errorf("%s: %v, want all 1000 judged", typ, got)
			}
		}
		if got := count(l, user, signal.Stop, 10, start.Add(time.Hour)); got[within] != 2 || got[quiet] != 8 {
			t.Errorf("stops: %v, want 2 answered", got)
		}
	})
	t.Run("starts have a bucket of their own", func(t *testing.T) {
		l := newLimiter(Limits{Messages: 1000, Starts: 6})
		if got := count(l, user, signal.Start, 10, start); got[within] != 3 {
			t.Errorf("starts: %v, want 3 within", got)
		}
		if got := count(l, user, signal.Accept, 10, start); got[within] != 10 {
			t.Errorf("accepts: %v, want 10 within", got)
		}
		if got := count(l, user, signal.Start, 10, start.Add(10*time.Second)); got[within] != 1 {
			t.Errorf("starts ten seconds later: %v, want 1 within", got)
		}
	})
	t.Run("an app has one bucket, larger", func(t *testing.T) {
		l := newLimiter(Limits{}.withDefaults())
		if got := count(l, app, signal.Start, 5000, start); got[within] != 4000 {
			t.Errorf("%v, want 4000 within", got)
		}
	})
	t.Run("negative is no limit", func(t *testing.T) {
		l := newLimiter(Limits{Messages: -1, Starts: -1, AppMessages: -1})
		if got := count(l, user, signal.Start, 5000, start); got[within] != 5000 {
			t.Errorf("%v, want 5000 within", got)
		}
	})
	t.Run("a backlog is no flood", func(t *testing.T) {
		l := newLimiter(Limits{Messages: 1, Starts: 60})
		for i := range 3600 {
			if got := l.take(self, user, signal.Candidate, start.Add(time.Duration(i)*time.Second)); got != within {
				t.Fatalf("message of second %d: %v, though they were stored a second apart", i, got)
			}
		}
	})
}

// BenchmarkLimiter is what the limits cost a message.
func BenchmarkLimiter(b *testing.B) {
	l := newLimiter(Limits{}.withDefaults())
	self := identity.MustID("1112223334")
	at := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		l.take(self, identity.RoleUser, signal.Candidate, at)
	}
}
