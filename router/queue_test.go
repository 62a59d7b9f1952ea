package router

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/voicerouter/voicerouter/call"
)

// TestQueue: whatever comes and goes, no call is taken twice at a time, each call's
// events come out in the order of the stream as far as they are there, every event comes out
// once, and a call that is free does not wait.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newQueue()
		var next uint64
		var open [][]*group
		waits := map[*job]bool{}
		busy := map[string]bool{}
		take := func(limit int) {
			groups := q.take(limit)
			for _, g := range groups {
				if g.key != "" && busy[g.key] {
					t.Fatalf("call %s is taken twice", g.key)
				}
				busy[g.key] = g.key != ""
				if len(g.jobs) == 0 || len(g.jobs) > maxJobsPerCall || g.key == "" && len(g.jobs) != 1 {
					t.Fatalf("group %q of %d events", g.key, len(g.jobs))
				}
				if !slices.IsSortedFunc(g.jobs, func(a, b *job) int { return int(a.event.Seq) - int(b.event.Seq) }) {
					t.Fatalf("call %s: events out of order", g.key)
				}
				for _, j := range g.jobs {
					if !waits[j] || j.key != g.key {
						t.Fatalf("event %d of %q came out of %q, waiting %v", j.event.Seq, j.key, g.key, waits[j])
					}
					delete(waits, j)
				}
			}
			if len(groups) > 0 {
				open = append(open, groups)
			}
			if n := countJobs(groups); n > limit+maxJobsPerCall {
				t.Fatalf("took %d events, limit %d", n, limit)
			}
			if q.waiting != len(waits) {
				t.Fatalf("%d wait, the queue says %d", len(waits), q.waiting)
			}
		}
		release := func(i int) {
			q.release(keysOf(open[i]))
			for _, g := range open[i] {
				delete(busy, g.key)
			}
			open = slices.Delete(open, i, i+1)
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				var jobs []*job
				for range rapid.IntRange(0, 2*maxJobsPerCall).Draw(t, "events") {
					next++
					j := &job{event: call.Event{Kind: call.Message, Seq: next}}
					if k := rapid.IntRange(0, 4).Draw(t, "call"); k > 0 {
						j.key = fmt.Sprint(k)
					}
					jobs, waits[j] = append(jobs, j), true
				}
				for i := range jobs { // a redelivery is not where it was
					k := rapid.IntRange(i, len(jobs)-1).Draw(t, "swap")
					jobs[i], jobs[k] = jobs[k], jobs[i]
				}
				q.add(jobs)
			},
			"take": func(t *rapid.T) { take(rapid.IntRange(1, 300).Draw(t, "limit")) },
			"release": func(t *rapid.T) {
				if len(open) == 0 {
					t.Skip("nothing is taken")
				}
				release(rapid.IntRange(0, len(open)-1).Draw(t, "which"))
			},
		})
		for len(open) > 0 || q.waiting > 0 {
			take(1 << 20)
			if len(open) == 0 {
				t.Fatalf("%d events wait for calls that are free", q.waiting)
			}
			release(0)
		}
		if len(waits) > 0 || len(q.calls) > 0 {
			t.Fatalf("%d events did not come out, %d lines are left", len(waits), len(q.calls))
		}
	})
}

// TestTimeoutLast: a timer that fired is decided behind the messages that were stored
// before it was.
func TestTimeoutLast(t *testing.T) {
	q := newQueue()
	q.add([]*job{{key: "a", event: call.Event{Kind: call.Timeout}}, {key: "a", event: call.Event{Kind: call.Message, Seq: 7}}})
	if jobs := q.take(10)[0].jobs; jobs[0].event.Seq != 7 || jobs[1].event.Kind != call.Timeout {
		t.Errorf("want the message first, got sequences %d and %d", jobs[0].event.Seq, jobs[1].event.Seq)
	}
}
