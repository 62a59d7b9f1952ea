package docs

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// The operator is A of every call but those that say otherwise.
var cast = map[string]identity.ID{
	"A": identity.MustID("1112223334"), "B": identity.MustID("1111111111"),
	"X": identity.MustID("9999999999"), "proxy": identity.MustID("helpdesk"),
}

// Ways into the states, in the language of stage.play.
const (
	toRinging       = "A/a start m; "
	toTwo           = toRinging + "B/1 ringing m; B/2 ringing m; "
	toActive        = toTwo + "B/1 accept m; "
	toUnnamed       = toRinging + "B/2 ringing m; B accept m; "
	toEnded         = toRinging + "A/a stop m; "
	toHungUpByB     = toRinging + "B/1 accept m; B/1 stop m; "
	toSecondRinging = "A/a start n; "
)

// scenarios play every row of the tables: the last event is the one of the row.
// Several scenarios of one row are separated by "|".
var scenarios = map[string]string{
	"C1": toRinging + "A/a start m again",
	"C2": "X start m|" + toRinging + "X stop m|" + toActive + "X accept z|" + toEnded + "X summary m|no route; A start m",
	"C3": toRinging + "B start z; A accept z|" + toRinging + "B start z; B start z|" + toRinging + "B start z; A ringing z|" +
		toRinging + "B start z; A busy z|" + toRinging + "B start z; A candidate z|" + toRinging + "B start z; A update z",
	"C4": toEnded + toSecondRinging + "A/a start m",
	"C5": toEnded + toSecondRinging + "B accept m",
	"C6": toEnded + toSecondRinging + "A summary m",
	"C7": toHungUpByB + toSecondRinging + "B/2 ringing m",
	"C8": toEnded + toSecondRinging + "B busy m|" + toEnded + toSecondRinging + "B stop m|" + toEnded + toSecondRinging + "A candidate m|" +
		toEnded + toSecondRinging + "B ringing m|" + toRinging + "B start z; B stop z",
	"C9":  "A setup -|A start -|" + toRinging + "B error z",
	"C10": "A stop m|" + toRinging + "B stop z|broken route; A stop m",
	"C11": "broken route; A start m|broken route; A candidate m|broken route; A accept m",
	"C12": "A candidate m|" + toActive + "B candidate z",
	"C13": "B accept m|" + toRinging + "B ringing z|" + toEnded + "A summary z",
	"C14": strings.Repeat("A stop *; ", call.MaxPastBySide) + "A start m",

	"N1": "A start m|B start m|" + toEnded + "B start n|start=operator; A start m",
	"N2": "broken route; A start m",
	"N3": "start=operator; B start m",
	"N4": "expired; A start m",

	"R1":  toRinging + "B/1 ringing m|" + toRinging + "B ringing m",
	"R2":  toRinging + "B/1 ringing m; B/2 ringing m",
	"R3":  toRinging + "B/1 ringing m; B/1 ringing m",
	"R4":  toRinging + "A/a start m",
	"R5":  toRinging + "A/a start m peer",
	"R6":  toRinging + "A/a start n",
	"R7":  toRinging + "B start m",
	"R8":  "start=operator; " + toRinging + "B start n",
	"R9":  toRinging + "B start z",
	"R10": toRinging + "B start a",
	"R11": toTwo + "B/1 accept m",
	"R12": toTwo + "B/1 busy m",
	"R13": toTwo + "B/1 busy m; B/2 busy m|" + toRinging + "B busy m|" + toTwo + "B busy m",
	"R14": toRinging + "A/a stop m|" + toRinging + "A/b stop m",
	"R15": toTwo + "B/1 stop m|" + toRinging + "B stop m",
	"R16": toRinging + "A/a candidate m",
	"R17": toRinging + "B candidate m|" + toRinging + "B update m",
	"R18": toRinging + "timeout m 1",
	"R19": toRinging + "timeout z 1|" + toRinging + "B start a; timeout m 1",
	"R20": toRinging + "end m",
	"R21": toRinging + "A accept m|" + toRinging + "A busy m|" + toRinging + "A update m|" + toRinging + "B summary m|" + toRinging + "A setup m",

	"A1": toActive + "B/1 accept m|" + toActive + "B/1 ringing m",
	"A2": toActive + "B/2 accept m|" + toActive + "B/3 ringing m",
	"A3": toUnnamed + "B/2 accept m|" + toUnnamed + "B/3 ringing m",
	"A4": toActive + "B/2 busy m",
	"A5": toActive + "B/2 stop m|" + toActive + "A/b stop m",
	"A6": toActive + "A/a stop m|" + toActive + "B/1 stop m",
	"A7": toUnnamed + "B stop m",
	"A8": toActive + "A/a candidate m|" + toActive + "B/1 candidate m|" + toActive + "A/a update m|" + toActive + "B/1 update m",
	"A9": toActive + "A/a start n|" + toActive + "B/1 start a",

	"A10": toActive + "timeout m 2",
	"A11": toActive + "timeout m 1",
	"A12": toActive + "end m",
	"A13": toActive + "B/2 candidate m|" + toActive + "A/a start m|" + toActive + "A/a summary m|" + toActive + "A/a accept m",

	"E1": toEnded + "B accept m",
	"E2": toEnded + "A/a start m|" + toEnded + "B start m",
	"E3": toEnded + "A summary m|" + toEnded + "B summary m",
	"E4": toHungUpByB + "B/2 ringing m",
	"E5": toEnded + "B busy m|" + toEnded + "B stop m|" + toEnded + "A candidate m|" + toEnded + "B/2 ringing m|" + toEnded + "timeout m 1|" + toEnded + "end m",
}

