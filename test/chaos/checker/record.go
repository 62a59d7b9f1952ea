package checker

import (
	"fmt"
	"slices"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
)

// records holds every transition of every record against the table of states, as
// a reader of docs/protocol.md would.
func (w *world) records() {
	for _, t := range w.lines() {
		for i := range t.versions {
			v := &t.versions[i]
			before := t.state(i)
			rule, fault := "", ""
			if t.direct {
				rule, fault = forbiddenDirect(before, v.s)
			} else {
				rule, fault = forbidden(before, v.s)
			}
			if fault == "" {
				continue
			}
			w.report.add(Finding{
				Kind: Disordered, Rule: rule, CID: t.cid, CallID: v.s.CallID, Who: v.s.Last.From.String(), At: v.at,
				Detail: fmt.Sprintf("%s: %s, then by %s of %s: %s", fault, describe(before), v.s.Last.Type, v.s.Last.From, describe(v.s)),
			})
		}
	}
}

const (
	ruleTransition = "a transition that is in no table"
	ruleMemory     = "a record forgot or changed what it must keep"
)

// forbidden says why no row leads from p to n.
func forbidden(p, n *call.State) (rule, fault string) {
	if fault := forgot(p, n); fault != "" {
		return ruleMemory, fault
	}
	newCall := n.CallID != p.CallID || n.Caller != p.Caller
	switch {
	case n.Phase == call.Ringing && newCall:
		fault = badStart(p, n)
	case newCall:
		fault = "another call without a start"
	case n.Phase == p.Phase:
		fault = changed(p, n)
	case p.Phase == call.Ringing && n.Phase == call.Active:
		fault = badAnswer(p, n)
	case (p.Phase == call.Ringing || p.Phase == call.Active) && n.Phase == call.Ended:
		fault = badEnd(p, n)
	default:
		fault = "no row leads from the one state to the other"
	}
	return ruleTransition, fault
}

// badStart judges N1 and R10.
func badStart(p, n *call.State) string {
	last := n.Last
	switch {
	case last.Type != string(signal.Start) || last.Code != "":
		return "a call rings without a start"
	case last.From != n.Caller || last.CallID != n.CallID:
		return "a call rings that is not the one that was started"
	case p.Phase == call.Active:
		return "a start replaced an active call"
	case used(p, n.CallID, n):
		return "a call_id rings for the second time"
	case p.Phase != call.Ringing:
		return ""
	case n.Caller == p.Caller:
		return "a second call of the same side replaced the first"
	case n.CallID > p.CallID || n.CallID == p.CallID && n.Caller.String() > p.Caller.String():
		return "the greater call_id survived glare"
	default:
		return ""
	}
}

// used reports whether a call_id is over at the time of n.
func used(p *call.State, callID string, n *call.State) bool {
	return slices.ContainsFunc(p.Past, func(past call.PastCall) bool {
		mine := past.Caller.IsZero() || past.Caller == n.Caller
		return past.CallID == callID && mine && n.Last.At.Sub(past.At) <= remembered
	})
}

// badAnswer judges R11.
func badAnswer(p, n *call.State) string {
	switch last := n.Last; {
	case last.Type != string(signal.Accept) || last.Code != "":
		return "active without an accept"
	case last.From != p.Callee():
		return "answered by somebody else than the callee"
	case n.Winner != last.Party:
		return "another device won than the one that answered"
	default:
		return ""
	}
}

// badEnd judges R13 to R15, R18, R20, A6, A7, A10 and A12.
func badEnd(p, n *call.State) string {
	last := n.Last
	ringing, caller := p.Phase == call.Ringing, last.From == p.Caller
	want, by := signal.Reason(""), last.From.String()
	switch last.Type {
	case string(signal.Busy):
		if !ringing || caller {
			return "busy ended what it cannot end"
		}
		want = signal.BusyHere
	case string(signal.Stop):
		if want = stopReason(ringing, caller); !ringing && last.Party != endsFrom(p, caller) {
			return "a device that takes no part ended an active call"
		}
		if n.Reason.Known() {
			want = n.Reason // a client may choose it
		}
	case call.LastTimeout:
		want, by = signal.MaxDuration, "router"
		if ringing {
			want = signal.NoAnswer
		}
	case call.LastForcedEnd:
		want, by = signal.AdminTerminated, "router"
	default:
		return "ended by what ends no call"
	}
	switch {
	case last.Code != "":
		return "ended by what was refused"
	case n.Reason != want:
		return fmt.Sprintf("want reason %s", want)
	case n.EndedBy.String() != by:
		return fmt.Sprintf("ended by %s, the record says %s", by, n.EndedBy)
	default:
		return ""
	}
}

func stopReason(ringing, caller bool) signal.Reason {
	switch {
	case !ringing:
		return signal.Hangup
	case caller:
		return signal.Cancelled
	default:
		return signal.Declined
	}
}

// endsFrom is the device that may end an active call for a side.
func endsFrom(p *call.State, caller bool) string {
	if caller {
		return p.CallerParty
	}
	return p.Winner
}

// changed judges what stays as it is while state and call do.
func changed(p, n *call.State) string {
	switch {
	case n.Reason != p.Reason || n.EndedBy != p.EndedBy || !n.EndedAt.Equal(p.EndedAt):
		return "the end of a call changed"
	case n.Winner != p.Winner || !n.AnsweredAt.Equal(p.AnsweredAt):
		return "the answer of a call changed"
	case n.Phase != call.None && (n.Customer != p.Customer || n.Operator != p.Operator || n.Proxy != p.Proxy):
		return "the sides of a call changed"
	case n.Phase == call.Ringing && len(n.Parties) < len(p.Parties):
		return "a device that rang was forgotten"
	default:
		return ""
	}
}

// forgot judges what a record keeps over all transitions.
func forgot(p, n *call.State) string {
	if n.Epoch < p.Epoch {
		return "the epoch of the timer went back"
	}
	for _, old := range p.Past {
		i := slices.IndexFunc(n.Past, func(q call.PastCall) bool { return q.CallID == old.CallID && q.Caller == old.Caller })
		switch {
		case i < 0 && n.Last.At.Sub(old.At) <= remembered:
			return "a call_id was forgotten too early: " + old.CallID
		case i >= 0 && n.Past[i].Reason != old.Reason && n.Past[i].At.Equal(old.At):
			return "the reason of a past call changed: " + old.CallID
		}
	}
	ended := n.Phase == call.Ended && p.Phase != call.Ended
	if ended && !slices.ContainsFunc(n.Past, func(q call.PastCall) bool { return q.CallID == n.CallID }) {
		return "a call ended and is not remembered"
	}
	return ""
}

// forbiddenDirect judges a direct conversation, which has one rule of order.
func forbiddenDirect(p, n *call.State) (rule, fault string) {
	stopped := slices.ContainsFunc(p.Past, func(past call.PastCall) bool {
		return past.CallID == n.Last.CallID && n.Last.At.Sub(past.At) <= remembered
	})
	switch {
	case n.Phase != call.None:
		return ruleTransition, "a direct conversation has a state"
	case n.Last.Type == string(signal.Start) && stopped:
		return ruleTransition, "a start behind its own stop was passed on"
	default:
		return "", ""
	}
}
