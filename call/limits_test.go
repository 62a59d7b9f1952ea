package call

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// talking returns a script with a live call and n marks, one a second.
func talking(t *testing.T, n int) *script {
	t.Helper()
	s := newScript(t)
	s.play("operator/o1 start m peer=offer")
	s.play("customer/k1 accept m peer=answer")
	for range n - 2 {
		s.play("operator/o1 candidate m")
	}
	if got := len(s.state.Applied); got != n {
		t.Fatalf("want %d marks, nothing being acknowledged, got %d", n, got)
	}
	return s
}

// candidate is one more message, with this acknowledgement floor.
func (s *script) candidate(floor uint64) Decision {
	s.t.Helper()
	s.at = s.at.Add(time.Second)
	e := s.event([]string{"operator/o1", "candidate", "m"})
	e.AckFloor, e.MayDefer = floor, false
	return s.decide(e)
}

func TestMarksStay(t *testing.T) {
	t.Parallel()
	const keep = int(DefaultKeepApplied / time.Second)
	for name, c := range map[string]struct {
		marks int
		floor uint64 // sequences are 1, 2, ... one a second
		want  []uint64
	}{
		"few":                    {KeepMarks - 1, 1000, []uint64{1, KeepMarks}},
		"one too many":           {KeepMarks, 1000, []uint64{2, KeepMarks + 1}},
		"many, none acked":       {KeepMarks + 30, 0, []uint64{1, KeepMarks + 31}},
		"many, some acked":       {KeepMarks + 30, 10, []uint64{11, KeepMarks + 31}},
		"many, all acked":        {KeepMarks + 30, 1000, []uint64{32, KeepMarks + 31}},
		"full, one may go":       {MaxMarks, 1, []uint64{2, MaxMarks + 1}},
		"full, none acked":       {MaxMarks, 0, []uint64{2, MaxMarks + 1}},
		"full, all but the late": {MaxMarks, 1000, []uint64{MaxMarks + 2 - KeepMarks, MaxMarks + 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := talking(t, c.marks)
			if d := s.candidate(c.floor); d.Verdict != Applied {
				t.Fatalf("want applied, got %+v", d)
			}
			got := []uint64{s.state.Applied[0].Seq, s.state.Applied[len(s.state.Applied)-1].Seq}
			if !slices.Equal(got, c.want) {
				t.Errorf("marks: want sequences %v, got %v", c.want, got)
			}
		})
	}
	t.Run("young", func(t *testing.T) {
		t.Parallel()
		s := talking(t, KeepMarks+30)
		for i := range s.state.Applied {
			s.state.Applied[i].At = s.at.Add(time.Second - DefaultKeepApplied) // not older than KeepApplied
		}
		s.candidate(1000)
		if got, want := len(s.state.Applied), KeepMarks+31; got != want {
			t.Errorf("want %d marks within %ds, got %d", want, keep, got)
		}
	})
}

// TestMarksFull: a list full of marks that must stay defers, a few times and if
// the sender may have another message waiting; then it refuses. It never keeps a
// call from ending.
func TestMarksFull(t *testing.T) {
	t.Parallel()
	s := talking(t, MaxMarks)
	e := s.event([]string{"operator/o1", "candidate", "m"})
	// Nothing behind a message that waits counts as acknowledged, and its timestamp
	// stays what it is: time alone makes no room.
	e.At, e.AckFloor, e.MayDefer = s.at, e.Seq-1, true
	for i := range s.state.Applied {
		s.state.Applied[i].At = e.At
	}
	for e.Delivery = 1; e.Delivery < DefaultMaxDeliveries; e.Delivery++ {
		if d := s.decide(e); d.Verdict != Deferred {
			t.Fatalf("delivery %d: want deferred, got %+v", e.Delivery, d)
		}
	}
	if d := s.decide(e); d.Verdict != Refused || d.Code != signal.CodeRateLimited || d.Next != nil || len(d.Say) != 1 {
		t.Errorf("delivery %d: want refused rate_limited and no record, got %+v", e.Delivery, d)
	}
	if d := s.candidate(0); d.Code != signal.CodeRateLimited {
		t.Errorf("if it may not wait: want rate_limited, got %+v", d)
	}
	if got := s.play("operator/o1 candidate m jti=j5"); !slices.Equal(got, []string{"repeat"}) {
		t.Errorf("repeat: want repeat, got %q", got)
	}
	before := *s.state
	stop := s.event([]string{"operator/o1", "stop", "m"})
	if d := s.decide(stop); d.Verdict != Applied || d.Next.Phase != Ended {
		t.Fatalf("stop: want the call ended, got %+v", d)
	}
	if d := s.decide(stop); d.Verdict != Nothing {
		t.Errorf("the same stop again: want nothing, got %+v", d)
	}
	s.state = &before
	if got := s.play("end"); got[0] != "applied" {
		t.Errorf("forced end: want applied, got %q", got)
	}
}

