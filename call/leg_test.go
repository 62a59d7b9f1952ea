package call

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestAlias(t *testing.T) {
	t.Parallel()
	const want = "LJ19-meRJ7Orauc-GPsPlA"
	got := aliasOf("cid1", "c1")
	if got != want || !subjects.ValidCallID(got) {
		t.Errorf("alias of c1 on cid1: want %s, got %s", want, got)
	}
	if got == aliasOf("cid2", "c1") {
		t.Error("want another alias on another conversation")
	}
}

// TestLegs: what each side must write to be understood, and what the other is told.
func TestLegs(t *testing.T) {
	t.Parallel()
	const (
		ringing = "route mask; operator/o1 start m peer=offer"
		active  = ringing + "; customer/k1 accept ~m peer=answer"
		ended   = active + "; operator/o1 stop m"
		next    = ended + "; operator/o1 start n peer=offer"
		lost    = ringing + "; customer/k1 start z" // the newcomer loses
		won     = ringing + "; customer/k1 start a" // the newcomer wins
		tomb    = "route mask; customer/k1 stop m"
	)
	const unknown = "refused unknown_call; -> "
	runRows(t, []row{
		{"start/operator", "route mask", "operator/o1 start m", "applied; -> customer start ~m; timer 1m0s m 1; = ringing m"},
		{"start/customer", "route mask", "customer/k1 start m", "applied; -> operator start ~m; timer 1m0s m 1; = ringing m"},
		{"ringing/originator again", ringing, "operator/o1 start m peer=offer", "nothing"},
		{"ringing/alias", ringing, "customer/k1 ringing ~m", "applied; -> operator ringing m; = ringing m parties=k1"},
		{"ringing/not its own", ringing, "customer/k1 ringing m", unknown + "customer error m code=unknown_call ref=j2; = ringing m"},
		{"ringing/refusal by alias", ringing, "customer/k1 summary ~m", "refused wrong_role; -> customer error ~m code=wrong_role ref=j2; = ringing m"},
		{"ringing/deferred", ringing, "customer/k1 update ~m", "deferred"},
		{"ringing/start of the alias", ringing, "customer/k1 start ~m", "refused conflict; -> customer error ~m code=conflict ref=j2; = ringing m"},
		{"ringing/equal call_id, lesser identity", ringing, "customer/k1 start m", "applied; -> operator stop m reason=glare data={\"replaced_by\":\"~m\"}; " +
			"-> customer stop ~m reason=glare data={\"replaced_by\":\"m\"}; -> operator start ~m; timer 1m0s m 2; = ringing m past=m:glare>m"},
		{"ringing/timeout", ringing, "timeout m 1", "applied; -> operator stop m reason=no_answer; -> customer stop ~m reason=no_answer; " +
			"= ended m reason=no_answer by=router past=m:no_answer"},
		{"ringing/forced end", ringing, "end m", "applied; -> operator stop m reason=admin_terminated; -> customer stop ~m reason=admin_terminated; " +
			"timer cancel; = ended m reason=admin_terminated by=router past=m:admin_terminated"},
		{"ringing/forced end by alias", ringing, "end ~m", "nothing"},
		{"active/originator", active, "operator/o1 update m", "applied; -> customer update ~m; = active m winner=k1"},
		{"active/other", active, "customer/k1 candidate ~m", "applied; -> operator candidate m; = active m winner=k1"},
		{"active/not its own", active, "customer/k1 stop m", "applied; = active m winner=k1 past=m:cancelled"},
		{
			"active/another device", active, "customer/k2 accept ~m",
			"applied; -> customer stop ~m reason=answered_elsewhere data={\"party\":\"k1\"}; = active m winner=k1",
		},
		{"ended/alias", ended, "customer/k2 accept ~m", "applied; -> customer stop ~m reason=hangup; = ended m winner=k1 reason=hangup by=operator past=m:hangup"},
		{
			"ended/originator", ended, "operator/o1 start m",
			"refused call_ended; -> operator error m code=call_ended ref=j4; -> operator stop m reason=error; = ended m winner=k1 reason=hangup by=operator past=m:hangup",
		},
		{"ended/own start by chance", ended, "customer/k1 start m", "applied; -> operator start ~m; timer 1m0s m 3; = ringing m past=m:hangup"},
		{"past/alias", next, "customer/k2 accept ~m", "applied; -> customer stop ~m reason=hangup; = ringing n past=m:hangup"},
		{"past/summary", next, "customer/k1 summary ~m", "applied; -> operator summary m; = ringing n past=m:hangup"},
		{"past/not its own", next, "customer/k2 busy m", unknown + "customer error m code=unknown_call ref=j5; = ringing n past=m:hangup"},
		{"past/forgotten", ended + "; operator/o1 start n; operator/o1 stop n; wait 11m", "customer/k2 busy ~m", unknown +
			"customer error ~m code=unknown_call ref=j6; = ended n reason=cancelled by=operator"},
		{"glare/newcomer loses", ringing, "customer/k1 start z", "applied; -> customer stop z reason=glare data={\"replaced_by\":\"~m\"}; = ringing m past=z:glare>m"},
		{"glare/newcomer wins", ringing, "customer/k1 start a", "applied; -> operator stop m reason=glare data={\"replaced_by\":\"~a\"}; " +
			"-> customer stop ~m reason=glare data={\"replaced_by\":\"a\"}; -> operator start ~a; timer 1m0s a 2; = ringing a past=m:glare>a"},
		{
			"glare/late on the loser, originator", lost, "customer/k1 candidate z",
			"applied; -> customer stop z reason=glare data={\"replaced_by\":\"~m\"}; = ringing m past=z:glare>m",
		},
		{
			"glare/late on the loser, other side", won, "customer/k1 accept ~m",
			"applied; -> customer stop ~m reason=glare data={\"replaced_by\":\"a\"}; = ringing a past=m:glare>a",
		},
		{"glare/survivor over", won + "; operator/o1 accept ~a; operator/o1 stop ~a", "customer/k1 accept ~m", "applied; " +
			"-> customer stop ~m reason=glare data={\"replaced_by\":\"a\"}; = ended a winner=o1 reason=hangup by=operator past=m:glare>a,a:hangup"},
		{
			"tombstone/its start", tomb, "customer/k1 start m",
			"refused call_ended; -> customer error m code=call_ended ref=j2; -> customer stop m reason=error; = none past=m:cancelled",
		},
		{"tombstone/start of the other side", tomb, "operator/o1 start m", "applied; -> customer start ~m; timer 1m0s m 1; = ringing m past=m:cancelled"},
		{
			"tombstone/second, its summary", "route mask; operator/o1 stop m; operator/o1 stop n", "operator/o1 summary n",
			"applied; -> customer summary ~n; = none past=m:cancelled,n:cancelled",
		},
		{"unknown/stranger", ringing, "stranger accept m", "stranger unknown_call; -> stranger error m code=unknown_call ref=j2"},
		{"unknown/stranger, alias", ringing, "stranger accept ~m", "stranger unknown_call; -> stranger error ~m code=unknown_call ref=j2"},
		{"route/changes during a call", ringing + "; route", "customer/k1 accept ~m", "applied; -> operator accept m; timer 4h0m0s m 2; = active m winner=k1"},
		{
			"route/off after a call", ended + "; route", "customer/k1 summary ~m",
			"applied; -> operator summary m; = ended m winner=k1 reason=hangup by=operator past=m:hangup",
		},
		{
			"route/on after a call", inEnded + "; route mask", "customer/k1 summary m",
			"applied; -> operator summary m; = ended m reason=cancelled by=operator past=m:cancelled",
		},
	})
}

