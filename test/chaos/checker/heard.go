package checker

import (
	"fmt"
	"slices"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// ear is one call as the handlers of one process know it.
type ear struct {
	process, from, cid, callID string
}

func earOf(e *history.Heard) ear { return ear{e.Process, e.From, e.CID, e.CallID} }

// knowledge is what they have heard.
type knowledge struct {
	started, answered, over bool
	why                     signal.Type // what ended it
}

// handlers holds what handlers saw, in the order in which they saw it, against
// what the state machine allows.
func (w *world) handlers() {
	known := map[ear]*knowledge{}
	last := map[heardBy]uint64{} // per process and conversation
	for i := range w.h.Heard {
		e := &w.h.Heard[i]
		p := w.processes[e.Process]
		if p == nil {
			w.report.note("process %s handled a message and has not begun", e.Process)
			continue
		}
		if calls := w.heard[heardBy{e.Process, e.From, e.JTI}]; calls[0] != i {
			continue // judged by handledTwice
		}
		if lane := (heardBy{who: p.ID, from: e.CID}); !p.App {
			switch late := e.Seq != 0 && e.Seq < last[lane]; {
			case late && (stateless(e.Type) || w.foreign(p, e, known) || w.ended(p, e)) && w.faulty(e.Stored):
				w.report.Overtaken++
			case late:
				w.misheard(e, "handled out of the order of the stream", fmt.Sprintf("after sequence %d", last[lane]))
			}
			last[lane] = max(last[lane], e.Seq)
		}
		id := earOf(e)
		if known[id] == nil {
			known[id] = &knowledge{}
		}
		if fault := w.judge(p, e, known[id]); fault != "" {
			w.misheard(e, "a handler saw what the state machine forbids", fault)
		}
	}
}

func (w *world) misheard(e *history.Heard, rule, fault string) {
	w.report.add(Finding{
		Kind: Disordered, Rule: rule, CID: e.CID, CallID: e.CallID, Who: e.Process, JTI: e.JTI, At: e.At,
		Detail: fmt.Sprintf("%s, sequence %d: %s", e.Type, e.Seq, fault),
	})
}

// judge says what is wrong with hearing e, and updates what is known.
func (w *world) judge(p *history.Process, e *history.Heard, k *knowledge) (fault string) {
	if e.CallID == "" || e.Type == signal.Error || e.Type == signal.Summary || e.Type == signal.Setup {
		return ""
	}
	mine := w.said(p, e, signal.Start)
	masked := w.conversations[e.CID].Mode != call.Direct
	if k.over && e.Type != signal.Stop && (masked || e.Type == signal.Start && k.why == signal.Stop) {
		fault = fmt.Sprintf("%s after %s", e.Type, k.why)
	} else if masked {
		fault = w.judgeMasked(p, e, k, mine)
	}
	switch l := (letter{typ: e.Type, reason: e.Reason}); {
	case e.Type == signal.Start:
		k.started = true
	case e.Type == signal.Accept:
		k.answered = true
	case l.ends(mine) && !w.answer(p.Self, e.CID, e.CallID, l):
		k.over, k.why = true, e.Type
	}
	return fault
}

// judgeMasked knows the order of a masked call: the caller has started it, the
// callee is told so, and then the rest. A process that began while the call was on
// has not been told everything.
func (w *world) judgeMasked(p *history.Process, e *history.Heard, k *knowledge, mine bool) string {
	cold := e.Stored.Before(w.warm(p)) || w.before(p, e)
	switch e.Type {
	case signal.Start:
		switch {
		case mine:
			return "the start of a call that this side started"
		case k.started:
			return "a second start of one call"
		}
	case signal.Ringing, signal.Accept, signal.Busy:
		switch {
		case !mine:
			return "of a call that this side has not started"
		case k.answered:
			return fmt.Sprintf("%s after accept", e.Type)
		}
	case signal.Candidate, signal.Update:
		answered := k.answered || !mine && w.said(p, e, signal.Accept)
		switch {
		case cold:
		case mine && !k.answered:
			return fmt.Sprintf("%s of the callee before its accept", e.Type)
		case !mine && !k.started:
			return fmt.Sprintf("%s before the start", e.Type)
		case e.Type == signal.Update && !answered:
			return "update before the accept"
		}
	case signal.Stop:
		if !cold && !k.started && len(w.spoke[party{p.Self, e.CID, e.CallID}]) == 0 {
			return "the stop of a call of which this side knows nothing"
		}
	default:
	}
	return ""
}

// said reports whether the identity of p had sent a message of this type about the
// call of e, to whom e comes from, when e was heard, and was not refused.
func (w *world) said(p *history.Process, e *history.Heard, typ signal.Type) bool {
	for _, m := range w.spoke[party{p.Self, e.CID, e.CallID}] {
		if m.Type == typ && m.To == e.From && !m.answered && m.At.Before(e.At.Add(w.opts.Skew)) {
			return true
		}
	}
	return false
}

// before reports whether the call of e was on before p had been told of what went
// on.
func (w *world) before(p *history.Process, e *history.Heard) bool {
	warm := w.warm(p)
	for _, m := range w.spoke[party{p.Self, e.CID, e.CallID}] {
		if m.At.Before(warm) {
			return true
		}
	}
	told := w.told[party{p.Self, e.CID, e.CallID}]
	return len(told) > 0 && told[0].at.Before(warm)
}

// stateless reports whether a message of this type means the same whenever it is
// heard. Lost live under a fault, it shows no gap and comes with the next sync.
func stateless(t signal.Type) bool {
	return t == signal.Error || t == signal.Summary || t == signal.Setup
}

// foreign reports whether e is the stop of a call in which another device of the same
// identity is the caller: p was told nothing of it before, and has said nothing. It means
// nothing to p, and lost live under a fault shows no gap.
func (w *world) foreign(p *history.Process, e *history.Heard, known map[ear]*knowledge) bool {
	return e.Type == signal.Stop && known[earOf(e)] == nil &&
		!slices.ContainsFunc(w.spoke[party{p.Self, e.CID, e.CallID}], func(m *message) bool { return m.Process == p.ID })
}

// ended reports whether p has itself ended the call of e before it heard e, which means
// nothing then: it need not have heard it at all.
func (w *world) ended(p *history.Process, e *history.Heard) bool {
	return slices.ContainsFunc(w.spoke[party{p.Self, e.CID, e.CallID}], func(m *message) bool {
		return m.Process == p.ID && moot(e.Type, m.Type) && m.At.Before(e.At)
	})
}

// warm is from when on p is told everything. Before the first message of a run
// there was nothing to tell. Else its first message shows that its cold start is
// over, whose answer may have been long in coming under faults.
func (w *world) warm(p *history.Process) time.Time {
	if len(w.h.Sends) > 0 && p.Began.Before(w.h.Sends[0].At) {
		return p.Began
	}
	latest := w.extended(p.Began.Add(w.opts.ColdFor))
	if first, ok := w.first[p.ID]; ok && first.Before(latest) {
		return first
	}
	return latest
}
