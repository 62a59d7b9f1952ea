package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// throughput is what a drained backlog shows, per message that came in.
type throughput struct {
	PerSecond float64 `json:"per_second"`
	// WorkerCPU and ServerCPU are microseconds of processor time.
	WorkerCPU float64 `json:"worker_cpu_us"`
	ServerCPU float64 `json:"server_cpu_us"`
	Allocs    float64 `json:"allocs"`
}

// latency is a distribution in milliseconds.
type latency struct {
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	N    int     `json:"n"`
}

func latencyOf(took []time.Duration) *latency {
	if len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	at := func(q float64) float64 {
		i := min(int(q*float64(len(took))), len(took)-1)
		return float64(took[i].Microseconds()) / 1000
	}
	return &latency{P50: at(.5), P99: at(.99), P999: at(.999), N: len(took)}
}

// result is one line of the JSON: one variant in one round, or one point of a
// curve. Report and plots are made of these lines and of nothing else.
type result struct {
	Kind     string `json:"kind"` // "round", "curve", "sip", "loss", "workers", "machine", "micro"
	Variant  string `json:"variant,omitempty"`
	Round    int    `json:"round,omitempty"`
	Storage  string `json:"storage,omitempty"`
	Replicas int    `json:"replicas,omitempty"`

	Throughput   *throughput `json:"throughput,omitempty"`
	Idle         *latency    `json:"idle,omitempty"`
	Loaded       *latency    `json:"loaded,omitempty"`
	LoadedRate   float64     `json:"loaded_rate,omitempty"`
	WorkerMemory int64       `json:"worker_peak_bytes,omitempty"`
	ServerMemory int64       `json:"server_peak_bytes,omitempty"`

	// A point of a curve: Variant is what is varied, X its value.
	X       float64 `json:"x,omitempty"`
	StartMS float64 `json:"start_ms,omitempty"` // from the launch of a worker to its first message routed
	// The share of messages that were decided again, at half load and in a backlog.
	Decided        float64 `json:"decided_twice,omitempty"`
	DecidedBacklog float64 `json:"decided_twice_backlog,omitempty"`

	// Calls per second, and calls in set-up that were lost, of "sip" and "loss".
	Calls   float64  `json:"calls_per_second,omitempty"`
	SetUp   *latency `json:"set_up,omitempty"`
	Made    int      `json:"made,omitempty"`
	Lost    *int     `json:"lost,omitempty"`
	Machine string   `json:"machine,omitempty"`
	Micro   string   `json:"micro,omitempty"`
}

// output writes results to a file as they come in, and shows them.
type output struct {
	file *os.File
	show io.Writer
}

func (o output) add(r result) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := o.file.Write(append(line, '\n')); err != nil {
		return err
	}
	fmt.Fprintln(o.show, r.String())
	return nil
}

func (r result) String() string {
	text := fmt.Sprintf("%-6s %-28s", r.Kind, r.Variant)
	if r.Round > 0 {
		text += fmt.Sprintf(" round %d", r.Round)
	}
	if r.X > 0 {
		text += fmt.Sprintf(" x=%g", r.X)
	}
	if t := r.Throughput; t != nil {
		text += fmt.Sprintf("  %7.0f msg/s  cpu %5.1f + %5.1f us  %5.0f allocs", t.PerSecond, t.WorkerCPU, t.ServerCPU, t.Allocs)
	}
	for name, l := range map[string]*latency{"idle": r.Idle, "loaded": r.Loaded, "set-up": r.SetUp} {
		if l != nil {
			text += fmt.Sprintf("  %s %.2f/%.1f/%.1f ms", name, l.P50, l.P99, l.P999)
		}
	}
	if r.WorkerMemory > 0 {
		text += fmt.Sprintf("  memory %d + %d MiB", r.WorkerMemory>>20, r.ServerMemory>>20)
	}
	if r.StartMS > 0 {
		text += fmt.Sprintf("  start %.0f ms", r.StartMS)
	}
	if r.Decided > 0 || r.DecidedBacklog > 0 {
		text += fmt.Sprintf("  decided twice %.2f %%, in a backlog %.1f %%", 100*r.Decided, 100*r.DecidedBacklog)
	}
	if r.Calls > 0 {
		text += fmt.Sprintf("  %.0f calls/s", r.Calls)
	}
	if r.Lost != nil {
		text += fmt.Sprintf("  %d of %d calls lost", *r.Lost, r.Made)
	}
	return text
}

// readResults returns the lines of files.
func readResults(names ...string) (all []result, err error) {
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for n := 1; lines.Scan(); n++ {
			var r result
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, n, err)
			}
			all = append(all, r)
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// spread is the median and the range of a figure over the rounds.
type spread struct{ median, least, most float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	v := slices.Sorted(slices.Values(values))
	middle := v[len(v)/2]
	if len(v)%2 == 0 {
		middle = (v[len(v)/2-1] + v[len(v)/2]) / 2
	}
	return spread{middle, v[0], v[len(v)-1]}
}
