package call

import (
	"slices"
	"strings"
	"testing"
)

// Ways into the states. The operator, A, calls the customer, B, with call_id m;
// glare uses lesser and greater ones.
const (
	inNone          = ""
	inRinging       = "operator/o1 start m peer=offer"
	inRingingTwo    = inRinging + "; customer/k1 ringing m; customer/k2 ringing m"
	inActive        = inRingingTwo + "; customer/k1 accept m peer=answer"
	inActiveAlone   = inRinging + "; customer/k1 accept m peer=answer"
	inActiveUnnamed = inRinging + "; customer/k2 ringing m; customer accept m peer=answer"
	inEnded         = inRinging + "; operator/o1 stop m"
	inHungUp        = inActiveAlone + "; customer/k1 stop m"
	inGlareLost     = inRinging + "; customer/k1 start z"
	// A second call is live, m is past.
	inNextCall = inEnded + "; operator/o1 start n peer=offer2"
)

type row struct {
	name   string // state/message,sender
	before string // inputs, separated by ";"
	in     string
	want   string // outputs, separated by "; "
}

// inputs splits a sequence of inputs.
func inputs(text string) []string {
	lines := strings.Split(text, ";")
	return slices.DeleteFunc(lines, func(line string) bool { return strings.TrimSpace(line) == "" })
}

func runRows(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := newScript(t)
			for _, line := range inputs(r.before) {
				s.play(line)
			}
			if got := strings.Join(s.play(r.in), "; "); got != r.want {
				t.Errorf("%s\nafter %q\nwant %s\ngot  %s", r.in, r.before, r.want, got)
			}
		})
	}
}

