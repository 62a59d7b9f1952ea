package main

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// curve is one plot: what it varies and what it shows.
type curve struct {
	name, axis, unit string
	log              bool
}

func curveList() []curve {
	return []curve{
		{"live calls", "live calls in the stream", "messages per second", true},
		{"routes", "routes in the bucket", "messages per second", true},
		{"endpoints", "connected endpoints", "messages per second", true},
		{"workers", "workers", "messages per second", false},
		{"message size", "bytes of peer_info in every message", "messages per second", true},
		{"load", "messages per second", "", true},
	}
}

// curves writes the plots and returns the text that shows them.
func (f findings) curves(docs string) (string, error) {
	var b strings.Builder
	for _, c := range curveList() {
		points := f.of("curve", c.name)
		if len(points) == 0 {
			continue
		}
		slices.SortFunc(points, func(a, b result) int { return cmp.Compare(a.X, b.X) })
		text, err := c.section(docs, points)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return strings.TrimSpace(b.String()), nil
}

// section writes the plot of a curve, if it has one, and returns the text and the table.
func (c curve) section(docs string, points []result) (string, error) {
	text := "### " + strings.ToUpper(c.name[:1]) + c.name[1:] + "\n\n"
	if c.unit != "" {
		file := "performance-" + strings.ReplaceAll(c.name, " ", "-") + ".svg"
		if err := os.WriteFile(filepath.Join(docs, file), []byte(c.plot(points)), 0o644); err != nil {
			return "", err
		}
		text += fmt.Sprintf("![%s](%s)\n\n", c.axis, file)
	}
	var rows [][]string
	for _, p := range points {
		rows = append(rows, p.row())
	}
	return text + table([]string{
		c.axis, "Messages per second", "Worker, CPU µs", "Server, CPU µs", "Worker, MiB", "Server, MiB", "Start to first message", "Hop p50", "p99",
	}, rows) + "\n\n", nil
}

func (r result) row() []string {
	row := make([]string, 9)
	row[0] = fmt.Sprintf("%.0f", r.X)
	if t := r.Throughput; t != nil {
		row[1], row[2], row[3] = fmt.Sprintf("%.0f", t.PerSecond), fmt.Sprintf("%.0f", t.WorkerCPU), fmt.Sprintf("%.0f", t.ServerCPU)
		row[4], row[5] = fmt.Sprint(r.WorkerMemory>>20), fmt.Sprint(r.ServerMemory>>20)
	}
	if r.StartMS > 0 {
		row[6] = fmt.Sprintf("%.0f ms", r.StartMS)
	}
	if l := r.Loaded; l != nil {
		row[7], row[8] = fmt.Sprintf("%.1f ms", l.P50), fmt.Sprintf("%.1f ms", l.P99)
	}
	return row
}

const (
	plotWidth, plotHeight = 640.0, 300.0
	plotLeft, plotBottom  = 70.0, 250.0
	plotTop, plotRight    = 20.0, 620.0
)

// plot draws points as an SVG.
func (c curve) plot(points []result) string {
	scale := func(x float64) float64 { return x }
	if c.log {
		scale = math.Log10
	}
	low, high, top := math.Inf(1), math.Inf(-1), 0.0
	for _, p := range points {
		low, high = min(low, scale(p.X)), max(high, scale(p.X))
		if p.Throughput != nil {
			top = max(top, p.Throughput.PerSecond)
		}
	}
	top *= 1.1
	x := func(v float64) float64 {
		return plotLeft + 30 + (scale(v)-low)/max(high-low, 1e-9)*(plotRight-plotLeft-60)
	}
	y := func(v float64) float64 { return plotBottom - v/max(top, 1e-9)*(plotBottom-plotTop) }
	var b, line strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="white"/>`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<path d="M%.0f %.0fV%.0fH%.0f" fill="none" stroke="black"/>`+"\n", plotLeft, plotTop, plotBottom, plotRight)
	for i := range 5 {
		v := top * float64(i) / 4
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="end">%.0f</text><path d="M%.0f %.1fH%.0f" stroke="#ddd"/>`+"\n", plotLeft-6, y(v)+4, v, plotLeft, y(v), plotRight)
	}
	for _, p := range points {
		if p.Throughput == nil {
			continue
		}
		px, py := x(p.X), y(p.Throughput.PerSecond)
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill="#06c"/><text x="%.1f" y="%.0f" text-anchor="middle">%.0f</text>`+"\n", px, py, px, plotBottom+18, p.X)
		op := "L"
		if line.Len() == 0 {
			op = "M"
		}
		fmt.Fprintf(&line, "%s%.1f %.1f", op, px, py)
	}
	fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="#06c"/>`+"\n", line.String())
	fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="middle">%s</text>`+"\n", (plotLeft+plotRight)/2, plotHeight-8, c.axis)
	fmt.Fprintf(&b, `<text x="14" y="%.0f" transform="rotate(-90 14 %.0f)" text-anchor="middle">%s</text>`+"\n</svg>\n", (plotTop+plotBottom)/2, (plotTop+plotBottom)/2, c.unit)
	return b.String()
}

func (f findings) workersTable() string {
	var rows [][]string
	for _, p := range f.of("curve", "workers") {
		rows = append(rows, []string{fmt.Sprintf("%.0f", p.X), fmt.Sprintf("%.0f", p.Throughput.PerSecond), fmt.Sprintf("%.2f %%", 100*p.Decided), fmt.Sprintf("%.1f %%", 100*p.DecidedBacklog)})
	}
	return table([]string{"Workers", "Messages per second", "Decided twice at half load", "In a backlog"}, rows)
}

func (f findings) sipTable() string {
	var rows [][]string
	for _, name := range []string{"kamailio", "router"} {
		for _, r := range f.of("sip", name) {
			row := []string{name, fmt.Sprintf("%.0f", r.Calls), "", "", ""}
			if r.SetUp != nil {
				row[2], row[3] = fmt.Sprintf("%.1f ms", r.SetUp.P50), fmt.Sprintf("%.1f ms", r.SetUp.P99)
			}
			for _, l := range f.of("loss", name) {
				if l.Lost != nil {
					row[4] = fmt.Sprintf("%d of %d", *l.Lost, l.Made)
				}
			}
			rows = append(rows, row)
		}
	}
	return table([]string{"", "Calls per second without a failure", "Set-up p50", "Set-up p99", "Lost when killed under load"}, rows)
}
