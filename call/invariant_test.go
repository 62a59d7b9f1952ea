package call

import (
	"github.com/google/go-cmp/cmp"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// fatalist is what testing.TB and rapid.T have in common.
type fatalist interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkDecision checks what must hold of every decision.
func checkDecision(t fatalist, s *State, e Event, d Decision) {
	t.Helper()
	noRoom := s != nil && len(s.Applied) == MaxMarks
	full := noRoom && d.Code == signal.CodeRateLimited && d.Next == nil
	writes := d.Verdict == Applied || d.Verdict == Refused && !full
	if writes != (d.Next != nil) {
		t.Fatalf("verdict %d with Next %v", d.Verdict, d.Next)
	}
	if (d.Code != "") != (d.Verdict == Refused || d.Verdict == Stranger) {
		t.Fatalf("verdict %d with code %q", d.Verdict, d.Code)
	}
	if !writes && d.Timer.Op != TimerKeep || !writes && d.Verdict != Stranger && !full && len(d.Say) > 0 {
		t.Fatalf("verdict %d says %v, timer %v, and writes nothing", d.Verdict, d.Say, d.Timer)
	}
	if d.Next == nil {
		return
	}
	b, err := d.Next.Encode()
	if err != nil {
		t.Fatalf("Next does not encode: %v\n%+v", err, d.Next)
	}
	back, err := DecodeState(b)
	if err != nil {
		t.Fatalf("Next does not decode: %v\n%s", err, b)
	}
	normal := snapshot(d.Next)
	normal.normalize()
	if diff := cmp.Diff(*normal, back, cmp.Comparer(sameID)); diff != "" {
		t.Fatalf("decode(encode(Next)) differs (-want +got):\n%s", diff)
	}
	checkTimer(t, s, e, d)
	ends := e.Msg.Type == signal.Stop || e.Msg.Type == signal.Busy
	if e.Kind == Message && (!noRoom || !ends) && !d.Next.applied(hashOf(e.Msg.Issuer, e.Msg.JTI)) {
		t.Fatalf("message is not among the applied")
	}
}

// checkTimer checks that a live call has exactly one timer, its own.
func checkTimer(t fatalist, s *State, e Event, d Decision) {
	t.Helper()
	n := d.Next
	fired := e.Kind == Timeout
	switch {
	case d.Timer.Op == TimerSet && (!n.Live() || d.Timer.CallID != n.CallID || d.Timer.Epoch != n.Epoch || !d.Timer.At.Equal(n.Deadline)):
		t.Fatalf("timer %+v for record %+v", d.Timer, n)
	case d.Timer.Op == TimerCancel && (n.Live() || !s.Live()):
		t.Fatalf("timer cancelled on the way from %v to %v", s, n)
	case s.Live() && !n.Live() && !fired && d.Timer.Op != TimerCancel:
		t.Fatalf("call ended, timer left")
	case n.Live() && (!s.Live() || s.Epoch != n.Epoch || fired) && d.Timer.Op != TimerSet:
		t.Fatalf("call is live without a timer")
	case s != nil && n.Epoch < s.Epoch:
		t.Fatalf("epoch fell from %d to %d", s.Epoch, n.Epoch)
	}
}

func sameID(a, b identity.ID) bool { return a == b }
