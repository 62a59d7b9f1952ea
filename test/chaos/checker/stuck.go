package checker

import (
	"fmt"
	"time"

	"github.com/voicerouter/voicerouter/call"
)

// stuckCalls finds calls that rang or were active longer than their timer and the
// slack allow, whether or not they have ended since.
func (w *world) stuckCalls() {
	for _, t := range w.lines() {
		var armed time.Time // when the timer was; one that is due by then fires at once
		for i := range t.versions {
			v := &t.versions[i]
			if v.s.Epoch != t.state(i).Epoch {
				armed = v.at
			}
			if v.s.Phase != call.Ringing && v.s.Phase != call.Active {
				continue
			}
			until, goesOn := w.opts.Now, true
			if i+1 < len(t.versions) {
				next := &t.versions[i+1]
				until = next.at
				// The record may change without an end: the call is stuck still, and
				// found once, at its last version.
				goesOn = next.s.CallID == v.s.CallID && next.s.Epoch == v.s.Epoch && next.s.Phase == v.s.Phase
				if goesOn {
					continue
				}
			}
			limit := w.extended(later(v.s.Deadline, armed))
			switch {
			case until.After(limit):
				w.report.add(Finding{
					Kind: Stuck, Rule: "a call outlived its timer", CID: t.cid, CallID: v.s.CallID, At: v.s.Deadline,
					Detail: fmt.Sprintf("%s until %s, allowed until %s", v.s.Phase, clock(until), clock(limit)),
				})
			case goesOn:
				w.report.Live = append(w.report.Live, t.cid)
			}
		}
	}
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// extended returns by when a timer that is due at a time must have had its effect:
// the slack later, and later still if faults acted meanwhile.
func (w *world) extended(due time.Time) time.Time {
	limit := due.Add(w.opts.Slack)
	for _, f := range w.h.Faults { // in the order in which they began
		end := f.Ended
		if end.IsZero() {
			end = f.Began // of a moment, or never mended: then the run is not at rest
		}
		if end = end.Add(w.opts.Recovery); f.Began.Before(limit) && end.After(due) {
			limit = later(limit, end.Add(w.opts.Slack))
		}
	}
	return limit
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
