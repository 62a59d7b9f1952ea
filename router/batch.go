package router

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// sorted returns the jobs in the order of the inbound stream. Redelivered
// messages arrive out of it. Timeouts and forced ends, which are in no inbound
// stream, come last: an answer that was stored before them wins.
func sorted(jobs []*job) []*job {
	slices.SortStableFunc(jobs, func(a, b *job) int { return cmp.Compare(a.event.Seq-1, b.event.Seq-1) })
	return jobs
}

// divide deals a batch out to n lanes. A call always goes to the same one.
func divide(batch []*job, n int) [][]*job {
	if n == 1 {
		return [][]*job{batch}
	}
	lanes := make([][]*job, n)
	for _, j := range batch {
		i := laneOf(j.key, n)
		lanes[i] = append(lanes[i], j)
	}
	return lanes
}

func laneOf(key string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % uint32(n))
}

// split cuts groups into batches that the server accepts, whole groups each: the
// number and the bytes of messages are bounded. It goes by an upper estimate, as
// nothing is encoded yet.
func split(groups []*group) [][]*group {
	var out [][]*group
	var now []*group
	messages, bytes := 0, 0
	for _, g := range groups {
		m, b := g.estimate()
		if len(now) > 0 && (messages+m > maxBatchMessages || bytes+b > maxBatchBytes) {
			out, now, messages, bytes = append(out, now), nil, 0, 0
		}
		now, messages, bytes = append(now, g), messages+m, bytes+b
	}
	if len(now) > 0 {
		out = append(out, now)
	}
	return out
}

// recordBytes is a generous guess at an encoded record.
const recordBytes = 8 << 10

func (g *group) estimate() (messages, bytes int) {
	messages = 1 // the timer
	for _, j := range g.jobs {
		said := len(j.decision.Say)
		if j.decision.Code != "" {
			said++ // the rejection
		}
		messages += said
		bytes += said * (len(j.raw) + 1<<10)
		if j.decision.Next != nil {
			messages++
			bytes += recordBytes
		}
	}
	return messages, bytes
}

// halve divides a batch in two: its groups, or the jobs of its only group. It
// returns nil if the batch is a single job.
func halve(batch []*group) [][]*group {
	if n := len(batch); n > 1 {
		return [][]*group{batch[:n/2], batch[n/2:]}
	}
	g := batch[0]
	n := len(g.jobs)
	if n < 2 {
		return nil
	}
	return [][]*group{
		{{key: g.key, route: g.route, jobs: g.jobs[:n/2]}},
		{{key: g.key, route: g.route, jobs: g.jobs[n/2:]}},
	}
}
