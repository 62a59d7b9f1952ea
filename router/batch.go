package router

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
