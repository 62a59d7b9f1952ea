package call

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// On a route with mask_call_id the two sides name one call differently: its
// originator by the call_id that it has chosen, the other side by an alias. The
// record keeps the former. What stands in this file translates around the state
// machine, which is left as it is: while it decides, a masked call goes by a name
// that says who originated it, so that equal call_ids of the two sides are two
// calls. See docs/protocol.md, "call_id per leg".

// leg is a call and who originated it; caller is zero if it is not masked.
type leg struct {
	callID string
	caller identity.ID
}

// aliasBytes is how much of the SHA-256 an alias keeps.
const aliasBytes = 16

// aliasOf returns what the side that did not originate a call sees as its call_id.
func aliasOf(cid, callID string) string {
	sum := sha256.Sum256([]byte("leg\x00" + cid + "\x00" + callID))
	return base64.RawURLEncoding.EncodeToString(sum[:aliasBytes])
}

// as returns the call_id by which side knows the call.
func (l leg) as(cid string, side identity.ID) string {
	if l.caller.IsZero() || side == l.caller || l.callID == "" {
		return l.callID
	}
	return aliasOf(cid, l.callID)
}

// name is what the machine calls a call. No call_id contains a zero byte, which is
// less than any byte of one: glare is settled by the call_ids, and by the
// identities only if those are equal.
func (l leg) name() string {
	if l.caller.IsZero() || l.callID == "" {
		return l.callID
	}
	return l.callID + "\x00" + l.caller.String()
}

func (s *State) leg() leg {
	if s.MaskCallID {
		return leg{s.CallID, s.Caller}
	}
	return leg{callID: s.CallID}
}

func (p PastCall) leg() leg { return leg{p.CallID, p.Caller} }

// legs yields the calls that the record knows at a time, the current one first.
func (s *State) legs(at time.Time) []leg {
	if s == nil {
		return nil
	}
	all := []leg{s.leg()}
	for _, p := range s.Past {
		if !p.stale(at) {
			all = append(all, p.leg())
		}
	}
	return all
}

// LiveAs reports whether callID, as side writes it, names the live call.
func (s *State) LiveAs(side identity.ID, callID string) bool {
	return s.Live() && callID != "" && s.leg().as(s.CID, side) == callID
}

// goesBy reports whether either side knows the call by this call_id.
func (l leg) goesBy(cid, callID string) bool {
	return callID != "" && (callID == l.callID || callID == l.as(cid, nobody))
}

// masks reports whether any call of the record is masked.
func (s *State) masks() bool {
	return s != nil && (s.MaskCallID || slices.ContainsFunc(s.Past, func(p PastCall) bool { return !p.Caller.IsZero() }))
}

// translation leads from the names of the machine back to the calls. A nil one
// changes nothing.
type translation struct {
	cid  string
	legs map[string]leg
}

// inward returns the record and the event as the machine is to see them.
func inward(s *State, e Event) (*State, Event, *translation) {
	masks := s.masks()
	if !masks && (e.Kind != Message || e.Route == nil || !e.Route.MaskCallID) {
		return s, e, nil
	}
	t := &translation{cid: e.Msg.CID, legs: make(map[string]leg)}
	known := s
	if masks {
		t.cid = s.CID
		s = t.record(s)
	}
	switch {
	case e.Kind == Message:
		e.Msg.CallID = t.message(s, known.legs(moment(e.At)), e)
	case known != nil && e.CallID == known.CallID:
		e.CallID = s.CallID
	}
	return s, e, t
}

// record returns a copy of s that calls everything by the machine's names.
func (t *translation) record(s *State) *State {
	c := *s
	c.CallID = t.enter(s.leg())
	c.Past = slices.Clone(s.Past)
	for i := range c.Past {
		p := &c.Past[i]
		if p.ReplacedBy != "" && !p.Caller.IsZero() {
			p.ReplacedBy = t.enter(s.survivor(*p))
		}
		p.CallID = t.enter(p.leg())
	}
	return &c
}

// survivor returns the call that p, a masked one, lost to: the other side's. If it
// is not remembered, nobody counts as its originator and everybody gets its alias.
func (s *State) survivor(p PastCall) leg {
	for _, l := range s.legs(never) {
		if l.callID == p.ReplacedBy && l.caller != p.Caller && !l.caller.IsZero() {
			return l
		}
	}
	return leg{p.ReplacedBy, identity.Router}
}

// message returns the machine's name for the call that the sender speaks of: one
// that he knows by this call_id, or else a call of his own.
func (t *translation) message(s *State, known []leg, e Event) string {
	m := e.Msg
	if m.CallID == "" {
		return ""
	}
	for _, l := range known {
		if l.callID != "" && l.as(t.cid, m.Issuer) == m.CallID {
			return t.enter(l)
		}
	}
	own := leg{m.CallID, m.Issuer}
	if !masksNew(s, e) {
		own.caller = nobody
	}
	return t.enter(own)
}

// masksNew reports whether a call_id that is not known yet is masked: by the route
// where it counts, else by the record.
func masksNew(s *State, e Event) bool {
	m := e.Msg
	m.CallID = "" // one that is not known
	if needsRoute(s, m, moment(e.At)) {
		return e.Route != nil && e.Route.MaskCallID
	}
	return s.MaskCallID
}

func (t *translation) enter(l leg) string {
	name := l.name()
	t.legs[name] = l
	return name
}

// plain returns the call_id that the record keeps for a name.
func (t *translation) plain(name string) string {
	if l, ok := t.legs[name]; ok {
		return l.callID
	}
	return name
}

// outward turns the machine's names in its decision into what the record keeps and
// what each recipient knows.
func (t *translation) outward(d Decision) Decision {
	if t == nil {
		return d
	}
	for i := range d.Say {
		t.say(&d.Say[i])
	}
	d.Timer.CallID = t.plain(d.Timer.CallID)
	if n := d.Next; n != nil {
		n.CallID, n.Last.CallID = t.plain(n.CallID), t.plain(n.Last.CallID)
		for i := range n.Past {
			p := &n.Past[i]
			p.Caller = t.legs[p.CallID].caller
			p.CallID, p.ReplacedBy = t.plain(p.CallID), t.plain(p.ReplacedBy)
		}
	}
	return d
}

func (t *translation) say(say *Say) {
	var data stopData
	if say.Type == signal.Stop && say.Data != nil && json.Unmarshal(say.Data, &data) == nil && data.ReplacedBy != "" {
		data.ReplacedBy = t.heard(data.ReplacedBy, say.To)
		say.Data = encode(data)
	}
	say.CallID = t.heard(say.CallID, say.To)
}

// heard returns the call_id by which a recipient knows the call of this name.
func (t *translation) heard(name string, to identity.ID) string {
	if l, ok := t.legs[name]; ok {
		return l.as(t.cid, to)
	}
	return name
}