// TestGlareShare: starts that lose to the call that rings never ring themselves.
// They count against who sends them, so that he cannot use up the other's share.
func TestGlareShare(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.play("operator/o1 start a")
	for i := range MaxPastBySide {
		if got := s.play(fmt.Sprintf("customer/k1 start z%d", i)); got[0] != "applied" {
			t.Fatalf("glare %d: want applied, got %q", i, got)
		}
	}
	if got := s.play("customer/k1 start zz"); got[0] != "refused rate_limited" {
		t.Errorf("glare %d: want rate_limited, got %q", MaxPastBySide, got)
	}
	s.play("operator/o1 stop a")
	if got := s.play("operator/o1 start b"); got[0] != "applied" {
		t.Errorf("start of the other side: want applied, got %q", got)
	}
}

// TestPastIsFull: 32 call_ids in ten minutes, the current one included.
func TestPastIsFull(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	for i := range MaxPast {
		if got := s.play(fmt.Sprintf("operator/o1 start c%d", i)); got[0] != "applied" {
			t.Fatalf("call %d: %q", i, got)
		}
		if i < MaxPast-1 {
			s.play(fmt.Sprintf("operator/o1 stop c%d", i))
		}
	}
	if got := s.play("customer/k1 start glare"); got[0] != "refused rate_limited" {
		t.Errorf("glare in call %d: want rate_limited, got %q", MaxPast, got)
	}
	if got := s.play("customer/k1 stop tombstone"); got[0] != "nothing" {
		t.Errorf("tombstone in call %d: want nothing, got %q", MaxPast, got)
	}
	s.play(fmt.Sprintf("operator/o1 stop c%d", MaxPast-1))
	for _, who := range []string{"operator/o1", "customer/k1"} {
		got := s.play(who + " start another")
		if got[0] != "refused rate_limited" || s.state.Last.Code != signal.CodeRateLimited || len(s.state.Past) != MaxPast {
			t.Errorf("call %d: want rate_limited, got %q", MaxPast+1, got)
		}
	}
	s.play("wait 9m")
	if got := s.play("operator/o1 start another"); got[0] != "applied" {
		t.Errorf("after the first was forgotten: want applied, got %q", got)
	}
}

func TestManyParties(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.play("operator/o1 start m")
	for i := range MaxParties {
		s.play(fmt.Sprintf("customer/k%d ringing m", i))
	}
	if got := s.play("customer/more ringing m"); got[0] != "nothing" {
		t.Errorf("party %d: want nothing, got %q", MaxParties+1, got)
	}
	if got := s.play("customer/more busy m"); got[0] != "applied" || len(s.state.Parties) != MaxParties {
		t.Errorf("want applied with %d parties, got %q", MaxParties, got)
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	p := Policy{RingTimeout: 5 * time.Second, MaxDuration: time.Hour, MaxDeliveries: 2}
	e := s.event([]string{"operator", "start", "m"})
	e.Route = testRoute()
	ringing := Decide(p, nil, e)
	if got := ringing.Timer.At.Sub(e.At); got != p.RingTimeout {
		t.Errorf("ring timer: want %v, got %v", p.RingTimeout, got)
	}
	if got := Decide(p, ringing.Next, s.event([]string{"customer", "accept", "m"})); got.Timer.At.Sub(e.At) != p.MaxDuration {
		t.Errorf("duration timer: want %v, got %v", p.MaxDuration, got.Timer.At.Sub(e.At))
	}
	early := s.event([]string{"customer", "candidate", "m", "delivery=2"})
	if got := Decide(p, ringing.Next, early); got.Code != signal.CodeTooEarly {
		t.Errorf("second delivery: want too_early, got %+v", got)
	}
}

func TestNeedsRoute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, before, in string
		want             bool
	}{
		{"no record", inNone, "operator stop m", true},
		{"ringing", inRinging, "operator start n", false},
		{"ringing, stranger", inRinging, "stranger start n", false},
		{"active", inActive, "customer stop m", false},
		{"ended, new start", inEnded, "operator start n", true},
		{"ended, start with the current call_id", inEnded + "; wait 11m", "operator start m", false},
		{"ended, start with a past call_id", inEnded + "; customer stop x", "operator start x", false},
		{"ended, start with a forgotten call_id", inEnded + "; customer stop x; wait 11m", "operator start x", true},
		{"ended, applied start", inEnded + "; wait 11m", "operator start z jti=j1", false},
		{"ended, no start", inEnded, "customer summary m", false},
		{"ended, stranger", inEnded, "stranger summary m", true},
		{"ended, other proxy", inEnded, "customer summary m to=stranger", true},
		{"none, no start", "operator stop m", "customer candidate z", false},
		{"ended, timeout", inEnded, "timeout m 1", false},
		{"no record, forced end", inNone, "end", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t)
			for _, line := range inputs(c.before) {
				s.play(line)
			}
			if got := NeedsRoute(s.state, s.event(strings.Fields(c.in))); got != c.want {
				t.Errorf("want %v, got %v", c.want, got)
			}
		})
	}
}

