package observability

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// expression is a query and where it stands.
type expression struct{ where, query string }

// expressions lists every query of the rules and of the dashboard, with Grafana's
// variables filled in.
func expressions(tb testing.TB) []expression {
	tb.Helper()
	return append(ruleExpressions(tb), dashboardExpressions(tb)...)
}

func ruleExpressions(tb testing.TB) []expression {
	tb.Helper()
	var all []expression
	for _, rule := range alerts(tb) {
		all = append(all, expression{rule.Alert, rule.Expr})
	}
	return all
}

// grafana fills in variables as Grafana does when nothing is chosen.
var grafana = strings.NewReplacer("$namespace", ".*", "$__rate_interval", "1m", "$__range", "5m")

func dashboardExpressions(tb testing.TB) []expression {
	tb.Helper()
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(tb, "charts/router/files/dashboard.json"), &board); err != nil {
		tb.Fatal(err)
	}
	var all []expression
	for _, p := range board.Panels {
		for _, t := range p.Targets {
			query := grafana.Replace(t.Expr)
			if strings.Contains(query, "$") {
				tb.Errorf("panel %q: %s: a variable that this test does not know", p.Title, query)
			}
			all = append(all, expression{"panel " + p.Title, query})
		}
	}
	if len(all) < 50 {
		tb.Fatalf("%d queries in the dashboard: does this test still read it?", len(all))
	}
	return all
}

// selectors returns what an expression reads.
func selectors(tb testing.TB, query string) []*parser.VectorSelector {
	tb.Helper()
	var all []*parser.VectorSelector
	parser.Inspect(promQL(tb, query), func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			all = append(all, s)
		}
		return nil
	})
	if len(all) == 0 {
		tb.Errorf("%s: reads no series", query)
	}
	return all
}

// tableRow is a metric in the table of docs/operations.md, which a test of its
// own holds against the code.
var tableRow = regexp.MustCompile("(?m)^\\| `(voicerouter_[a-z_]+)` \\| (counter|gauge|histogram) \\| ([^|]*) \\|")

// ofTheTarget are labels that Prometheus adds: where a series was scraped.
var ofTheTarget = []string{"namespace", "instance", "job", "pod"}

// exported returns the labels of every series that there is.
func exported(tb testing.TB) map[string][]string {
	tb.Helper()
	all := map[string][]string{
		"process_cpu_seconds_total": nil, "process_resident_memory_bytes": nil, // of client_golang
		"ALERTS": {"alertname", "alertstate", "severity", "consumer", "command"}, // of Prometheus
	}
	rows := tableRow.FindAllStringSubmatch(string(read(tb, "docs/operations.md")), -1)
	if len(rows) < 30 {
		tb.Fatalf("%d metrics in docs/operations.md: does the pattern still fit?", len(rows))
	}
	for _, m := range rows {
		names := strings.Fields(strings.ReplaceAll(m[3], "`", ""))
		if m[2] != "histogram" {
			all[m[1]] = names
			continue
		}
		all[m[1]+"_sum"], all[m[1]+"_count"] = names, names
		all[m[1]+"_bucket"] = append([]string{"le"}, names...)
	}
	return all
}

// TestNames: every series and label that a rule or a panel names exists, and
// counters are only read as rates.
func TestNames(t *testing.T) {
	series := exported(t)
	used := map[string]bool{}
	for _, e := range expressions(t) {
		var known []string // labels of what the expression reads
		for _, s := range selectors(t, e.query) {
			used[base(s.Name)] = true
			names, exists := series[s.Name]
			if !exists {
				t.Errorf("%s: %s: no such metric in docs/operations.md", e.where, s.Name)
				continue
			}
			for _, m := range s.LabelMatchers {
				if m.Name != model.MetricNameLabel && !slices.Contains(names, m.Name) && !slices.Contains(ofTheTarget, m.Name) {
					t.Errorf("%s: %s: has no label %s", e.where, s, m.Name)
				}
			}
			known = append(known, names...)
		}
		checkGrouping(t, e, append(known, ofTheTarget...))
		checkRates(t, e)
	}
	for name := range series {
		if !used[base(name)] {
			t.Errorf("%s is in no rule and no panel: show it", base(name))
		}
	}
}

// base returns the name of the histogram that a series belongs to, or the name.
func base(name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// checkGrouping: an expression groups by and matches on labels that its series
// have.
func checkGrouping(t *testing.T, e expression, known []string) {
	t.Helper()
	parser.Inspect(promQL(t, e.query), func(node parser.Node, _ []parser.Node) error {
		var names []string
		switch n := node.(type) {
		case *parser.AggregateExpr:
			names = n.Grouping
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				names = append(n.VectorMatching.MatchingLabels, n.VectorMatching.Include...)
			}
		}
		for _, name := range names {
			if !slices.Contains(known, name) {
				t.Errorf("%s: %s: nothing in it has the label %s", e.where, node, name)
			}
		}
		return nil
	})
}

// checkRates: the value of a counter says when the process began; only its growth
// says something of the service.
func checkRates(t *testing.T, e expression) {
	t.Helper()
	parser.Inspect(promQL(t, e.query), func(node parser.Node, path []parser.Node) error {
		s, ok := node.(*parser.VectorSelector)
		counter := ok && regexp.MustCompile(`(_total|_bucket|_sum|_count)$`).MatchString(s.Name)
		if !counter {
			return nil
		}
		for _, above := range path {
			if call, ok := above.(*parser.Call); ok && (call.Func.Name == "rate" || call.Func.Name == "increase") {
				return nil
			}
		}
		t.Errorf("%s: %s is a counter: take its rate", e.where, s)
		return nil
	})
}

// query returns a selector that Prometheus' API takes.
func query(s *parser.VectorSelector) string {
	var matchers []string
	for _, m := range s.LabelMatchers {
		if m.Type != labels.MatchEqual || m.Name != model.MetricNameLabel {
			matchers = append(matchers, m.String())
		}
	}
	return s.Name + "{" + strings.Join(matchers, ",") + "}"
}
