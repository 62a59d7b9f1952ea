package router

import (
	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// decide takes the decisions of a group. A panic is the fault of one of its
// messages.
func (w *worker) decide(g *group) {
	err := guard(func() error { w.decideInOrder(g); return nil })
	if err != nil {
		g.fault, g.next = errPoison{err}, nil
	}
}

// decideInOrder decides in the order of the stream, each message on the record
// that the one before leaves.
func (w *worker) decideInOrder(g *group) {
	state := g.base
	g.next = nil
	for _, j := range g.jobs {
		j.before = state
		switch {
		case j.refusal != nil:
			j.decision = w.refuse(j, state)
		case j.mode == call.Direct:
			j.event.AckFloor = w.ackFloor.Load()
			j.event.MayDefer = j.waits || w.deferrals.allow(j.sender)
			j.decision = call.DecideDirect(w.opts.Policy, state, j.event)
		default:
			j.event.AckFloor = w.ackFloor.Load()
			j.event.MayDefer = j.waits || w.deferrals.allow(j.sender)
			g.facts(&j.event)
			j.decision = call.Decide(w.opts.Policy, state, j.event)
		}
		if j.quiet && j.decision.Code != "" && j.decision.Next == nil {
			j.decision.Say = nil
		}
		if j.decision.Verdict == call.Deferred && !j.waits {
			// Counted here and not when it is sent back: the next decision of this
			// batch must know.
			j.waits = true
			w.deferrals.add(j.sender, deferDelay(j.event.Delivery))
		}
		if next := j.decision.Next; next != nil {
			state, g.next = next, next
		}
	}
}

// unsettled reports whether the group's decisions write nothing and so would not
// be found out by a compare-and-swap if they were taken on an old record: the batch
// has to assert the record. A repeat is one on any record; so is a stranger to the
// route; what is deferred is decided again anyway.
func (g *group) unsettled() bool {
	if g.key == "" || g.next != nil {
		return false
	}
	for _, j := range g.jobs {
		switch j.decision.Verdict {
		case call.Repeat, call.Deferred:
		case call.Stranger:
			if g.base.Live() {
				return true // judged by the sides in the record, not by the route
			}
		default:
			return true
		}
	}
	return false
}

// refuse is the decision on a message that is refused for what it is. A sender
// whose signature is good hears why. A refused start, and a refused accept, are
// stopped besides, for clients that know no errors, unless they belong to the
// current call, which goes on.
func (w *worker) refuse(j *job, state *call.State) call.Decision {
	d := call.Decision{Verdict: call.Refused, Code: j.refusal.Code}
	if j.sender.IsZero() {
		return d
	}
	m := j.event.Msg
	data, err := json.Marshal(signal.Fault{Code: j.refusal.Code, Detail: j.refusal.Detail, Ref: m.JTI}, json.Deterministic(true))
	if err != nil {
		return d // only for text that is not UTF-8, which no parser let in
	}
	d.Say = append(d.Say, call.Say{To: j.sender, Type: signal.Error, CallID: m.CallID, Data: data})
	if j.stops() && !isCurrent(state, j) {
		d.Say = append(d.Say, call.Say{To: j.sender, Type: signal.Stop, CallID: m.CallID, Reason: signal.Failed})
	}
	return d
}

// stops reports whether a refused message is one that a legacy client waits on.
func (j *job) stops() bool {
	t := signal.Type(j.subjectType)
	m := j.event.Msg
	return (t == signal.Start || t == signal.Accept) && j.masked() && m.CID != "" && m.CallID != ""
}

// masked reports whether the message is addressed to a proxy of this fleet.
func (j *job) masked() bool { return !j.signer.IsZero() && j.signer != identity.Router }

func isCurrent(state *call.State, j *job) bool {
	return state.LiveAs(j.sender, j.event.Msg.CallID) &&
		(j.sender == state.Customer || j.sender == state.Operator)
}