// TestData: what of data passes the mask, by type.
func TestData(t *testing.T) {
	t.Parallel()
	m := mask{operator: operator, operatorName: "Bob", allow: []string{"note", "customer_name", "z"}}
	for name, c := range map[string]struct {
		from       identity.ID
		data, want string
	}{
		"nothing, operator":      {operator, ``, `{"operator_name":"Bob"}`},
		"nothing, customer":      {customer, ``, ``},
		"only what is not known": {customer, `{"x":1,"Media":2}`, ``},
		"listed, in order":       {customer, `{"z":[1],"note":"n","media":{"b":1,"a":2}}`, `{"media":{"b":1,"a":2},"note":"n","z":[1]}`},
		"names":                  {customer, `{"operator_name":"Eve","customer_name":"Ann"}`, ``},
		"names, operator":        {operator, `{"operator_name":"Eve","customer_name":"Ann","media":1}`, `{"media":1,"operator_name":"Bob"}`},
		"null":                   {customer, `{"media":null}`, `{"media":null}`},
		"no object":              {customer, `["media"]`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := string(m.filter(signal.Message{Issuer: c.from, Data: []byte(c.data)})); got != c.want {
				t.Errorf("want %s, got %s", c.want, got)
			}
		})
	}
}

// TestDetails: one text per code that the state machine uses, none naming anybody.
func TestDetails(t *testing.T) {
	t.Parallel()
	seen := map[string]signal.Code{}
	for _, code := range signal.Codes() {
		text := Detail(code)
		if other, twice := seen[text]; twice && text != "" {
			t.Errorf("%s and %s have the same text", code, other)
		}
		seen[text] = code
	}
	for _, code := range []signal.Code{
		signal.CodeUnknownCall, signal.CodeCallEnded, signal.CodeSessionBusy, signal.CodeDuplicateStart, signal.CodeConflict,
		signal.CodeTooEarly, signal.CodeWrongRole, signal.CodeForbidden, signal.CodeRouteExpired, signal.CodeRouteInvalid,
		signal.CodeUnknownRecipient, signal.CodeRateLimited, signal.CodeInternal,
	} {
		if Detail(code) == "" {
			t.Errorf("%s has no text", code)
		}
	}
}

func TestDirectForgetsTheOldest(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	s.play("mode direct")
	for i := range MaxPast + 1 {
		s.play(fmt.Sprintf("operator stop c%d to=proxy", i))
	}
	if got := s.play("operator start c0 to=proxy"); got[0] != "applied" {
		t.Errorf("the oldest: want applied, got %q", got)
	}
	if got := s.play("operator start c1 to=proxy"); got[0] != "nothing" {
		t.Errorf("the second: want nothing, got %q", got)
	}
	if s.state.Customer != operator || s.state.Operator != proxy {
		t.Errorf("ends: want them sorted, got %v and %v", s.state.Customer, s.state.Operator)
	}
}

// TestDataOutgrows: data that is as long as it may be has no room for the
// operator's name. It is refused for that; it must not fail to be written.
func TestDataOutgrows(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	for _, c := range []struct {
		who  string
		want Verdict
	}{{"operator/o1", Refused}, {"customer/k1", Applied}} {
		e := s.event([]string{c.who, "start", "m-" + c.who[:1]})
		s.route = testRoute()
		s.route.OperatorName, s.route.Start = "Bob", StartBoth
		e.Msg.Data = []byte(`{"media":"` + strings.Repeat("x", signal.MaxData-len(`{"media":""}`)) + `"}`)
		d := s.decide(e)
		if d.Verdict != c.want || c.want == Refused && d.Code != signal.CodeOversized {
			t.Errorf("%s: want verdict %v, got %v %s", c.who, c.want, d.Verdict, d.Code)
		}
	}
}

// TestMarksReplayable: a message that could be stored once more and be in time is
// remembered though it can no longer be delivered again, while there is room.
func TestMarksReplayable(t *testing.T) {
	p := Policy{Replayable: 5 * time.Minute}.withDefaults()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := &State{}
	for i := range MaxMarks {
		if !s.mark(Mark{Hash: strconv.Itoa(i), Seq: uint64(i), At: start.Add(time.Duration(i) * time.Second)}, 1000, p) {
			t.Fatalf("mark %d: no room", i)
		}
	}
	if len(s.Applied) != MaxMarks {
		t.Errorf("%d marks of the last 256 s, want all: none is older than 5 min", len(s.Applied))
	}
	if !s.mark(Mark{Hash: "late", Seq: 999, At: start.Add(MaxMarks * time.Second)}, 1000, p) || s.Applied[0].Hash != "1" {
		t.Errorf("a full list: the first mark is %s, want the oldest gone", s.Applied[0].Hash)
	}
	s.mark(Mark{Hash: "later", Seq: 1000, At: start.Add(10 * time.Minute)}, 1000, p)
	if len(s.Applied) != KeepMarks {
		t.Errorf("%d marks when all but the last are older than 5 min, want %d", len(s.Applied), KeepMarks)
	}
}