// stage plays events against the state machine.
type stage struct {
	t      testing.TB
	route  *call.Route
	broken bool
	state  *call.State
	at     time.Time
	seq    uint64
	last   call.Event
}

func newStage(tb testing.TB) *stage {
	tb.Helper()
	return &stage{t: tb, at: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), route: &call.Route{
		Proxy: cast["proxy"], Operator: cast["A"], Customer: cast["B"], Start: call.StartBoth,
	}}
}

// play plays one event: "who[/device] type call_id [peer|again]", "timeout call_id
// epoch", "end call_id", or a change of the route. It returns the decision.
func (s *stage) play(line string) call.Decision {
	s.t.Helper()
	switch line {
	case "no route":
		s.route = nil
	case "broken route":
		s.broken = true
	case "start=operator":
		s.route.Start = call.StartOperator
	case "expired":
		s.route.ExpiresAt = s.at
	default:
		s.at, s.seq = s.at.Add(time.Second), s.seq+1
		s.last = s.event(strings.Fields(line))
		return s.decide()
	}
	return call.Decision{}
}

func (s *stage) event(words []string) call.Event {
	s.t.Helper()
	e := call.Event{At: s.at, Seq: s.seq, Delivery: 1, MayDefer: true, CallID: words[1]}
	switch words[0] {
	case "timeout":
		e.Kind = call.Timeout
		e.Epoch, _ = strconv.ParseUint(words[2], 10, 64)
		return e
	case "end":
		e.Kind = call.ForcedEnd
		return e
	}
	who, device, _ := strings.Cut(words[0], "/")
	id := strings.NewReplacer("-", "", "*", fmt.Sprint("x", s.seq)).Replace(words[2])
	e.Msg = signal.Message{
		Type: signal.Type(words[1]), JTI: fmt.Sprint("j", s.seq), Issuer: cast[who], Recipient: cast["proxy"],
		CID: "conv-1", CallID: id, Party: device, PeerInfo: "sdp",
	}
	if len(words) > 3 && words[3] == "peer" {
		e.Msg.PeerInfo = "other"
	} else if len(words) > 3 {
		e.Msg.JTI = s.last.Msg.JTI
	}
	return e
}

func (s *stage) decide() call.Decision {
	e := s.last
	if call.NeedsRoute(s.state, e) {
		e.Route, e.RouteBroken = s.route, s.broken
	}
	d := call.Decide(call.Policy{}, s.state, e)
	if d.Next != nil {
		s.state = d.Next
	}
	return d
}

func (s *stage) phase() call.Phase {
	if s.state == nil {
		return call.None
	}
	return s.state.Phase
}
