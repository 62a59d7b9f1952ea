package checker

import (
	"fmt"
	"slices"
	"time"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// unheard finds messages in inboxes that a process did not hear although it lived
// from before they were stored to the end of the run. Of an app, one process has
// to.
func (w *world) unheard() {
	for to, letters := range w.letters {
		for _, l := range letters {
			heard, owed := 0, []*history.Process{}
			for _, p := range w.devices[to] {
				if len(w.heard[heardBy{p.ID, l.from, l.jti}]) > 0 {
					heard++
				} else if w.lives(p) && !p.Began.After(l.at) && !w.spared(p, l) {
					owed = append(owed, p)
				}
			}
			for _, p := range owed {
				if p.App && heard > 0 {
					continue
				}
				w.report.add(Finding{
					Kind: Lost, Rule: "stored and not heard", CID: l.cid, CallID: l.callID, Who: p.ID, JTI: l.jti, At: l.at,
					Detail: fmt.Sprintf("%s %s, sequence %d in VOICE_OUT", l.typ, l.reason, l.seq),
				})
			}
		}
	}
}

// spared reports whether p rightly did not hear l: it is about what this device
// did itself, or about a call that was over when the process began.
func (w *world) spared(p *history.Process, l letter) bool {
	if l.typ == signal.Stop && l.party != "" && l.party == p.Party {
		return true
	}
	if w.overtaken(p, l) {
		w.report.Overtaken++
		return true
	}
	warm := w.warm(p)
	if !l.at.Before(warm) {
		return false
	}
	// Whoever ends a call himself is told of no end. That it is over the service says
	// that answers a cold start.
	if slices.ContainsFunc(w.spoke[party{l.to, l.cid, l.callID}], func(m *message) bool {
		return (m.Type == signal.Stop || m.Type == signal.Busy) && m.At.Before(warm)
	}) {
		return true
	}
	return slices.ContainsFunc(w.told[party{l.to, l.cid, l.callID}], func(end letter) bool {
		return end.typ == signal.Stop || end.typ == signal.Busy
	})
}

// vanished finds messages that were heard and are stored no more: the stream has
// lost what it had acknowledged.
func (w *world) vanished() {
	for i := range w.h.Heard {
		e := &w.h.Heard[i]
		if p := w.processes[e.Process]; p != nil && w.arrived[heardBy{p.Self, e.From, e.JTI}] == 0 {
			w.report.add(Finding{
				Kind: Lost, Rule: "heard and no longer stored", CID: e.CID, CallID: e.CallID, Who: e.Process, JTI: e.JTI, At: e.At,
				Detail: fmt.Sprintf("%s, sequence %d in VOICE_OUT", e.Type, e.Seq),
			})
		}
	}
}

// overtaken reports whether p heard what makes l moot before l could reach it: a
// client drops what it should have heard before the end of a call, and ringing
// before the answer. Live messages are only lost under faults; without one nothing
// overtakes anything.
func (w *world) overtaken(p *history.Process, l letter) bool {
	if !w.faulty(l.at) {
		return false
	}
	if slices.ContainsFunc(w.spoke[party{p.Self, l.cid, l.callID}], func(m *message) bool {
		return m.Process == p.ID && moot(l.typ, m.Type) // it ended the call itself, and is told so
	}) {
		return true
	}
	return slices.ContainsFunc(w.ears[party{p.ID, l.cid, l.callID}], func(i int) bool {
		return w.h.Heard[i].Seq > l.seq && moot(l.typ, w.h.Heard[i].Type)
	})
}

// faulty reports whether a fault acted around a time.
func (w *world) faulty(at time.Time) bool {
	return slices.ContainsFunc(w.h.Faults, func(f history.Fault) bool {
		return !at.Before(f.Began.Add(-w.opts.Recovery)) && !at.After(later(f.Began, f.Ended).Add(w.opts.Recovery))
	})
}

// moot reports whether a message of one type has no meaning behind another.
func moot(t, behind signal.Type) bool {
	switch t {
	case signal.Start:
		return behind == signal.Stop || behind == signal.Busy
	case signal.Ringing:
		return behind == signal.Stop || behind == signal.Accept
	case signal.Accept, signal.Candidate, signal.Update:
		return behind == signal.Stop
	default:
		return false
	}
}

// lives reports whether p lived until the run had come to rest: it was closed, if at
// all, after everything had been sent.
func (w *world) lives(p *history.Process) bool {
	if p.Ended.IsZero() || p.Ended.After(w.opts.Now) {
		return true
	}
	last := len(w.h.Sends) - 1
	return !p.Killed && (last < 0 || p.Ended.After(w.h.Sends[last].At))
}