func TestLegNames(t *testing.T) {
	t.Parallel()
	s := newScript(t)
	for _, line := range []string{"route mask", "operator/o1 start m", "operator/o1 stop m", "customer/k1 start n"} {
		s.play(line)
	}
	for id, want := range map[string]bool{
		"m": true, aliasOf("cid1", "m"): true, "n": false, aliasOf("cid1", "n"): false, "x": false, "": false,
	} {
		if got := s.state.Over(id); got != want {
			t.Errorf("%q is over: want %v, got %v", id, want, got)
		}
	}
	for _, tc := range []struct {
		side   identity.ID
		callID string
		want   bool
	}{
		{customer, "n", true},
		{operator, aliasOf("cid1", "n"), true},
		{operator, "n", false},
		{customer, aliasOf("cid1", "n"), false},
		{customer, "", false},
		{operator, "m", false},
	} {
		if got := s.state.LiveAs(tc.side, tc.callID); got != tc.want {
			t.Errorf("%v: %q is live: want %v, got %v", tc.side, tc.callID, tc.want, got)
		}
	}
}

// TestUnmaskedRecord: without the flag nothing of it is written.
func TestUnmaskedRecord(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		if s := history(t, func(*State, Event, Decision) {}); s != nil {
			b, err := s.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, []byte(`"mask_call_id"`)) || slices.ContainsFunc(s.Past, func(p PastCall) bool { return !p.Caller.IsZero() }) {
				t.Fatalf("want no trace of masking, got %s", b)
			}
		}
	})
}