// TestCallIDFirst is the table "call_id first" of docs/protocol.md.
func TestCallIDFirst(t *testing.T) {
	t.Parallel()
	runRows(t, []row{
		{"any/anything,X/none", inNone, "stranger/s1 start m", "stranger unknown_call; -> stranger error m code=unknown_call ref=j1"},
		{"any/anything,X/no route", "route none", "operator/o1 start m", "stranger unknown_call; -> operator error m code=unknown_call ref=j1"},
		{"any/anything,X/other proxy", inNone, "operator/o1 start m to=stranger", "stranger unknown_call; -> operator error m code=unknown_call ref=j1"},
		{"any/anything,X/live", inRinging, "stranger/s1 stop m", "stranger unknown_call; -> stranger error m code=unknown_call ref=j2"},
		{"any/anything,X/live, other proxy", inRinging, "customer accept m to=stranger", "stranger unknown_call; -> customer error m code=unknown_call ref=j2"},
		{"any/anything,X/ended", inEnded, "stranger/s1 accept m", "stranger unknown_call; -> stranger error m code=unknown_call ref=j3"},
		{"any/already applied", inRinging, "operator/o1 start m jti=j1 peer=offer", "repeat"},
		{"any/already applied/refused", inRinging + "; operator/o1 start n", "operator/o1 start n jti=j2", "repeat"},
		{"any/already applied/route gone", inRinging + "; operator/o1 stop m; wait 11m; route none", "operator/o1 start m jti=j1", "repeat"},
		{"none/stop,never seen", inNone, "operator/o1 stop m", "applied; = none past=m:cancelled"},
		{"none/stop,never seen/its start", "operator/o1 stop m reason=hangup", "operator/o1 start m", "refused call_ended; -> operator error m code=call_ended ref=j2; -> operator stop m reason=error; = none past=m:hangup"},
		{"ringing/stop,never seen", inRinging, "customer/k1 stop z", "applied; = ringing m past=z:cancelled"},
		{"active/stop,never seen", inActiveAlone, "operator/o1 stop z", "applied; = active m winner=k1 past=z:cancelled"},
		{"ended/stop,never seen", inEnded, "operator/o1 stop z", "applied; = ended m reason=cancelled by=operator past=m:cancelled,z:cancelled"},
		{"none/candidate,never seen", inNone, "operator/o1 candidate m peer=c", "deferred"},
		{"none/candidate,never seen/too often", inNone, "operator/o1 candidate m delivery=5", "refused unknown_call; -> operator error m code=unknown_call ref=j1; = none"},
		{"none/candidate,never seen/may not wait", inNone, "operator/o1 candidate m nodefer", "refused unknown_call; -> operator error m code=unknown_call ref=j1; = none"},
		{"active/candidate,never seen", inActiveAlone, "operator/o1 candidate z", "deferred"},
		{"ended/start,past call_id", inNextCall + "; operator/o1 stop n", "operator/o1 start m", "refused call_ended; -> operator error m code=call_ended ref=j5; -> operator stop m reason=error; = ended n reason=cancelled by=operator past=m:cancelled,n:cancelled"},
		{"ringing/start,past call_id", inNextCall, "customer/k1 start m", "refused call_ended; -> customer error m code=call_ended ref=j4; -> customer stop m reason=error; = ringing n past=m:cancelled"},
		{"ringing/accept,past call_id", inNextCall, "customer/k1 accept m", "applied; -> customer stop m reason=cancelled; = ringing n past=m:cancelled"},
		{"ringing/summary,past call_id", inNextCall, `customer/k1 summary m data={"media":1,"x":2}`, `applied; -> operator summary m data={"media":1}; = ringing n past=m:cancelled`},
		{"ringing/ringing,past call_id", inNextCall, "customer/k1 ringing m", "nothing"},
		{"ringing/busy,past call_id", inNextCall, "customer/k1 busy m", "nothing"},
		{"ringing/stop,past call_id", inNextCall, "operator/o1 stop m", "nothing"},
		{"ringing/candidate,past call_id", inNextCall, "operator/o1 candidate m", "nothing"},
		{"ringing/update,past call_id", inNextCall, "operator/o1 update m", "nothing"},
		{"ringing/setup,past call_id", inNextCall, "operator/o1 setup m", "nothing"},
		{"ringing/error,past call_id", inNextCall, "operator/o1 error m", "nothing"},
		{"ringing/ringing,past call_id, its side hung up", inHungUp + "; operator/o1 start n", "customer/k2 ringing m", "applied; -> customer stop m reason=answered_elsewhere; = ringing n past=m:hangup"},
		{"ringing/ringing,past call_id, the other side hung up", inHungUp + "; operator/o1 start n", "operator/o2 ringing m", "nothing"},
		{"none/ringing,past call_id, tombstone", "customer/k1 stop m", "customer/k1 ringing m", "nothing"},
		{"none/accept,never seen", inNone, "customer/k1 accept m", "refused unknown_call; -> customer error m code=unknown_call ref=j1; -> customer stop m reason=error; = none"},
		{"ringing/accept,never seen", inRinging, "customer/k1 accept z", "refused unknown_call; -> customer error z code=unknown_call ref=j2; -> customer stop z reason=error; = ringing m"},
		{"active/ringing,never seen", inActiveAlone, "customer/k1 ringing z", "refused unknown_call; -> customer error z code=unknown_call ref=j3; = active m winner=k1"},
		{"ended/busy,never seen", inEnded, "customer/k1 busy z", "refused unknown_call; -> customer error z code=unknown_call ref=j3; = ended m reason=cancelled by=operator past=m:cancelled"},
		{"none/update,never seen", inNone, "customer/k1 update m", "refused unknown_call; -> customer error m code=unknown_call ref=j1; = none"},
		{"none/summary,never seen", inNone, "customer/k1 summary m", "refused unknown_call; -> customer error m code=unknown_call ref=j1; = none"},
		{"none/setup", inNone, "operator/o1 setup -", "refused wrong_role; -> operator error  code=wrong_role ref=j1; = none"},
		{"ringing/error,never seen", inRinging, "operator/o1 error z", "refused wrong_role; -> operator error z code=wrong_role ref=j2; = ringing m"},
		{"any/start without call_id", inNone, "operator/o1 start -", "refused wrong_role; -> operator error  code=wrong_role ref=j1; = none"},
	})
}

