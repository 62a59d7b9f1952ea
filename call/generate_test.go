package call

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// The generators draw from few values, so that they meet.
var (
	someone   = rapid.SampledFrom([]identity.ID{customer, operator, customer, operator, stranger})
	aCallID   = rapid.SampledFrom([]string{"a", "b", "c", "d"})
	aParty    = rapid.SampledFrom([]string{"", "p1", "p2"})
	aReason   = rapid.SampledFrom(append(signal.Reasons(), "", "tired"))
	aType     = rapid.SampledFrom(append(signal.Types(), "bogus"))
	aPeerInfo = rapid.SampledFrom([]string{"offer", "other"})
	someData  = rapid.SampledFrom([]jsontext.Value{
		nil, jsontext.Value(`{}`), jsontext.Value(`{"media":1,"operator_name":"Eve","customer_name":"Ann","note":2}`),
		jsontext.Value(`[1]`), jsontext.Value(`{"media":`),
	})
)

func drawMessage(t *rapid.T) signal.Message {
	return signal.Message{
		Type: aType.Draw(t, "type"), JTI: rapid.StringMatching(`[a-z]{12}`).Draw(t, "jti"),
		Issuer:    someone.Draw(t, "issuer"),
		Recipient: rapid.SampledFrom([]identity.ID{proxy, proxy, proxy, proxy, proxy, stranger}).Draw(t, "recipient"),
		CID:       "cid1", CallID: aCallID.Draw(t, "call_id"), PeerInfo: aPeerInfo.Draw(t, "peer_info"),
		Data: someData.Draw(t, "data"), Party: aParty.Draw(t, "party"), Reason: aReason.Draw(t, "reason"),
	}
}

func drawEvent(t *rapid.T, at time.Time) Event {
	e := Event{At: at, Delivery: rapid.IntRange(1, 6).Draw(t, "delivery"), MayDefer: rapid.Bool().Draw(t, "may defer")}
	switch rapid.IntRange(0, 11).Draw(t, "kind") {
	case 0:
		e.Kind, e.CallID = Timeout, aCallID.Draw(t, "timer's call_id")
		e.Epoch = uint64(rapid.IntRange(0, 6).Draw(t, "epoch"))
	case 1:
		e.Kind, e.CallID = ForcedEnd, rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "forced call_id")
	default:
		e.Msg = drawMessage(t)
	}
	switch rapid.IntRange(0, 9).Draw(t, "route") {
	case 0:
	case 1:
		e.RouteBroken = true
	case 2:
		e.Route, e.RouteBroken = &Route{Customer: customer}, true
	default:
		e.Route = testRoute()
		e.Route.OperatorName, e.Route.DataAllow = "Bob", []string{"note", "operator_name"}
		e.Route.Start = rapid.SampledFrom([]StartSide{"", StartOperator, StartBoth, StartBoth}).Draw(t, "start")
		if rapid.IntRange(0, 4).Draw(t, "expired") == 0 {
			e.Route.ExpiresAt = epoch0
		}
	}
	return e
}

// drawState draws a valid record, reachable or not.
func drawState(t *rapid.T) *State {
	if rapid.IntRange(0, 9).Draw(t, "no record") == 0 {
		return nil
	}
	s := &State{
		Version: Version, Mode: Masked, CID: "cid1", Proxy: proxy, Customer: customer, Operator: operator,
		Phase: rapid.SampledFrom([]Phase{None, Ringing, Active, Ended}).Draw(t, "phase"),
		Start: StartBoth, OperatorName: "Bob", DataAllow: []string{"note"}, Last: Last{Type: "start", At: epoch0},
	}
	s.Applied = []Mark{{Hash: hashOf(customer, "early"), Seq: 1, At: epoch0}}
	for _, id := range []string{"a", "b", "c", "d"} {
		if p := (PastCall{CallID: id, Reason: signal.Glare, At: epoch0}); rapid.Bool().Draw(t, "past "+id) {
			p.ReplacedBy = rapid.SampledFrom([]string{"", "d"}).Draw(t, "replaced by")
			s.Past = append(s.Past, p)
		}
	}
	if s.Phase == None {
		return s
	}
	s.CallID, s.Epoch = aCallID.Draw(t, "current"), uint64(rapid.IntRange(1, 5).Draw(t, "epoch"))
	s.Caller, s.CallerParty = rapid.SampledFrom([]identity.ID{customer, operator}).Draw(t, "caller"), aParty.Draw(t, "caller party")
	s.Offer, s.Winner = offerOf("offer"), aParty.Draw(t, "winner")
	for _, name := range []string{"", "p1", "p2"} {
		if rapid.Bool().Draw(t, "rings "+name) {
			s.Parties = append(s.Parties, Party{Name: name, Busy: rapid.Bool().Draw(t, "busy")})
		}
	}
	s.StartedAt, s.Deadline = epoch0, epoch0.Add(time.Minute)
	if s.Phase == Ended {
		s.Reason, s.Deadline = signal.Hangup, time.Time{}
	}
	return s
}
