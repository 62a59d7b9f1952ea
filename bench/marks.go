package main

import "fmt"

// mark is a number that was to be reached.
type mark struct {
	measure string
	want    string
	// reached returns what was measured, and whether that is enough.
	reached func(findings) (text string, ok, known bool)
}

func atLeast(want float64, a, b string) mark {
	return mark{want: fmt.Sprintf(">= %.2f", want), reached: func(f findings) (string, bool, bool) {
		values := f.ratios(a, b)
		return spreadOf(values).text("%.2f"), spreadOf(values).median >= want, len(values) > 0
	}}
}

func atMostMS(want float64, variant string, which func(result) *latency, figure func(*latency) float64) mark {
	return mark{want: fmt.Sprintf("<= %.0f ms", want), reached: func(f findings) (string, bool, bool) {
		values := f.of("round", variant).figures(latencyFigure(which, figure))
		s := spreadOf(values)
		return s.text("%.1f") + " ms", s.median <= want, len(values) > 0
	}}
}

// hopRatio compares idle hops of two variants.
func hopRatio(want float64, a, b string) mark {
	return mark{want: fmt.Sprintf("<= %.0fx", want), reached: func(f findings) (string, bool, bool) {
		figure := latencyFigure(idleOf, p50)
		x, y := spreadOf(f.of("round", a).figures(figure)), spreadOf(f.of("round", b).figures(figure))
		if y.median == 0 {
			return "", false, false
		}
		return fmt.Sprintf("%.2fx (%.2f ms and %.2f ms)", x.median/y.median, x.median, y.median), x.median <= want*y.median, true
	}}
}

func (m mark) named(measure string) mark {
	m.measure = measure
	return m
}

func marks() []mark {
	return []mark{
		atLeast(0.33, "router", "raw").named("`router` everything on, R1 file, of `raw`"),
		atLeast(0.55, "router unsigned", "raw").named("`router` signatures off, R1 file, of `raw`"),
		atLeast(1.6, "router", "watermill").named("`router` everything on, of `watermill` with a look-up"),
		{measure: "calls per second, of `kamailio`", want: ">= 1.20", reached: func(f findings) (string, bool, bool) {
			ours, theirs := f.calls("router"), f.calls("kamailio")
			return fmt.Sprintf("%.2f (%.0f and %.0f)", ours/theirs, ours, theirs), ours >= 1.2*theirs, ours > 0 && theirs > 0
		}},
		{measure: "calls in set-up lost by SIGKILL of the router under load", want: "0", reached: func(f findings) (string, bool, bool) {
			lost, made, known := 0, 0, false
			for _, r := range f.of("loss", "router") {
				if r.Lost != nil {
					lost, made, known = lost+*r.Lost, made+r.Made, true
				}
			}
			return fmt.Sprintf("%d of %d", lost, made), lost == 0, known
		}},
		hopRatio(2, "router memory", "raw memory").named("idle hop p50, memory, of `raw`"),
		hopRatio(2, "router R3", "raw R3").named("idle hop p50, R3, of `raw`"),
		atMostMS(4, "router", idleOf, p50).named("idle hop p50, R1 file"),
		atMostMS(15, "router", loadedOf, p99).named("hop p99 at half load, R1 file"),
		{measure: "throughput with 1M live calls, of 1k", want: ">= 0.85", reached: func(f findings) (string, bool, bool) {
			few, many := f.point("live calls", 1e3), f.point("live calls", 1e6)
			if few.Throughput == nil || many.Throughput == nil {
				return "", false, false
			}
			r := many.Throughput.PerSecond / few.Throughput.PerSecond
			return fmt.Sprintf("%.2f", r), r >= .85, true
		}},
		{measure: "worker's memory at 1M live calls", want: "<= 128 MiB", reached: func(f findings) (string, bool, bool) {
			r := f.point("live calls", 1e6)
			return fmt.Sprintf("%d MiB", r.WorkerMemory>>20), r.WorkerMemory <= 128<<20, r.WorkerMemory > 0
		}},
		{measure: "worker's start to first message routed, 1M live calls", want: "<= 1000 ms", reached: func(f findings) (string, bool, bool) {
			r := f.point("live calls", 1e6)
			return fmt.Sprintf("%.0f ms", r.StartMS), r.StartMS <= 1000, r.StartMS > 0
		}},
		{measure: "4 workers: messages decided twice", want: "< 2 %", reached: func(f findings) (string, bool, bool) {
			r := f.point("workers", 4)
			return fmt.Sprintf("%.2f %%", 100*r.Decided), r.Decided < .02, r.Throughput != nil
		}},
	}
}

func (f findings) marksTable() string {
	var rows [][]string
	for _, m := range marks() {
		text, ok, known := m.reached(f)
		verdict := "yes"
		switch {
		case !known:
			text, verdict = "not measured", ""
		case !ok:
			verdict = "**no**"
		}
		rows = append(rows, []string{m.measure, m.want, text, verdict})
	}
	return table([]string{"Measure", "Mark", "Measured", "Reached"}, rows)
}

// point returns one point of a curve.
func (f findings) point(curve string, x float64) result {
	for _, r := range f.of("curve", curve) {
		if r.X == x {
			return r
		}
	}
	return result{}
}

// calls is the best rate of calls of a side of "sip".
func (f findings) calls(variant string) (best float64) {
	for _, r := range f.of("sip", variant) {
		best = max(best, r.Calls)
	}
	return best
}