// maskState adds masking to a drawn record, in all its combinations.
func maskState(t *rapid.T, s *State) *State {
	if s == nil {
		return nil
	}
	s.MaskCallID = rapid.Bool().Draw(t, "record masks")
	for i := range s.Past {
		s.Past[i].Caller = rapid.SampledFrom([]identity.ID{nobody, customer, operator}).Draw(t, "past caller")
	}
	return s
}

func maskEvent(t *rapid.T, e Event) Event {
	if e.Route != nil {
		e.Route.MaskCallID = rapid.Bool().Draw(t, "route masks")
	}
	if rapid.Bool().Draw(t, "alias") {
		e.Msg.CallID = aliasOf("cid1", e.Msg.CallID)
	}
	return e
}

// TestTotalMasked: TestTotal and TestRouteOnlyWhenAsked with masked calls in
// record, event and route.
func TestTotalMasked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := maskState(t, drawState(t))
		e := maskEvent(t, drawEvent(t, epoch0.Add(time.Duration(rapid.IntRange(0, 1300).Draw(t, "seconds"))*time.Second)))
		given, before := [2]any{s, e.Route}, [2]any{snapshot(s), copyRoute(e.Route)}
		asks := NeedsRoute(s, e)
		d := Decide(Policy{}, s, e)
		checkDecision(t, s, e, d)
		checkAudience(t, e, d)
		if !asks {
			blind := e
			blind.Route, blind.RouteBroken = nil, false
			if diff := cmp.Diff(Decide(Policy{}, s, blind), d, cmp.Comparer(sameID)); diff != "" {
				t.Fatalf("a route that was not asked for counts (-without +with):\n%s", diff)
			}
		}
		scribble(d.Next)
		if diff := cmp.Diff(before, given, cmp.Comparer(sameID)); diff != "" {
			t.Fatalf("Decide changed what it was given, or shares it:\n%s", diff)
		}
	})
}

// TestNobodyHearsTheOthersCallID: over any history on a masked route nobody is told
// a call_id but what he has written himself, whoever else has written it before.
func TestNobodyHearsTheOthersCallID(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		written := map[identity.ID][]string{}
		var s *State
		at := epoch0
		for i := range rapid.IntRange(1, 60).Draw(t, "length") {
			at = at.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
			e := maskEvent(t, drawEvent(t, at))
			e.Seq = uint64(i) + 1
			if e.Route != nil {
				e.Route.MaskCallID = true
			}
			written[e.Msg.Issuer] = append(written[e.Msg.Issuer], e.Msg.CallID)
			d := Decide(Policy{}, s, e)
			checkDecision(t, s, e, d)
			for _, say := range d.Say {
				for _, id := range []string{"a", "b", "c", "d"} {
					tells := say.CallID == id || strings.Contains(string(say.Data), `"replaced_by":"`+id+`"`)
					if tells && !slices.Contains(written[say.To], id) {
						t.Fatalf("%v is told %s: %+v", say.To, id, say)
					}
				}
				if e.Kind == Message && say.Type == signal.Error && say.CallID != e.Msg.CallID {
					t.Fatalf("want an echo of %q, got %+v", e.Msg.CallID, say)
				}
			}
			if d.Next != nil {
				s = d.Next
			}
		}
	})
}
