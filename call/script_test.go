package call

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// The people of the tests.
var (
	proxy    = identity.MustID("helpdesk")
	customer = identity.MustID("1111111111")
	operator = identity.MustID("1112223334")
	stranger = identity.MustID("6666666666")
	epoch0   = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	people   = map[string]identity.ID{
		"proxy": proxy, "customer": customer, "operator": operator, "stranger": stranger, "router": identity.Router,
	}
)

func nameOf(id identity.ID) string {
	for name, person := range people {
		if person == id {
			return name
		}
	}
	return id.String()
}

func testRoute() *Route {
	return &Route{Proxy: proxy, Customer: customer, Operator: operator, Start: StartBoth}
}

// script plays lines of input against Decide and shows what comes out. The
// language of a line:
//
//	who[/party] type [~]call_id [peer=..] [data={..}] [reason=..] [jti=..] [to=who] [delivery=n] [nodefer]
//	timeout call_id epoch
//	end [call_id]
//	wait duration
//	route [none] [broken] [unreadable] [start=..] [expires=duration] [name=..] [allow=a,b] [customer=who] [mask]
//	mode direct
//
// A call_id after ~ is the alias of what follows, in the outputs as well. Every
// line but the last three moves the clock by one second.
type script struct {
	t      testing.TB
	route  *Route
	broken bool
	direct bool
	state  *State
	at     time.Time
	seq    uint64
	// aliases are pairs of an alias and how it is shown.
	aliases []string
}

func newScript(t testing.TB) *script {
	t.Helper()
	return &script{t: t, route: testRoute(), at: epoch0}
}

func (s *script) play(line string) []string {
	s.t.Helper()
	words := strings.Fields(line)
	switch words[0] {
	case "mode":
		s.direct = words[1] == "direct"
	case "wait":
		s.at = s.at.Add(s.duration(words[1]))
	case "route":
		s.setRoute(words[1:])
	default:
		s.at = s.at.Add(time.Second)
		return s.show(s.decide(s.event(words)))
	}
	return nil
}

func (s *script) duration(text string) time.Duration {
	s.t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *script) setRoute(words []string) {
	s.t.Helper()
	s.route, s.broken = testRoute(), false
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "none":
			s.route = nil
		case "unreadable":
			s.route, s.broken = nil, true
		case "broken":
			s.broken = true
		case "start":
			s.route.Start = StartSide(value)
		case "expires":
			s.route.ExpiresAt = s.at.Add(s.duration(value))
		case "name":
			s.route.OperatorName = value
		case "allow":
			s.route.DataAllow = strings.Split(value, ",")
		case "mask":
			s.route.MaskCallID = true
		case "customer":
			s.route.Customer = people[value]
		default:
			s.t.Fatalf("route: unknown word %q", word)
		}
	}
}

func (s *script) event(words []string) Event {
	s.t.Helper()
	s.seq++
	e := Event{At: s.at, Seq: s.seq, Delivery: 1, MayDefer: true}
	switch words[0] {
	case "timeout":
		e.Kind, e.CallID = Timeout, words[1]
		e.Epoch, _ = strconv.ParseUint(words[2], 10, 64)
	case "end":
		e.Kind = ForcedEnd
		if len(words) > 1 {
			e.CallID = words[1]
		}
	default:
		s.message(&e, words)
	}
	return e
}