// TestIdle holds the rows of none/ended for a start with a new call_id.
func TestIdle(t *testing.T) {
	t.Parallel()
	const said = "; -> operator error m code=%s ref=j1; -> operator stop m reason=error; = none past=m:error"
	refused := func(code string) string { return "refused " + code + strings.ReplaceAll(said, "%s", code) }
	runRows(t, []row{
		{"none/start,operator", "route start=operator name=Bob", `operator/o1 start m peer=offer data={"media":"audio","operator_name":"Eve"}`, `applied; -> customer start m peer=offer data={"media":"audio","operator_name":"Bob"}; timer 1m0s m 1; = ringing m`},
		{"none/start,operator by default", "route start=", "operator/o1 start m", "applied; -> customer start m; timer 1m0s m 1; = ringing m"},
		{"none/start,customer", "route start=both name=Bob", "customer/k1 start m peer=offer", "applied; -> operator start m peer=offer; timer 1m0s m 1; = ringing m"},
		{"ended/start,new call_id", inEnded, "customer/k1 start n peer=offer", "applied; -> operator start n peer=offer; timer 1m0s n 2; = ringing n past=m:cancelled"},
		{"none/start,side not allowed", "route start=operator", "customer/k1 start m", strings.ReplaceAll(refused("forbidden"), "operator", "customer")},
		{"ended/start,side not allowed", inEnded + "; route start=", "customer/k1 start n", "refused forbidden; -> customer error n code=forbidden ref=j3; -> customer stop n reason=error; = ended m reason=cancelled by=operator past=m:cancelled,n:error"},
		{"none/start,route expired", "route expires=1s", "operator/o1 start m", refused("route_expired")},
		{"none/start,route not yet expired", "route expires=2s", "operator/o1 start m", "applied; -> customer start m; timer 1m0s m 1; = ringing m"},
		{"none/start,route broken", "route broken", "operator/o1 start m", refused("route_invalid")},
		{"none/start,route broken/sides equal", "route customer=operator", "operator/o1 start m", refused("route_invalid")},
		{"none/start,route broken/X", "route broken", "stranger/s1 start m", "stranger unknown_call; -> stranger error m code=unknown_call ref=j1"},
		{"none/start,route unreadable", "route unreadable", "stranger/s1 start m", "stranger route_invalid; -> stranger error m code=route_invalid ref=j1"},
		{"none/accept,route unreadable", "route unreadable", "customer/k1 accept m", "stranger unknown_call; -> customer error m code=unknown_call ref=j1"},
		{"none/candidate,route broken", "route broken", "operator/o1 candidate m", "refused route_invalid; -> operator error m code=route_invalid ref=j1; = none"},
		{"none/accept,route broken", "route broken", "operator/o1 accept m", "refused route_invalid; -> operator error m code=route_invalid ref=j1; -> operator stop m reason=error; = none"},
		{"none/stop,route broken", "route broken", "operator/o1 stop m", "applied; = none past=m:cancelled"},
		{"none/summary past,route broken", "route broken; operator/o1 stop m", "operator/o1 summary m", "refused route_invalid; -> operator error m code=route_invalid ref=j2; = none past=m:cancelled"},
		{"none/candidate of a refused start", "route start=; customer/k1 start m", "customer/k1 candidate m", "nothing"},
		{"none/timeout", inNone, "timeout m 1", "nothing"},
		{"none/forced end", inNone, "end", "nothing"},
	})
}

