package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

//go:embed report.md.tmpl
var reportText string

// report writes docs/performance.md and its plots from the lines of files.
func report(docs string, files []string) error {
	results, err := readResults(slices.Sorted(slices.Values(files))...)
	if err != nil {
		return err
	}
	f := findings(results)
	page, err := template.New("report").Funcs(template.FuncMap{
		"throughput": f.throughputTable, "latency": f.latencyTable, "marks": f.marksTable, "sip": f.sipTable, "profile": f.profileTable,
		"micro": f.microTable, "machine": f.machine, "has": f.has, "curves": func() (string, error) { return f.curves(docs) },
		"ratio": f.ratioText, "workers": f.workersTable,
	}).Parse(reportText)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := page.Execute(&out, nil); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(docs, "performance.md"), out.Bytes(), 0o644)
}

type findings []result

func (f findings) of(kind, variant string) (found findings) {
	for _, r := range f {
		if r.Kind == kind && (variant == "" || r.Variant == variant) {
			found = append(found, r)
		}
	}
	return found
}

func (f findings) has(kind string) bool { return len(f.of(kind, "")) > 0 }

// figures returns one figure of every line that has it.
func (f findings) figures(figure func(result) (float64, bool)) (values []float64) {
	for _, r := range f {
		if v, ok := figure(r); ok {
			values = append(values, v)
		}
	}
	return values
}

func perSecond(r result) (float64, bool) {
	if r.Throughput == nil {
		return 0, false
	}
	return r.Throughput.PerSecond, true
}

func throughputOf(figure func(*throughput) float64) func(result) (float64, bool) {
	return func(r result) (float64, bool) {
		if r.Throughput == nil {
			return 0, false
		}
		return figure(r.Throughput), true
	}
}

func latencyFigure(which func(result) *latency, figure func(*latency) float64) func(result) (float64, bool) {
	return func(r result) (float64, bool) {
		l := which(r)
		if l == nil {
			return 0, false
		}
		return figure(l), true
	}
}

func idleOf(r result) *latency   { return r.Idle }
func loadedOf(r result) *latency { return r.Loaded }
func p50(l *latency) float64     { return l.P50 }
func p99(l *latency) float64     { return l.P99 }
func p999(l *latency) float64    { return l.P999 }

// ratios are those of two variants round by round: what disturbs a round disturbs
// both.
func (f findings) ratios(a, b string) (values []float64) {
	for _, x := range f.of("round", a) {
		for _, y := range f.of("round", b) {
			if x.Round == y.Round && x.Throughput != nil && y.Throughput != nil {
				values = append(values, x.Throughput.PerSecond/y.Throughput.PerSecond)
			}
		}
	}
	return values
}

func (f findings) ratioText(a, b string) string {
	return spreadOf(f.ratios(a, b)).text("%.2f")
}

func (s spread) text(format string) string {
	if s == (spread{}) {
		return "-"
	}
	return fmt.Sprintf(format+" ("+format+" to "+format+")", s.median, s.least, s.most)
}

func (f findings) names() (names []string) {
	for _, r := range f.of("round", "") {
		if !slices.Contains(names, r.Variant) {
			names = append(names, r.Variant)
		}
	}
	known := map[string]int{}
	for i, v := range variants() {
		known[v.name] = i
	}
	slices.SortStableFunc(names, func(a, b string) int { return known[a] - known[b] })
	return names
}

// table writes a table in Markdown.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(head)))
	for _, r := range rows {
		line(r)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (f findings) throughputTable() string {
	var rows [][]string
	for _, name := range f.names() {
		v := f.of("round", name)
		median := func(figure func(*throughput) float64) string {
			return fmt.Sprintf("%.0f", spreadOf(v.figures(throughputOf(figure))).median)
		}
		bytes := func(figure func(result) int64) string {
			return fmt.Sprintf("%.0f", spreadOf(v.figures(func(r result) (float64, bool) { return float64(figure(r)), true })).median/(1<<20))
		}
		rows = append(rows, []string{
			name, spreadOf(v.figures(perSecond)).text("%.0f"), fmt.Sprintf("%.2f", spreadOf(f.ratios(name, "raw")).median),
			median(func(t *throughput) float64 { return t.WorkerCPU }), median(func(t *throughput) float64 { return t.ServerCPU }),
			median(func(t *throughput) float64 { return t.Allocs }),
			bytes(func(r result) int64 { return r.WorkerMemory }), bytes(func(r result) int64 { return r.ServerMemory }),
		})
	}
	return table([]string{
		"", "Messages per second", "of `raw`", "Worker, CPU µs", "Server, CPU µs", "Allocations", "Worker, MiB", "Server, MiB",
	}, rows)
}

func (f findings) latencyTable() string {
	var rows [][]string
	for _, name := range f.names() {
		v := f.of("round", name)
		row := []string{name}
		for _, which := range []func(result) *latency{idleOf, loadedOf} {
			for _, figure := range []func(*latency) float64{p50, p99, p999} {
				row = append(row, spreadOf(v.figures(latencyFigure(which, figure))).text("%.2f"))
			}
		}
		rows = append(rows, row)
	}
	return table([]string{"", "Idle p50", "p99", "p99.9", "Half load p50", "p99", "p99.9"}, rows)
}

func (f findings) profileTable() string {
	var rows [][]string
	for _, process := range []string{"worker", "server"} {
		v := f.of("profile", process)
		slices.SortStableFunc(v, func(a, b result) int { return int(100 * (b.X - a.X)) })
		for _, r := range v {
			rows = append(rows, []string{process, r.Micro, fmt.Sprintf("%.0f %%", r.X)})
		}
	}
	return table([]string{"Process", "What", "Share of its CPU"}, rows)
}

func (f findings) microTable() string {
	var rows [][]string
	for _, r := range f.of("micro", "") {
		fields := strings.Fields(r.Micro)
		row := []string{"`" + strings.TrimPrefix(fields[0], "Benchmark") + "`", r.Variant, "", "", ""}
		for i := 2; i+1 < len(fields); i += 2 {
			switch fields[i+1] {
			case "ns/op":
				row[2] = fields[i] + " ns"
			case "allocs/op":
				row[3] = fields[i]
			case "B/op", "MB/s":
			default:
				row[4] = fields[i] + " " + fields[i+1]
			}
		}
		rows = append(rows, row)
	}
	return table([]string{"Benchmark", "Package", "Time", "Allocations", "Besides"}, rows)
}

func (f findings) machine() string {
	var lines []string
	for _, r := range f.of("machine", "") {
		lines = append(lines, fmt.Sprintf("- `bench %s`: %s", r.Variant, r.Machine))
	}
	return strings.Join(lines, "\n")
}
