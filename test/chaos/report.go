package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/voicerouter/voicerouter/test/chaos/checker"
)

// print writes the report for a terminal.
func (o *outcome) print(w io.Writer) {
	fmt.Fprintf(w, "\nscenario %s, seed %d, %s, %d servers, %d workers\n", o.Scenario, o.Seed, o.Duration, o.Servers, o.Workers)
	fmt.Fprintf(w, "calls    %d begun (%d rang; %d more found no free endpoints): %s\n", o.Begun, o.Verdict.Calls, o.Held, counted(o.Turns))
	fmt.Fprintf(w, "messages %d sent, %d of unknown outcome; %d stored for inboxes, %d handled; %d versions of records\n",
		o.Verdict.Messages, o.Verdict.Unknown, o.Verdict.Stored, o.Verdict.Handled, o.Verdict.Transitions)
	fmt.Fprintf(w, "set-up   %s\nanswer   %s\n", o.Setup, o.Answer)
	fmt.Fprintf(w, "faults   %d\n", o.FaultCount())
	for _, f := range o.Faults {
		fmt.Fprintf(w, "  %-20s %3d  new call %s; on its way %s\n", f.Kind, f.Count, f.Again, f.Caught)
	}
	for _, g := range o.Goals {
		fmt.Fprintf(w, "goal     %s: want %s, got %s%s\n", g.What, g.Want, g.Got, missed(g))
	}
	fmt.Fprintf(w, "defects  %s\n", o.Verdict)
	const most = 40
	for i, f := range o.Verdict.Findings {
		if i == most {
			fmt.Fprintf(w, "  and %d more\n", len(o.Verdict.Findings)-most)
			break
		}
		fmt.Fprintf(w, "  %s\n", f)
	}
	for _, n := range o.Verdict.Notes {
		fmt.Fprintf(w, "note     %s\n", n)
	}
	for _, p := range o.Problems {
		fmt.Fprintf(w, "problem  %s\n", strings.ReplaceAll(p, "\n", "\n         "))
	}
}

func missed(g goal) string {
	if g.Reached {
		return ""
	}
	return " - MISSED"
}

func counted(n map[string]int) string {
	var words []string
	for _, k := range slices.Sorted(maps.Keys(n)) {
		words = append(words, fmt.Sprintf("%d %s", n[k], k))
	}
	return strings.Join(words, ", ")
}

// String is "p50 12 ms, p99 3.4 s, max 5.1 s (of 12)".
func (t times) String() string {
	if t.N == 0 {
		return "-"
	}
	return fmt.Sprintf("p50 %s, p99 %s, max %s (of %d)", short(t.P50), short(t.P99), short(t.Max), t.N)
}

// short rounds to what matters.
func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// usage is the memory of a process.
type usage struct {
	Process string
	Bytes   uint64
}

// Memory lists the peaks by process.
func (o *outcome) Memory() []usage {
	var all []usage
	for _, name := range slices.Sorted(maps.Keys(o.Peak)) {
		all = append(all, usage{name, o.Peak[name]})
	}
	return all
}

// Defects lists the six counts in the order of the checker.
func (o *outcome) Defects() []string {
	var words []string
	for _, k := range checker.Kinds() {
		words = append(words, fmt.Sprint(o.Counts[string(k)]))
	}
	return words
}
