package router

import (
	"cmp"
	"slices"
)

// queue holds verified events until their call is free: the events of one call are
// decided one behind the other, those of different calls wait for nobody. It belongs to
// one goroutine.
type queue struct {
	calls   map[string]*line // by the key of the record; what no record concerns is in none
	free    []*line          // those that may be taken, in the order in which they became free
	waiting int              // events in all lines
}

// line is the events of one call that wait. It is in free, or else events of the call are
// being settled: a call is never in two open batches of a worker.
type line struct {
	key  string
	jobs []*job
}

func newQueue() *queue { return &queue{calls: make(map[string]*line)} }

// add lets events wait.
func (q *queue) add(jobs []*job) {
	q.waiting += len(jobs)
	for _, j := range jobs {
		if j.key == "" {
			q.free = append(q.free, &line{jobs: []*job{j}})
			continue
		}
		l := q.calls[j.key]
		if l == nil {
			l = &line{key: j.key}
			q.calls[j.key] = l
			q.free = append(q.free, l)
		}
		l.jobs = append(l.jobs, j)
	}
}

// take returns about limit events of calls that are free, in groups. Until they are
// released their calls are not free. It returns nothing if no call is.
func (q *queue) take(limit int) (groups []*group) {
	for n := 0; n < limit && len(q.free) > 0; {
		l := q.free[0]
		q.free = q.free[1:]
		some := min(len(l.jobs), maxJobsPerCall)
		g := &group{key: l.key, jobs: inOrder(l.jobs)[:some:some]}
		l.jobs = slices.Clone(l.jobs[some:])
		groups, n = append(groups, g), n+some
	}
	q.waiting -= countJobs(groups)
	return groups
}

// release frees calls whose events are settled, by their keys.
func (q *queue) release(keys []string) {
	for _, key := range keys {
		l := q.calls[key]
		switch {
		case l == nil:
		case len(l.jobs) == 0:
			delete(q.calls, key)
		default:
			q.free = append(q.free, l)
		}
	}
}

// inOrder sorts events into the order of the inbound stream. Redelivered
// messages arrive out of it. Timeouts and forced ends, which are in no inbound
// stream, come last: an answer that was stored before them wins.
func inOrder(jobs []*job) []*job {
	slices.SortStableFunc(jobs, func(a, b *job) int { return cmp.Compare(a.event.Seq-1, b.event.Seq-1) })
	return jobs
}

// keysOf returns the keys of groups that have one.
func keysOf(groups []*group) []string {
	keys := make([]string, 0, len(groups))
	for _, g := range groups {
		if g.key != "" {
			keys = append(keys, g.key)
		}
	}
	return keys
}
