package checker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

const ruleSplit = "the sides do not agree how a call ended"

// splitCalls compares, for each call that rang, the end in the record with what
// the sides were told and what their handlers saw last.
func (w *world) splitCalls() {
	for _, t := range w.lines() {
		for _, a := range t.rang() {
			for _, side := range []string{a.caller, a.callee} {
				if fault, at := w.disagrees(t, a, side); fault != "" {
					w.split(t.cid, a.as(t.cid, side), side, fault, at)
				}
			}
		}
	}
}

func (w *world) split(cid, callID, who, fault string, at letter) {
	w.report.add(Finding{Kind: Split, Rule: ruleSplit, CID: cid, CallID: callID, Who: who, JTI: at.jti, At: at.at, Detail: fault})
}

// disagrees says how the view of one side differs from the record.
func (w *world) disagrees(t *timeline, a attempt, side string) (fault string, at letter) {
	callID := a.as(t.cid, side)
	end, told := w.lastEnd(side, t.cid, callID, side == a.caller)
	switch {
	case told && !a.over:
		return fmt.Sprintf("told %s, the record says that the call goes on", end.why()), end
	case told && end.why() != a.reason:
		return fmt.Sprintf("told %s, the record says %s", end.why(), a.reason), end
	case a.over && !told && side != a.endedBy:
		return fmt.Sprintf("not told that the call ended %s", a.reason), letter{at: a.endedAt}
	}
	for _, p := range w.devices[side] {
		if why, heard := w.lastHeard(p, t.cid, callID, side == a.caller); heard && (!a.over || why != a.reason) {
			return fmt.Sprintf("%s heard %s, the record says %s", p.ID, why, ended(a)), letter{at: a.endedAt}
		}
	}
	return "", letter{}
}

func ended(a attempt) string {
	if !a.over {
		return "that the call goes on"
	}
	return string(a.reason)
}

// answer reports whether a stop may answer a start or an accept of who that was
// refused beside the call: it says error, whatever became of the call.
func (w *world) answer(who, cid, callID string, l letter) bool {
	return l.typ == signal.Stop && l.reason == signal.Failed &&
		slices.ContainsFunc(w.spoke[party{who, cid, callID}], func(m *message) bool {
			return m.answered && (m.Type == signal.Start || m.Type == signal.Accept)
		})
}

// lastEnd is the last message in the inbox of who that ends a call for it.
func (w *world) lastEnd(who, cid, callID string, caller bool) (letter, bool) {
	for _, l := range slices.Backward(w.told[party{who, cid, callID}]) {
		if l.ends(caller) && !w.answer(who, cid, callID, l) {
			return l, true
		}
	}
	return letter{}, false
}

// lastHeard is the reason in the last end of a call that the handlers of p saw.
func (w *world) lastHeard(p *history.Process, cid, callID string, caller bool) (signal.Reason, bool) {
	var why signal.Reason
	var heard bool
	for _, i := range w.ears[party{p.ID, cid, callID}] {
		e := &w.h.Heard[i]
		if l := (letter{typ: e.Type, reason: e.Reason}); l.ends(caller) && !w.answer(p.Self, cid, callID, l) {
			why, heard = l.why(), true
		}
	}
	return why, heard
}

// splitRelays compares the two legs of conversations that a proxy written by hand
// connects: what has ended for one side has ended for the other.
func (w *world) splitRelays() {
	for _, c := range w.h.Conversations {
		if c.Mode != call.Direct {
			continue
		}
		for _, callID := range w.relayed(c) {
			operator, customer := w.overFor(c.Operator, c.CID, callID), w.overFor(c.Customer, c.CID, callID)
			if operator != customer {
				w.split(c.CID, callID, c.Proxy, fmt.Sprintf("over for the operator: %t, for the customer: %t", operator, customer), letter{})
			}
		}
	}
}

// relayed lists the calls of which both sides know: the customer or the operator
// was told to ring.
func (w *world) relayed(c history.Conversation) []string {
	var ids []string
	for _, side := range []string{c.Operator, c.Customer} {
		for _, l := range w.letters[side] {
			if l.cid == c.CID && l.typ == signal.Start {
				ids = append(ids, l.callID)
			}
		}
	}
	slices.SortFunc(ids, strings.Compare)
	return slices.Compact(ids)
}

// overFor reports whether who was told that a call is over, or said so.
func (w *world) overFor(who, cid, callID string) bool {
	if _, told := w.lastEnd(who, cid, callID, true); told {
		return true
	}
	return slices.ContainsFunc(w.spoke[party{who, cid, callID}], func(m *message) bool {
		return (m.Type == signal.Stop || m.Type == signal.Busy) && len(m.versions) > 0
	})
}
