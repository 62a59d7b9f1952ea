package observability

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// faster is how many times faster the rules are than in production: their ranges
// and their "for" are divided by it, their thresholds stay.
const faster = 60

// quickRules derives the rules that the test runs from those of production.
func quickRules(t *testing.T) []byte {
	t.Helper()
	groups := ruleGroups(t)
	for i := range groups.Groups {
		g := &groups.Groups[i]
		g.Interval = model.Duration(500 * time.Millisecond)
		for j := range g.Rules {
			g.Rules[j].For /= faster
			expr := promQL(t, g.Rules[j].Expr)
			parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
				if m, ok := node.(*parser.MatrixSelector); ok {
					m.Range /= faster
				}
				return nil
			})
			g.Rules[j].Expr = expr.String()
		}
	}
	text, err := yaml.Marshal(groups)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// server is a real Prometheus that scrapes the stack.
type server struct{ url string }

func startPrometheus(t *testing.T, s *stack) server {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is not here: tools/prometheus.sh installs it, on Debian")
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`
global: {scrape_interval: 500ms, evaluation_interval: 500ms}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: voicerouter
    static_configs:
      - {targets: ["%s"], labels: {namespace: calls}}
`, strings.Join(s.targets, `", "`))
	for name, text := range map[string][]byte{"rules.yaml": quickRules(t), "prometheus.yml": []byte(config)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	addr := "127.0.0.1:" + freePort(t)
	c := exec.CommandContext(t.Context(), path, "--config.file=prometheus.yml", "--storage.tsdb.path=data",
		"--web.listen-address="+addr, "--log.level=warn")
	c.Dir = dir
	run(t, c)
	p := server{"http://" + addr}
	eventually(t, "Prometheus answers", func() error {
		_, err := p.query("vector(1)")
		return err
	})
	return p
}

// sample is one series of the answer to a query.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

// query returns the samples of an instant query.
func (p server) query(expr string) ([]sample, error) {
	response, err := http.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Error string
		Data  struct{ Result []sample }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	return answer.Data.Result, nil
}

// has returns nil if the answer to a query has a sample that is a number.
func (p server) has(expr string) error {
	samples, err := p.query(expr)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(samples, func(s sample) bool { return s.Value[1] != "NaN" }) {
		return fmt.Errorf("%s: no data", expr)
	}
	return nil
}

// firing lists the alerts that fire.
func (p server) firing() ([]string, error) {
	samples, err := p.query(`group by (alertname) (ALERTS{alertstate="firing"})`)
	var names []string
	for _, s := range samples {
		names = append(names, s.Metric["alertname"])
	}
	slices.Sort(names)
	return names, err
}

// fires returns nil if all of these alerts fire, or none of them.
func (p server) fires(want bool, names ...string) error {
	firing, err := p.firing()
	for _, name := range names {
		if slices.Contains(firing, name) != want {
			err = errors.Join(err, fmt.Errorf("%s: firing %t, want %t", name, !want, want))
		}
	}
	return err
}

// TestFleet: a real Prometheus scrapes a real fleet with people who call. Every
// series that a rule or a panel reads is there, every query of the dashboard has
// an answer, and when NATS is stopped the alerts that say so fire, and end when it
// is back.
func TestFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two programs and runs five processes")
	}
	t.Parallel()
	s := startFleet(t)
	p := startPrometheus(t, s)
	startLoad(t, s)
	for _, e := range expressions(t) {
		for _, selector := range selectors(t, e.query) {
			if selector.Name != "ALERTS" { // there must be one first
				eventually(t, e.where+" reads "+query(selector), func() error { return p.has(query(selector)) })
			}
		}
	}
	p.answers(t, false)

	outage := []string{"VoiceRouterDisconnected", "VoiceRouterNoReadyWorker", "VoiceRouterNoReadyCallout"}
	if err := p.fires(false, outage...); err != nil {
		t.Fatalf("while all is well: %v", err)
	}
	s.nats.stop()
	eventually(t, "alerts while NATS is down", func() error { return p.fires(true, outage...) })
	p.answers(t, true)
	s.startNATS(t)
	eventually(t, "alerts end when NATS is back", func() error { return p.fires(false, outage...) })
}

// TestDev: the dashboard shows "router dev" as well, which is what people try it
// with.
func TestDev(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program and runs two processes")
	}
	t.Parallel()
	s := startDev(t)
	p := startPrometheus(t, s)
	startLoad(t, s)
	p.answers(t, false)
}

// answers asks what the dashboard asks: what it asks about alerts, or all else.
func (p server) answers(t *testing.T, alerts bool) {
	t.Helper()
	for _, e := range dashboardExpressions(t) {
		if strings.Contains(e.query, "ALERTS") == alerts {
			eventually(t, e.where, func() error { return p.has(e.query) })
		}
	}
}