// TestRinging holds the rows of ringing.
func TestRinging(t *testing.T) {
	t.Parallel()
	runRows(t, []row{
		{"ringing/ringing,B/first of all", inRinging, "customer/k1 ringing m peer=x data={\"media\":1}", "applied; -> operator ringing m; = ringing m parties=k1"},
		{"ringing/ringing,B/first of a party", inRinging + "; customer/k1 ringing m", "customer/k2 ringing m", "applied; = ringing m parties=k1,k2"},
		{"ringing/ringing,B/again", inRinging + "; customer/k1 ringing m", "customer/k1 ringing m", "nothing"},
		{"ringing/ringing,B/no party", inRinging, "customer ringing m", "applied; -> operator ringing m; = ringing m parties="},
		{"ringing/start,A/same call_id, same peer_info", inRinging, "operator/o1 start m peer=offer", "nothing"},
		{"ringing/start,A/same call_id, other peer_info", inRinging, "operator/o1 start m peer=other", "refused duplicate_start; -> operator error m code=duplicate_start ref=j2; = ringing m"},
		{"ringing/start,A/new call_id", inRinging, "operator/o1 start n", "refused session_busy; -> operator error n code=session_busy ref=j2; -> operator stop n reason=error; = ringing m past=n:error"},
		{"ringing/start,B/same call_id", inRinging, "customer/k1 start m peer=offer", "refused conflict; -> customer error m code=conflict ref=j2; = ringing m"},
		{"ringing/start,B/side not allowed", "route start=operator; " + inRinging, "customer/k1 start n", "refused forbidden; -> customer error n code=forbidden ref=j2; -> customer stop n reason=error; = ringing m past=n:error"},
		{"ringing/start,B/glare, newcomer loses", inRinging, "customer/k1 start z peer=offer2", `applied; -> customer stop z reason=glare data={"replaced_by":"m"}; = ringing m past=z:glare>m`},
		{"ringing/start,B/glare, newcomer survives", inRingingTwo, "customer/k1 start a peer=offer2", `applied; -> operator stop m reason=glare data={"replaced_by":"a"}; -> customer stop m reason=glare data={"replaced_by":"a"}; -> operator start a peer=offer2; timer 1m0s a 2; = ringing a past=m:glare>a`},
		{"ringing/accept,on the loser", inGlareLost, "operator/o1 accept z", `applied; -> operator stop z reason=glare data={"replaced_by":"m"}; = ringing m past=z:glare>m`},
		{"ringing/start,on the loser", inGlareLost, "customer/k1 start z", `applied; -> customer stop z reason=glare data={"replaced_by":"m"}; = ringing m past=z:glare>m`},
		{"ringing/ringing,on the loser", inGlareLost, "operator/o1 ringing z", `applied; -> operator stop z reason=glare data={"replaced_by":"m"}; = ringing m past=z:glare>m`},
		{"ringing/busy,on the loser", inGlareLost, "operator/o1 busy z", `applied; -> operator stop z reason=glare data={"replaced_by":"m"}; = ringing m past=z:glare>m`},
		{"ringing/candidate,on the loser", inGlareLost, "customer/k1 candidate z", `applied; -> customer stop z reason=glare data={"replaced_by":"m"}; = ringing m past=z:glare>m`},
		{"ringing/update,on the loser", inGlareLost, "customer/k1 update z", `applied; -> customer stop z reason=glare data={"replaced_by":"m"}; = ringing m past=z:glare>m`},
		{"ringing/stop,on the loser", inGlareLost, "customer/k1 stop z", "nothing"},
		{"ringing/summary,on the loser", inGlareLost, "customer/k1 summary z", "applied; -> operator summary z; = ringing m past=z:glare>m"},
		{"ringing/accept,B/others rang", inRingingTwo, `customer/k1 accept m peer=answer data={"media":"audio","customer_name":"Ann"}`, `applied; -> operator accept m peer=answer data={"media":"audio"}; -> customer stop m reason=answered_elsewhere data={"party":"k1"}; timer 4h0m0s m 2; = active m parties=k1,k2 winner=k1`},
		{"ringing/accept,B/no other rang", inRinging + "; customer/k1 ringing m", "customer/k1 accept m peer=answer", "applied; -> operator accept m peer=answer; timer 4h0m0s m 2; = active m parties=k1 winner=k1"},
		{"ringing/accept,B/no party, others rang", inRingingTwo, "customer accept m peer=answer", "applied; -> operator accept m peer=answer; timer 4h0m0s m 2; = active m parties=k1,k2"},
		{"ringing/busy,B/others ring", inRingingTwo, "customer/k1 busy m", "applied; = ringing m parties=k1(busy),k2"},
		{"ringing/busy,B/others ring, its ringing is late", inRinging + "; customer/k2 ringing m; customer/k1 busy m", "customer/k1 ringing m", "nothing"},
		{"ringing/busy,B/last of two", inRingingTwo + "; customer/k1 busy m", "customer/k2 busy m", `applied; -> operator busy m; -> customer stop m reason=busy data={"party":"k2"}; timer cancel; = ended m parties=k1(busy),k2 reason=busy by=customer past=m:busy`},
		{"ringing/busy,B/nobody else", inRinging, "customer/k1 busy m", `applied; -> operator busy m; -> customer stop m reason=busy data={"party":"k1"}; timer cancel; = ended m reason=busy by=customer past=m:busy`},
		{"ringing/busy,B/no party, alone", inRinging, "customer busy m", "applied; -> operator busy m; timer cancel; = ended m reason=busy by=customer past=m:busy"},
		{"ringing/busy,B/no party, others ring", inRingingTwo, "customer busy m", "applied; -> operator busy m; -> customer stop m reason=busy; timer cancel; = ended m parties=k1,k2 reason=busy by=customer past=m:busy"},
		{"ringing/stop,A", inRinging, "operator/o1 stop m", "applied; -> customer stop m reason=cancelled; timer cancel; = ended m reason=cancelled by=operator past=m:cancelled"},
		{"ringing/stop,A/known reason", inRinging, "operator/o2 stop m reason=ice_failed", "applied; -> customer stop m reason=ice_failed; timer cancel; = ended m reason=ice_failed by=operator past=m:ice_failed"},
		{"ringing/stop,A/unknown reason", inRinging, "operator/o1 stop m reason=tired", "applied; -> customer stop m reason=cancelled; timer cancel; = ended m reason=cancelled by=operator past=m:cancelled"},
		{"ringing/stop,B", inRinging, "customer/k1 stop m", `applied; -> operator stop m reason=declined; -> customer stop m reason=declined data={"party":"k1"}; timer cancel; = ended m reason=declined by=customer past=m:declined`},
		{"ringing/stop,B/no party", inRinging, "customer stop m", "applied; -> operator stop m reason=declined; timer cancel; = ended m reason=declined by=customer past=m:declined"},
		{"ringing/timeout,this call_id and epoch", inRinging, "timeout m 1", "applied; -> operator stop m reason=no_answer; -> customer stop m reason=no_answer; = ended m reason=no_answer by=router past=m:no_answer"},
		{"ringing/candidate,A", inRinging, "operator/o2 candidate m peer=c data={\"media\":1}", "applied; -> customer candidate m peer=c; = ringing m"},
		{"ringing/candidate,B", inRinging, "customer/k1 candidate m peer=c", "deferred"},
		{"ringing/candidate,B/too often", inRinging, "customer/k1 candidate m delivery=5", "refused too_early; -> customer error m code=too_early ref=j2; = ringing m"},
		{"ringing/update,B", inRinging, "customer/k1 update m peer=c", "deferred"},
		{"ringing/update,B/may not wait", inRinging, "customer/k1 update m nodefer", "refused too_early; -> customer error m code=too_early ref=j2; = ringing m"},
		{"ringing/forced end", inRinging, "end", "applied; -> operator stop m reason=admin_terminated; -> customer stop m reason=admin_terminated; timer cancel; = ended m reason=admin_terminated by=router past=m:admin_terminated"},
		{"ringing/forced end/of another call", inRinging, "end z", "nothing"},
		{"ringing/stale timeout/call_id", inRinging, "timeout z 1", "applied; timer 59s m 1; = ringing m"},
		{"ringing/stale timeout/epoch", inGlareWon, "timeout m 1", "applied; timer 59s a 2; = ringing a past=m:glare>a"},
		{"ringing/anything else/accept,A", inRinging, "operator/o1 accept m", "refused wrong_role; -> operator error m code=wrong_role ref=j2; = ringing m"},
		{"ringing/anything else/ringing,A", inRinging, "operator/o1 ringing m", "refused wrong_role; -> operator error m code=wrong_role ref=j2; = ringing m"},
		{"ringing/anything else/busy,A", inRinging, "operator/o1 busy m", "refused wrong_role; -> operator error m code=wrong_role ref=j2; = ringing m"},
		{"ringing/anything else/update,A", inRinging, "operator/o1 update m", "refused wrong_role; -> operator error m code=wrong_role ref=j2; = ringing m"},
		{"ringing/anything else/summary,A", inRinging, "operator/o1 summary m", "refused wrong_role; -> operator error m code=wrong_role ref=j2; = ringing m"},
		{"ringing/anything else/summary,B", inRinging, "customer/k1 summary m", "refused wrong_role; -> customer error m code=wrong_role ref=j2; = ringing m"},
		{"ringing/anything else/setup", inRinging, "operator/o1 setup m", "refused wrong_role; -> operator error m code=wrong_role ref=j2; = ringing m"},
		{"ringing/anything else/error", inRinging, "customer/k1 error m", "refused wrong_role; -> customer error m code=wrong_role ref=j2; = ringing m"},
	})
}

