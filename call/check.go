package call

import (
	"fmt"

	"github.com/voicerouter/voicerouter/subjects"
)

// check reports the first member at fault.
func (s *State) check() error {
	switch {
	case s.Version != Version:
		return broken("v is %d, want %d", s.Version, Version)
	case s.Mode != Masked && s.Mode != Direct:
		return broken("mode is %.16q", s.Mode)
	case !subjects.ValidCID(s.CID):
		return broken("cid is not a conversation id")
	case len(s.OperatorName) > MaxName:
		return broken("operator_name has %d bytes", len(s.OperatorName))
	case s.Start != "" && s.Start != StartOperator && s.Start != StartBoth:
		return broken("start is %.16q", s.Start)
	case !validDataAllow(s.DataAllow):
		return broken("data_allow breaks its limits")
	case s.Reason != "" && !s.Reason.Known():
		return broken("reason is %.64q", s.Reason)
	case len(s.Offer) > 64:
		return broken("offer has %d bytes", len(s.Offer))
	}
	for _, t := range s.times() {
		if !validTime(*t) {
			return broken("a time lies in year %d", t.Year())
		}
	}
	if err := s.checkPhase(); err != nil {
		return err
	}
	return s.checkLists()
}

// checkPhase reports what the phase demands and is not there.
func (s *State) checkPhase() error {
	_, callerOnRoute := s.Counterpart(s.Caller)
	switch s.Phase {
	case None:
		if s.CallID != "" {
			return broken("state none has a call_id")
		}
		return nil
	case Ringing, Active, Ended:
	default:
		return broken("state is %.16q", s.Phase)
	}
	switch {
	case s.Mode == Direct:
		return broken("direct conversation has state %s", s.Phase)
	case !subjects.ValidCallID(s.CallID):
		return broken("call_id is missing or no call id")
	case s.Proxy.IsZero(), s.Customer.IsZero(), s.Operator.IsZero(), s.Customer == s.Operator:
		return broken("proxy, customer and operator: want three identities")
	case s.Proxy == s.Customer, s.Proxy == s.Operator:
		return broken("proxy is also customer or operator")
	case !callerOnRoute:
		return broken("caller is neither customer nor operator")
	case s.Live() && s.Deadline.IsZero():
		return broken("deadline is missing")
	case s.Phase == Ended && s.Reason == "":
		return broken("reason is missing")
	}
	return nil
}

// checkLists reports the first list that is too long or has a bad element.
func (s *State) checkLists() error {
	room := MaxPast
	if s.Live() {
		room-- // for the current call_id
	}
	switch {
	case len(s.Parties) > MaxParties:
		return broken("%d parties, want at most %d", len(s.Parties), MaxParties)
	case len(s.Past) > room:
		return broken("%d past call_ids, want at most %d", len(s.Past), room)
	case len(s.Applied) > MaxMarks:
		return broken("%d applied messages, want at most %d", len(s.Applied), MaxMarks)
	}
	for _, name := range []string{s.CallerParty, s.Winner, s.Last.Party} {
		if !partyOrNone(name) {
			return broken("a party is no party name")
		}
	}
	for _, p := range s.Parties {
		if !partyOrNone(p.Name) {
			return broken("parties: not a party name")
		}
	}
	for _, p := range s.Past {
		if !subjects.ValidCallID(p.CallID) || !p.Reason.Known() || p.ReplacedBy != "" && !subjects.ValidCallID(p.ReplacedBy) {
			return broken("past: want a call_id and a reason")
		}
	}
	for _, m := range s.Applied {
		if !validHash(m.Hash) {
			return broken("applied: want a hash of %d bytes", hashBytes)
		}
	}
	return s.Last.check()
}

func (l Last) check() error {
	switch {
	case len(l.Type) > 32, len(l.Code) > 32:
		return broken("last: type or code is too long")
	case l.CallID != "" && !subjects.ValidCallID(l.CallID):
		return broken("last: not a call_id")
	}
	return nil
}

func partyOrNone(s string) bool { return s == "" || subjects.ValidParty(s) }

func broken(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrState}, args...)...)
}
