package checker

import (
	"slices"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
)

// How long and how much a record remembers (docs/protocol.md, "call_id first" and
// "Devices").
const (
	remembered   = 10 * time.Minute
	neverRang    = 16 // call_ids of one side
	ringingParts = 32 // devices
	callIDs      = 32 // of a conversation
)

// nothing returns the row of the tables in docs/protocol.md by which a message of
// m's kind rightly leaves no trace on the record s; ok is false if every row that
// fits demands an effect. It is written from the tables by hand.
func nothing(s *call.State, m *message, cid string) (row string, ok bool) {
	if s.Mode == call.Direct {
		_, stopped := remembers(s, m, cid)
		return "direct: start behind its stop", stopped && m.Type == signal.Start
	}
	if m.From != s.Customer.String() && m.From != s.Operator.String() && s.Phase != call.None {
		return "C2", false
	}
	if s.CallID != "" && m.CallID == knownAs(cid, s.CallID, s.Caller.String(), m.From, s.MaskCallID) {
		switch s.Phase {
		case call.Ringing:
			return nothingRinging(s, m)
		case call.Active:
			return nothingActive(s, m)
		default:
			return nothingEnded(s, m)
		}
	}
	if past, known := remembers(s, m, cid); known {
		return nothingPast(past, m)
	}
	// C10: a stop of a call never seen is remembered, if there is room.
	return "C10", m.Type == signal.Stop && !room(s, m)
}

func nothingRinging(s *call.State, m *message) (string, bool) {
	a := m.From == s.Caller.String()
	switch {
	case m.Type == signal.Ringing && !a:
		known := slices.ContainsFunc(s.Parties, func(p call.Party) bool { return p.Name == m.Party })
		return "R3", known || len(s.Parties) >= ringingParts
	case m.Type == signal.Start && a:
		return "R4", offerOf(m.PeerInfo) == s.Offer
	default:
		return "", false
	}
}

func nothingActive(s *call.State, m *message) (string, bool) {
	a := m.From == s.Caller.String()
	answered := !a && m.Party == s.Winner
	switch m.Type {
	case signal.Accept, signal.Ringing:
		return "A1", answered
	case signal.Busy:
		return "A4", !a
	case signal.Stop:
		return "A5", !answered && (!a || m.Party != s.CallerParty)
	default:
		return "", false
	}
}

func nothingEnded(s *call.State, m *message) (string, bool) {
	switch m.Type {
	case signal.Accept, signal.Start, signal.Summary:
		return "", false
	case signal.Ringing:
		callee := s.Callee().String()
		late := !s.AnsweredAt.IsZero() && s.EndedBy.String() == callee && m.From == callee && m.Party != s.Winner
		return "E5", !late // else E4
	default:
		return "E5", true
	}
}

func nothingPast(past call.PastCall, m *message) (string, bool) {
	if past.Reason == signal.Glare && past.ReplacedBy != "" { // C3 comes first
		return "C8", m.Type == signal.Stop
	}
	switch m.Type {
	case signal.Start, signal.Accept, signal.Summary:
		return "", false
	case signal.Ringing:
		return "C8", m.From != past.HungUp.String() // else C7
	default:
		return "C8", true
	}
}

// remembers returns what s knows of the past call that m names.
func remembers(s *call.State, m *message, cid string) (call.PastCall, bool) {
	for _, p := range s.Past {
		caller := p.Caller.String()
		if m.At.Sub(p.At) <= remembered && m.CallID == knownAs(cid, p.CallID, caller, m.From, caller != "") {
			return p, true
		}
	}
	return call.PastCall{}, false
}

// room reports whether one more call_id of m's sender is remembered (C14).
func room(s *call.State, m *message) bool {
	total, own := 0, 0
	if s.Phase == call.Ringing || s.Phase == call.Active {
		total++
	}
	for _, p := range s.Past {
		if m.At.Sub(p.At) <= remembered {
			total++
			if p.By.String() == m.From {
				own++
			}
		}
	}
	return total < callIDs && own < neverRang
}