const inGlareWon = inRinging + "; customer/k1 start a"

// TestActive holds the rows of active.
func TestActive(t *testing.T) {
	t.Parallel()
	const state = "; = active m parties=k1,k2 winner=k1"
	elsewhere := `applied; -> customer stop m reason=answered_elsewhere data={"party":"k1"}` + state
	wrongRole := func(who string) string {
		return "refused wrong_role; -> " + who + " error m code=wrong_role ref=j5" + state
	}
	hangup := func(by, to, reason string) string {
		return "applied; -> " + to + " stop m reason=" + reason + "; timer cancel; = ended m parties=k1,k2 winner=k1 reason=" + reason + " by=" + by + " past=m:" + reason
	}
	runRows(t, []row{
		{"active/accept,winner again", inActive, "customer/k1 accept m peer=answer", "nothing"},
		{"active/accept,winner again/no party", inActiveUnnamed, "customer accept m", "nothing"},
		{"active/accept,other named device of B", inActive, "customer/k2 accept m", elsewhere},
		{"active/accept,device of B without a name", inActive, "customer accept m", elsewhere},
		{"active/accept,other device, winner has no name", inActiveUnnamed, "customer/k2 accept m", "refused conflict; -> customer error m code=conflict ref=j4; = active m parties=k2"},
		{"active/ringing,winner", inActive, "customer/k1 ringing m", "nothing"},
		{"active/ringing,other device of B", inActiveAlone, "customer/k2 ringing m", `applied; -> customer stop m reason=answered_elsewhere data={"party":"k1"}; = active m winner=k1`},
		{"active/ringing,other device, winner has no name", inActiveUnnamed, "customer/k3 ringing m", "refused conflict; -> customer error m code=conflict ref=j4; = active m parties=k2"},
		{"active/busy,B", inActive, "customer/k2 busy m", "nothing"},
		{"active/busy,B/winner", inActive, "customer/k1 busy m", "nothing"},
		{"active/stop,losing device of B", inActive, "customer/k2 stop m", "nothing"},
		{"active/stop,other device of A", inActive, "operator/o2 stop m", "nothing"},
		{"active/stop,A", inActive, "operator/o1 stop m", hangup("operator", "customer", "hangup")},
		{"active/stop,A/reason", inActive, "operator/o1 stop m reason=ice_timeout", hangup("operator", "customer", "ice_timeout")},
		{"active/stop,winner", inActive, "customer/k1 stop m", hangup("customer", "operator", "hangup")},
		{"active/stop,winner without a name, others rang", inActiveUnnamed, "customer stop m", "applied; -> operator stop m reason=hangup; -> customer stop m reason=answered_elsewhere; timer cancel; = ended m parties=k2 reason=hangup by=customer past=m:hangup"},
		{"active/start,A/new call_id", inActive, "operator/o1 start n", "refused session_busy; -> operator error n code=session_busy ref=j5; -> operator stop n reason=error" + state + " past=n:error"},
		{"active/start,B/new call_id", inActive, "customer/k2 start a", "refused session_busy; -> customer error a code=session_busy ref=j5; -> customer stop a reason=error" + state + " past=a:error"},
		{"active/candidate,A", inActive, "operator/o1 candidate m peer=c", "applied; -> customer candidate m peer=c" + state},
		{"active/candidate,winner", inActive, "customer/k1 candidate m peer=c", "applied; -> operator candidate m peer=c" + state},
		{"active/update,A", inActive, `operator/o1 update m peer=c data={"media":"hold"}`, `applied; -> customer update m peer=c data={"media":"hold"}` + state},
		{"active/update,winner", inActive, "customer/k1 update m peer=c", "applied; -> operator update m peer=c" + state},
		{"active/timeout,this call_id and epoch", inActive, "timeout m 2", "applied; -> operator stop m reason=max_duration; -> customer stop m reason=max_duration; = ended m parties=k1,k2 winner=k1 reason=max_duration by=router past=m:max_duration"},
		{"active/forced end", inActive, "end m", "applied; -> operator stop m reason=admin_terminated; -> customer stop m reason=admin_terminated; timer cancel; = ended m parties=k1,k2 winner=k1 reason=admin_terminated by=router past=m:admin_terminated"},
		{"active/stale timeout", inActive, "timeout m 1", "applied; timer 3h59m59s m 2" + state},
		{"active/anything else/candidate,losing device of B", inActive, "customer/k2 candidate m", wrongRole("customer")},
		{"active/anything else/update,losing device of B", inActive, "customer/k2 update m", wrongRole("customer")},
		{"active/anything else/start,A,same call_id", inActive, "operator/o1 start m peer=offer", wrongRole("operator")},
		{"active/anything else/start,B,same call_id", inActive, "customer/k1 start m", wrongRole("customer")},
		{"active/anything else/accept,A", inActive, "operator/o1 accept m", wrongRole("operator")},
		{"active/anything else/ringing,A", inActive, "operator/o1 ringing m", wrongRole("operator")},
		{"active/anything else/busy,A", inActive, "operator/o1 busy m", wrongRole("operator")},
		{"active/anything else/summary,A", inActive, "operator/o1 summary m", wrongRole("operator")},
		{"active/anything else/summary,winner", inActive, "customer/k1 summary m", wrongRole("customer")},
		{"active/anything else/setup", inActive, "operator/o1 setup m", wrongRole("operator")},
		{"active/anything else/error", inActive, "customer/k1 error m", wrongRole("customer")},
	})
}

