package checker

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

const ruleLinear = "the transitions of a record are no linearization of what was sent"

// operation is one event on a record: something sent, or a timer. Its output is
// the version that it led to, or that nothing came of it.
type operation struct {
	event call.Event
	// judged is false for what cannot be decided again: its message is in no
	// history.
	judged bool
}

// linear asks porcupine whether the transitions of each masked record, in the
// order of the stream, and the silence about everything else, are what the state
// machine says of the messages in some order that real time allows.
//
// The model's state is how many transitions have been made; the record is then the
// stored one. An operation with an output v is the v-th transition and must lead
// from the record before to just that one; an operation without output must change
// nothing.
func (w *world) linear() {
	for _, t := range w.lines() {
		if t.direct || len(t.versions) == 0 {
			continue
		}
		ops := w.operations(t)
		result := porcupine.CheckOperationsTimeout(w.model(t), ops, w.opts.Search)
		switch result {
		case porcupine.Illegal:
			w.report.add(Finding{Kind: Disordered, Rule: ruleLinear, CID: t.cid, At: t.versions[0].at, Detail: w.where(t, ops)})
		case porcupine.Unknown:
			w.report.note("conversation %s: no linearization found in %v, none excluded", t.cid, w.opts.Search)
		case porcupine.Ok:
		}
	}
}

func (w *world) model(t *timeline) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return 0 },
		Step: func(state, input, output any) (bool, any) {
			made, op, version := state.(int), input.(operation), output.(int)
			if version != 0 && version != made+1 {
				return false, state
			}
			if version == 0 {
				return w.quiet(t.state(made), op), state
			}
			return !op.judged || w.leads(t.state(made), op, t.versions[made].s), made + 1
		},
	}
}

// operations lists what happened to a record. Messages whose outcome is unknown
// and that left no trace may never have arrived; what was refused without a
// transition was refused for what it is.
func (w *world) operations(t *timeline) []porcupine.Operation {
	var ops []porcupine.Operation
	for i := range t.versions {
		v := &t.versions[i]
		op, since := w.operation(t, i)
		if since.After(v.at) {
			w.report.add(Finding{
				Kind: Disordered, Rule: "decided before it was sent or due", CID: t.cid, CallID: v.s.Last.CallID, Who: v.s.Last.From.String(), At: v.at,
				Detail: fmt.Sprintf("%s, possible from %s on", v.s.Last.Type, clock(since)),
			})
		}
		ops = append(ops, porcupine.Operation{
			Input: op, Output: i + 1,
			Call:   min(since.UnixNano(), v.at.UnixNano()),
			Return: v.at.Add(w.opts.Skew).UnixNano(),
		})
	}
	for _, m := range t.messages {
		if len(m.versions) > 0 || m.answered || !m.acked {
			continue
		}
		if !w.silent(m) {
			continue // found by lostMessages
		}
		ops = append(ops, porcupine.Operation{
			Input: operation{event: w.event(m, m.At), judged: true}, Output: 0,
			Call: m.At.Add(-w.opts.Skew).UnixNano(), Return: m.handled.Add(w.opts.Skew).UnixNano(),
		})
	}
	return ops
}

// operation is the one behind the i-th transition, and since when it was possible.
func (w *world) operation(t *timeline, i int) (operation, time.Time) {
	v, before := &t.versions[i], t.state(i)
	always := time.Unix(0, math.MinInt64/2)
	switch {
	case v.s.Last.Type == call.LastForcedEnd:
		return operation{event: call.Event{Kind: call.ForcedEnd, At: v.s.Last.At}, judged: true}, always
	case v.s.Last.Type == call.LastTimeout:
		e := call.Event{Kind: call.Timeout, At: v.s.Last.At, CallID: before.CallID, Epoch: before.Epoch}
		if v.s.Phase == before.Phase {
			e.Epoch-- // a stale one
			return operation{event: e, judged: true}, always
		}
		return operation{event: e, judged: true}, before.Deadline.Add(-w.opts.Skew)
	case v.by == nil:
		return operation{}, always
	default:
		return operation{event: w.event(v.by, v.s.Last.At), judged: true}, v.by.At.Add(-w.opts.Skew)
	}
}

// event is a message as the state machine sees it.
func (w *world) event(m *message, at time.Time) call.Event {
	e := call.Event{At: at, Seq: 1, Delivery: 1, Msg: signal.Message{
		Type: m.Type, JTI: m.JTI, CID: m.CID, CallID: m.CallID, Party: m.Party, Reason: m.Reason, PeerInfo: m.PeerInfo,
	}}
	e.Msg.Issuer, _ = identity.ParseID(m.From) // a nobody is a stranger
	e.Msg.Recipient, _ = identity.ParseID(m.To)
	if m.Data != "" {
		e.Msg.Data = jsontext.Value(m.Data)
	}
	if c, ok := w.conversations[m.CID]; ok {
		r := &call.Route{Start: c.Start, MaskCallID: c.MaskCallID}
		r.Proxy, _ = identity.ParseID(c.Proxy)
		r.Customer, _ = identity.ParseID(c.Customer)
		r.Operator, _ = identity.ParseID(c.Operator)
		e.Route = r
	}
	return e
}

// quiet reports whether op leaves s as it is, and says nothing.
func (w *world) quiet(s *call.State, op operation) bool {
	d := call.Decide(w.opts.Policy, known(s), op.event)
	return d.Verdict == call.Nothing || d.Verdict == call.Repeat
}

// leads reports whether op leads from s to next. The route may have changed since,
// so only what the state machine decides counts.
func (w *world) leads(s *call.State, op operation, next *call.State) bool {
	d := call.Decide(w.opts.Policy, known(s), op.event)
	if d.Next == nil {
		// A full list of marks refuses, or ends a call, without one.
		return false
	}
	n := d.Next
	return n.Phase == next.Phase && n.CallID == next.CallID && n.Caller == next.Caller && n.Winner == next.Winner &&
		n.Reason == next.Reason && n.EndedBy == next.EndedBy && n.Last.Code == next.Last.Code && n.Epoch == next.Epoch &&
		slices.Equal(n.Parties, next.Parties)
}

// known is what Decide takes for a record: nil if there is none.
func known(s *call.State) *call.State {
	if s.CID == "" {
		return nil
	}
	return s
}

// where points at the first transition that does not fit by itself; if all fit,
// real time forbids their order.
func (w *world) where(t *timeline, ops []porcupine.Operation) string {
	for i := range t.versions {
		v, op := &t.versions[i], ops[i].Input.(operation)
		if op.judged && !w.leads(t.state(i), op, v.s) {
			return fmt.Sprintf("transition %d, %s of %s: from %s to %s", i+1, v.s.Last.Type, v.s.Last.From, describe(t.state(i)), describe(v.s))
		}
	}
	return "each transition fits, their order in time does not"
}
