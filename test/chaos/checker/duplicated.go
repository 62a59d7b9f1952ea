package checker

import (
	"fmt"

	"github.com/voicerouter/voicerouter/signal"
)

// handledTwice finds messages that one process handled more than once. An app
// whose handler did not return, or returned an error, is rightly called again.
func (w *world) handledTwice() {
	for by, calls := range w.heard {
		p := w.processes[by.who]
		for n, i := range calls[1:] {
			before, e := w.h.Heard[calls[n]], w.h.Heard[i]
			if p != nil && p.App && (before.Error != "" || before.Returned.IsZero() && p.Killed) {
				continue
			}
			w.report.add(Finding{
				Kind: Duplicated, Rule: "handled twice in one process", CID: e.CID, CallID: e.CallID, Who: by.who, JTI: e.JTI, At: e.At,
				Detail: fmt.Sprintf("%s, sequences %d and %d in VOICE_OUT", e.Type, before.Seq, e.Seq),
			})
		}
	}
}

// appliedTwice finds messages that led to two transitions.
func (w *world) appliedTwice() {
	for _, t := range w.lines() {
		for mark, n := range t.marks {
			if n < 2 {
				continue
			}
			f := Finding{Kind: Duplicated, Rule: "two transitions from one message", CID: t.cid, Detail: fmt.Sprintf("%d with mark %s", n, mark)}
			if m := w.marks[mark]; m != nil {
				f.CallID, f.Who, f.JTI, f.At = m.CallID, m.From, m.JTI, m.At
			}
			w.report.add(f)
		}
	}
}

// storedTwice finds messages that stand twice in an inbox. What is said about a
// message that no record remembers, an error and the stop beside it, may be said
// again when the message is delivered again: receivers drop it by its jti.
func (w *world) storedTwice() {
	for to, letters := range w.letters {
		first := map[name]uint64{}
		for _, l := range letters {
			id := name{l.from, l.jti}
			seq, known := first[id]
			if !known {
				first[id] = l.seq
				continue
			}
			if l.typ == signal.Error || l.typ == signal.Stop && l.reason == signal.Failed {
				continue
			}
			w.report.add(Finding{
				Kind: Duplicated, Rule: "stored twice in an inbox", CID: l.cid, CallID: l.callID, Who: to, JTI: l.jti, At: l.at,
				Detail: fmt.Sprintf("%s, sequences %d and %d in VOICE_OUT", l.typ, seq, l.seq),
			})
		}
	}
}