func (s *script) message(e *Event, words []string) {
	s.t.Helper()
	who, party, _ := strings.Cut(words[0], "/")
	if people[who].IsZero() || len(words) < 3 {
		s.t.Fatalf("want who[/party] type call_id, got %q", words)
	}
	e.Msg = signal.Message{
		Type: signal.Type(words[1]), JTI: "j" + strconv.FormatUint(s.seq, 10), Issuer: people[who], Recipient: proxy,
		IssuedAt: s.at, ExpiresAt: s.at.Add(time.Minute), CID: "cid1", CallID: words[2], Party: party,
	}
	if words[2] == "-" {
		e.Msg.CallID = ""
	}
	if id, ok := strings.CutPrefix(words[2], "~"); ok {
		e.Msg.CallID = aliasOf(e.Msg.CID, id)
		s.aliases = append(s.aliases, e.Msg.CallID, words[2])
	} else {
		s.aliases = append(s.aliases, aliasOf(e.Msg.CID, words[2]), "~"+words[2])
	}
	for _, word := range words[3:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "peer":
			e.Msg.PeerInfo = value
		case "data":
			e.Msg.Data = jsontext.Value(value)
		case "reason":
			e.Msg.Reason = signal.Reason(value)
		case "jti":
			e.Msg.JTI = value
		case "to":
			e.Msg.Recipient = people[value]
		case "delivery":
			e.Delivery, _ = strconv.Atoi(value)
		case "nodefer":
			e.MayDefer = false
		default:
			s.t.Fatalf("unknown word %q", word)
		}
	}
}

// decide does what a router does, and checks what must hold of every decision.
func (s *script) decide(e Event) Decision {
	s.t.Helper()
	decide := Decide
	if s.direct {
		decide = DecideDirect
	}
	if NeedsRoute(s.state, e) {
		e.Route, e.RouteBroken = s.route, s.broken
	}
	d := decide(Policy{}, s.state, e)
	checkDecision(s.t, s.state, e, d)
	if d.Next != nil {
		s.state = d.Next
	}
	return d
}

func (s *script) show(d Decision) []string {
	verdict := [...]string{"nothing", "applied", "repeat", "stranger", "deferred", "refused"}[d.Verdict]
	if d.Code != "" {
		verdict += " " + string(d.Code)
	}
	out := []string{verdict}
	for _, say := range d.Say {
		out = append(out, showSay(say))
	}
	switch d.Timer.Op {
	case TimerSet:
		out = append(out, fmt.Sprintf("timer %s %s %d", d.Timer.At.Sub(s.at), d.Timer.CallID, d.Timer.Epoch))
	case TimerCancel:
		out = append(out, "timer cancel")
	case TimerKeep:
	}
	if d.Next != nil {
		out = append(out, showState(d.Next))
	}
	shown := strings.NewReplacer(s.aliases...)
	for i := range out {
		out[i] = shown.Replace(out[i])
	}
	return out
}

func showSay(say Say) string {
	line := fmt.Sprintf("-> %s %s %s", nameOf(say.To), say.Type, say.CallID)
	if say.Forward {
		line = fmt.Sprintf("-> %s %s as it came", nameOf(say.To), say.Type)
	}
	if say.PeerInfo != "" {
		line += " peer=" + say.PeerInfo
	}
	if say.Reason != "" {
		line += " reason=" + string(say.Reason)
	}
	if fault, ok := (signal.Message{Type: say.Type, Data: say.Data}).Fault(); ok {
		return line + " code=" + string(fault.Code) + " ref=" + fault.Ref
	}
	if say.Data != nil {
		line += " data=" + string(say.Data)
	}
	return line
}

func showState(n *State) string {
	line := "= " + string(n.Phase)
	if n.CallID != "" {
		line += " " + n.CallID
	}
	var parties []string
	for _, p := range n.Parties {
		if p.Busy {
			p.Name += "(busy)"
		}
		parties = append(parties, p.Name)
	}
	if len(parties) > 0 {
		line += " parties=" + strings.Join(parties, ",")
	}
	if n.Winner != "" {
		line += " winner=" + n.Winner
	}
	if n.Reason != "" {
		line += " reason=" + string(n.Reason) + " by=" + nameOf(n.EndedBy)
	}
	var past []string
	for _, p := range n.Past {
		text := p.CallID + ":" + string(p.Reason)
		if p.ReplacedBy != "" {
			text += ">" + p.ReplacedBy
		}
		past = append(past, text)
	}
	if len(past) > 0 {
		line += " past=" + strings.Join(past, ",")
	}
	return line
}