// TestEndedByCallee holds the row of ended that depends on who ended the call:
// nothing has told the callee's other devices.
func TestEndedByCallee(t *testing.T) {
	t.Parallel()
	byCaller := inActiveAlone + "; operator/o1 stop m"
	runRows(t, []row{
		{"ended/ringing,other device of B", inHungUp, "customer/k2 ringing m", "applied; -> customer stop m reason=answered_elsewhere; = ended m winner=k1 reason=hangup by=customer past=m:hangup"},
		{"ended/ringing,other device of B, later", inHungUp + "; wait 11m", "customer/k2 ringing m", "applied; -> customer stop m reason=answered_elsewhere; = ended m winner=k1 reason=hangup by=customer"},
		{"ended/ringing,winner", inHungUp, "customer/k1 ringing m", "nothing"},
		{"ended/ringing,A", inHungUp, "operator/o2 ringing m", "nothing"},
		{"ended/ringing,A hung up", byCaller, "customer/k2 ringing m", "nothing"},
		{"ended/ringing,B refused", inRinging + "; customer/k1 stop m", "customer/k2 ringing m", "nothing"},
		{"ended/ringing,timeout", inActiveAlone + "; timeout m 2", "customer/k2 ringing m", "nothing"},
	})
}

// TestEnded holds the rows of ended for the current call_id, while it is among
// the past ones and after.
func TestEnded(t *testing.T) {
	t.Parallel()
	for when, before := range map[string]string{"soon": inEnded, "later": inEnded + "; wait 11m"} {
		state := "; = ended m reason=cancelled by=operator past=m:cancelled"
		if when == "later" {
			state = "; = ended m reason=cancelled by=operator"
		}
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			runRows(t, []row{
				{"ended/accept", before, "customer/k1 accept m", "applied; -> customer stop m reason=cancelled" + state},
				{"ended/start,A", before, "operator/o1 start m peer=offer", "refused call_ended; -> operator error m code=call_ended ref=j3; -> operator stop m reason=error" + state},
				{"ended/start,B", before, "customer/k1 start m", "refused call_ended; -> customer error m code=call_ended ref=j3; -> customer stop m reason=error" + state},
				{"ended/summary,A", before, `operator/o1 summary m data={"media":{"s":3}}`, `applied; -> customer summary m data={"media":{"s":3}}` + state},
				{"ended/summary,B", before, "customer/k1 summary m", "applied; -> operator summary m" + state},
				{"ended/ringing", before, "customer/k1 ringing m", "nothing"},
				{"ended/busy", before, "customer/k1 busy m", "nothing"},
				{"ended/stop", before, "customer/k1 stop m", "nothing"},
				{"ended/candidate", before, "operator/o1 candidate m", "nothing"},
				{"ended/update", before, "operator/o1 update m", "nothing"},
				{"ended/setup", before, "operator/o1 setup m", "nothing"},
				{"ended/error", before, "customer/k1 error m", "nothing"},
				{"ended/timeout", before, "timeout m 1", "nothing"},
				{"ended/forced end", before, "end m", "nothing"},
			})
		})
	}
}
