package checker

import (
	"context"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// Options says how strictly to judge. The zero value of a field means its default.
type Options struct {
	// Now is when the run had come to rest and the streams were read. Default: the
	// present.
	Now time.Time
	// Slack is how late a timer may be. Default 5 s.
	Slack time.Duration
	// Recovery is how long after a fault has been mended its consequences may
	// last. Default 10 s.
	Recovery time.Duration
	// ColdFor is how long after its beginning a process may not be told of calls
	// that are over. Default 10 s.
	ColdFor time.Duration
	// Skew is how far the clocks of endpoints and servers may differ. Default
	// 100 ms, for one machine.
	Skew time.Duration
	// Policy is that of the routers.
	Policy call.Policy
	// Search bounds the time that porcupine takes for one conversation. Default
	// 10 s.
	Search time.Duration
}

func (o Options) withDefaults() Options {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	fill(&o.Slack, 5*time.Second)
	fill(&o.Recovery, 10*time.Second)
	fill(&o.ColdFor, 10*time.Second)
	fill(&o.Skew, 100*time.Millisecond)
	fill(&o.Search, 10*time.Second)
	return o
}

func fill(d *time.Duration, fallback time.Duration) {
	if *d <= 0 {
		*d = fallback
	}
}

// Check judges a run that has come to rest: see workload.Quiesce. Its error says that the store could not be read; defects are
// in the report.
func Check(ctx context.Context, h *history.History, store Store, opts Options) (*Report, error) {
	w := newWorld(h, opts.withDefaults())
	if err := store.Messages(ctx, w.take); err != nil {
		return nil, err
	}
	left, err := store.Leftovers(ctx)
	if err != nil {
		return nil, err
	}
	w.match()
	for _, judge := range []func(){
		w.lostMessages, w.unsaid, w.unheard, w.vanished,
		w.handledTwice, w.appliedTwice, w.storedTwice,
		w.records, w.handlers, w.linear,
		w.splitCalls, w.splitRelays,
		w.stuckCalls,
		func() { w.leftovers(left) },
	} {
		judge()
	}
	w.statistics()
	w.report.sort()
	return w.report, nil
}

// statistics counts what was judged.
func (w *world) statistics() {
	r := w.report
	r.Messages, r.Handled = len(w.messages), len(w.h.Heard)
	for _, m := range w.messages {
		if !m.acked && !m.refused {
			r.Unknown++
		}
	}
	for _, t := range w.timelines {
		r.Transitions += len(t.versions)
		r.Calls += len(t.rang())
	}
	for _, letters := range w.letters {
		r.Stored += len(letters)
	}
	if w.h.Torn > 0 {
		r.note("%d last lines of histories were cut off", w.h.Torn)
	}
}
