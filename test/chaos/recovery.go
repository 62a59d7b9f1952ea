package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// delivery is a message that was sent on one side of a masked call and heard on
// the other.
type delivery struct {
	typ                signal.Type
	sent, acked, heard time.Time
}

type deliveries []delivery

// deliveriesOf finds for each start and accept that was heard the one that was
// sent: the last of its type before, of the other side of the conversation. For
// the times of a run that is close enough.
func deliveriesOf(h *history.History) deliveries {
	type key struct {
		cid  string
		typ  signal.Type
		from string
	}
	other := map[[2]string]string{} // cid and one side: the other side
	for _, c := range h.Conversations {
		if c.Mode == call.Masked {
			other[[2]string{c.CID, c.Operator}], other[[2]string{c.CID, c.Customer}] = c.Customer, c.Operator
		}
	}
	self := map[string]string{}
	for _, p := range h.Processes {
		self[p.ID] = p.Self
	}
	sends := map[key][]history.Send{}
	for _, s := range h.Sends {
		if s.Outcome.Result == history.Acked {
			k := key{s.CID, s.Type, s.From}
			sends[k] = append(sends[k], s)
		}
	}
	var found deliveries
	for _, m := range h.Heard {
		if m.Type != signal.Start && m.Type != signal.Accept {
			continue
		}
		k := key{m.CID, m.Type, other[[2]string{m.CID, self[m.Process]}]}
		i := slices.IndexFunc(sends[k], func(s history.Send) bool { return s.At.After(m.At) })
		if i < 0 {
			i = len(sends[k])
		}
		if i > 0 {
			s := sends[k][i-1]
			found = append(found, delivery{m.Type, s.At, s.Done, m.At})
		}
	}
	slices.SortFunc(found, func(a, b delivery) int { return a.sent.Compare(b.sent) })
	return found
}

func (d deliveries) starts() times  { return d.of(signal.Start) }
func (d deliveries) accepts() times { return d.of(signal.Accept) }

func (d deliveries) of(typ signal.Type) times {
	var all []time.Duration
	for _, m := range d {
		if m.typ == typ {
			all = append(all, m.heard.Sub(m.sent))
		}
	}
	return timesOf(all)
}

// times are a distribution.
type times struct {
	N   int           `json:"n"`
	P50 time.Duration `json:"p50"`
	P99 time.Duration `json:"p99"`
	Max time.Duration `json:"max"`
}

func timesOf(all []time.Duration) times {
	if len(all) == 0 {
		return times{}
	}
	slices.Sort(all)
	at := func(p int) time.Duration { return all[min(len(all)*p/100, len(all)-1)] }
	return times{len(all), at(50), at(99), all[len(all)-1]}
}

// faultStatistics tells of all faults of a kind.
type faultStatistics struct {
	Kind   string `json:"kind"`
	Count  int    `json:"count"`
	Mended bool   `json:"mended"` // Again counts from the end of the fault
	// Again is the time until the first call was set up that began after the fault.
	Again times `json:"again"`
	// Caught is the time from the fault to the delivery of what the broker had
	// acknowledged before it, and nobody had heard yet.
	Caught times `json:"caught"`
}

// recoveries measures every fault of a history.
func recoveries(h *history.History, all deliveries) []faultStatistics {
	again, caught, count := map[string][]time.Duration{}, map[string][]time.Duration{}, map[string]int{}
	mended := map[string]bool{}
	for _, k := range kinds() {
		mended[k.name] = k.mended
	}
	for _, f := range h.Faults {
		count[f.Kind]++
		from := f.Began
		if mended[f.Kind] && !f.Ended.IsZero() {
			from = f.Ended
		}
		if d, ok := all.firstAfter(from); ok {
			again[f.Kind] = append(again[f.Kind], d)
		}
		for _, m := range all {
			if !m.acked.IsZero() && m.acked.Before(f.Began) && m.heard.After(f.Began) {
				caught[f.Kind] = append(caught[f.Kind], m.heard.Sub(f.Began))
			}
		}
	}
	var list []faultStatistics
	for k, n := range count {
		list = append(list, faultStatistics{k, n, mended[k], timesOf(again[k]), timesOf(caught[k])})
	}
	slices.SortFunc(list, func(a, b faultStatistics) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

// firstAfter is how long after from the first start was heard that was sent after
// from.
func (d deliveries) firstAfter(from time.Time) (time.Duration, bool) {
	best, ok := time.Duration(0), false
	for _, m := range d {
		if m.typ != signal.Start || m.sent.Before(from) {
			continue
		}
		if ok && m.sent.Sub(from) > best {
			break // sorted by sent: none is better
		}
		if took := m.heard.Sub(from); !ok || took < best {
			best, ok = took, true
		}
	}
	return best, ok
}
