package docs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/monitor"
	"github.com/voicerouter/voicerouter/router"
)

var update = flag.Bool("update", false, "rewrite the table of metrics in docs/operations.md")

// catalogue is a registerer that writes down what is registered with it.
type catalogue struct {
	prometheus.Registerer
	rows map[string]string // name to the row of the table
}

// described is how a description prints itself; it has no other way to be read.
var described = regexp.MustCompile(`^Desc\{fqName: "(voicerouter_[a-z_]+)", help: "(.*)", unit: "", constLabels: \{\}, variableLabels: \{(.*)\}\}$`)

func (c catalogue) MustRegister(list ...prometheus.Collector) {
	c.Registerer.MustRegister(list...)
	for _, collector := range list {
		descs := make(chan *prometheus.Desc, 100)
		collector.Describe(descs)
		close(descs)
		for desc := range descs {
			m := described.FindStringSubmatch(desc.String())
			if m == nil {
				continue // of the Go runtime and the process
			}
			c.add(m[1], kind(collector), m[2], strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' }))
		}
	}
}

func (c catalogue) add(name, kind, help string, labels []string) {
	for i := range labels {
		labels[i] = "`" + labels[i] + "`"
	}
	c.rows[name] = fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, kind, strings.Join(labels, " "), strings.ReplaceAll(help, "|", "\\|"))
}

// process adds what the process itself has registered.
func (c catalogue) process(t *testing.T, reg prometheus.Gatherer) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if _, known := c.rows[f.GetName()]; known || !strings.HasPrefix(f.GetName(), "voicerouter_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		c.add(f.GetName(), strings.ToLower(f.GetType().String()), f.GetHelp(), labels)
	}
}

func kind(c prometheus.Collector) string {
	switch text := fmt.Sprintf("%T", c); {
	case strings.Contains(strings.ToLower(text), "histogram"):
		return "histogram"
	case strings.Contains(strings.ToLower(text), "counter"):
		return "counter"
	default:
		return "gauge"
	}
}

// TestMetrics holds the table in docs/operations.md against what the processes
// register; -update rewrites it.
func TestMetrics(t *testing.T) {
	const name, begin, end = "docs/operations.md", "<!-- metrics:begin -->\n", "<!-- metrics:end -->"
	b := brokertest.Start(t, brokertest.Options{Memory: true, Callout: true, NoAuth: true})
	process := monitor.New("serve", monitor.Build{}, func() error { return nil })
	list := catalogue{process.Registry, map[string]string{}}
	if _, err := router.New(router.Options{Conn: b.Router(t), Registerer: list}); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.New(auth.Options{Conn: b.AuthConn(t), Keys: b.AuthKeys(), Registerer: list}); err != nil {
		t.Fatal(err)
	}
	list.process(t, process.Registry)

	var names []string
	for name := range list.rows {
		names = append(names, name)
	}
	slices.Sort(names)
	want := "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n"
	for _, name := range names {
		want += list.rows[name]
	}
	text := read(t, name)
	before, rest, ok := strings.Cut(text, begin)
	have, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s: want the table of metrics between %q and %q", name, begin, end)
	}
	if *update {
		if err := os.WriteFile(filepath.Join(root, name), []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("%s (-want +got; go test ./test/docs -run Metrics -update rewrites it):\n%s", name, diff)
	}
	if problems, err := testutil.GatherAndLint(process.Registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
}
