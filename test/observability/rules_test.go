// Package observability holds what operators see - alerts, dashboard, runbook -
// against the code, with Prometheus' own tools. It is a module of its own
// because their libraries are large.
package observability

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// root is the directory of the repository.
const root = "../.."

// alertsFile is read by the chart and by the tests.
const alertsFile = "charts/router/files/alerts.yaml"

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// promQL parses as Prometheus does by default.
func promQL(tb testing.TB, expr string) parser.Expr {
	tb.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		tb.Fatalf("%s: %v", expr, err)
	}
	return parsed
}

// ruleGroups parses rules as the newest Prometheus does; promtool, of Debian,
// stands for an old one.
func ruleGroups(tb testing.TB) *rulefmt.RuleGroups {
	tb.Helper()
	groups, errs := rulefmt.ParseFile(filepath.Join(root, alertsFile), false, model.LegacyValidation,
		parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		tb.Fatal(errs)
	}
	return groups
}

func alerts(tb testing.TB) []rulefmt.Rule {
	tb.Helper()
	var all []rulefmt.Rule
	for _, g := range ruleGroups(tb).Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 20 {
		tb.Fatalf("%s has %d rules: are these the alerts?", alertsFile, len(all))
	}
	return all
}

// TestSameFiles: who takes the files without the chart gets the same.
func TestSameFiles(t *testing.T) {
	for chart, plain := range map[string]string{
		alertsFile:                           "deploy/prometheus/alerts.yaml",
		"charts/router/files/dashboard.json": "deploy/grafana/dashboard.json",
	} {
		if !bytes.Equal(read(t, chart), read(t, plain)) {
			t.Errorf("%s and %s differ: copy the first over the second", chart, plain)
		}
	}
}

// TestAlerts: every alert says how urgent it is, what has happened, what to do
// first, and where to read on.
func TestAlerts(t *testing.T) {
	operations := string(read(t, "docs/operations.md"))
	seen := map[string]bool{}
	for _, rule := range alerts(t) {
		if rule.Alert == "" || seen[rule.Alert] {
			t.Errorf("rule %q %q: want an alert, once", rule.Alert, rule.Record)
		}
		seen[rule.Alert] = true
		if s := rule.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q, want critical or warning", rule.Alert, s)
		}
		if !strings.HasSuffix(rule.Annotations["summary"], ".") {
			t.Errorf("%s: summary %q: want a sentence", rule.Alert, rule.Annotations["summary"])
		}
		if !strings.Contains(rule.Annotations["description"], "First ") {
			t.Errorf("%s: the description does not say what to do first", rule.Alert)
		}
		wantURL := "https://github.com/voicerouter/voicerouter/blob/main/docs/operations.md#" + strings.ToLower(rule.Alert)
		if rule.Annotations["runbook_url"] != wantURL {
			t.Errorf("%s: runbook_url %q, want %q", rule.Alert, rule.Annotations["runbook_url"], wantURL)
		}
		checkRunbook(t, operations, rule)
		checkTemplates(t, rule)
	}
	for _, m := range regexp.MustCompile(`(?m)^### (VoiceRouter\w+)$`).FindAllStringSubmatch(operations, -1) {
		if !seen[m[1]] {
			t.Errorf("docs/operations.md has a section for %s, which is no alert", m[1])
		}
	}
}

// checkRunbook looks for the section of an alert and its parts.
func checkRunbook(t *testing.T, operations string, rule rulefmt.Rule) {
	t.Helper()
	_, section, found := strings.Cut(operations, "\n### "+rule.Alert+"\n")
	if !found {
		t.Errorf("%s: no section \"### %s\" in docs/operations.md", rule.Alert, rule.Alert)
		return
	}
	section, _, _ = strings.Cut(section, "\n#")
	for _, part := range []string{"**Meaning.** ", "**Impact.** ", "**First look.** ", "**Mend.** "} {
		if !strings.Contains(section, part) {
			t.Errorf("%s: its section in docs/operations.md lacks %q", rule.Alert, part)
		}
	}
	if severity := "*" + rule.Labels["severity"] + "*"; !strings.Contains(section, severity) {
		t.Errorf("%s: its section in docs/operations.md does not say %s", rule.Alert, severity)
	}
}

var usedLabel = regexp.MustCompile(`\$labels\.(\w+)`)

// checkTemplates: a label that a text names is one that the expression leaves.
func checkTemplates(t *testing.T, rule rulefmt.Rule) {
	t.Helper()
	for _, text := range rule.Annotations {
		for _, m := range usedLabel.FindAllStringSubmatch(text, -1) {
			if !leaves(promQL(t, rule.Expr), m[1]) {
				t.Errorf("%s: $labels.%s: the expression leaves no such label", rule.Alert, m[1])
			}
		}
	}
}

// leaves reports whether the result of expr has this label, as far as the label
// is on what it selects.
func leaves(expr parser.Expr, label string) bool {
	switch e := expr.(type) {
	case *parser.AggregateExpr:
		return slices.Contains(e.Grouping, label) && !e.Without
	case *parser.BinaryExpr:
		return e.LHS.Type() == parser.ValueTypeVector && leaves(e.LHS, label) ||
			e.LHS.Type() == parser.ValueTypeScalar && leaves(e.RHS, label)
	case *parser.ParenExpr:
		return leaves(e.Expr, label)
	case *parser.Call:
		return leaves(e.Args[len(e.Args)-1], label)
	default:
		return true
	}
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is not here: tools/prometheus.sh installs it, on Debian")
	}
	if out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// caseFiles are the cases of promtool.
func caseFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "deploy/prometheus/*_test.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in deploy/prometheus: %v", err)
	}
	return files
}

// TestPromtool runs every case: each alert fires when it must, not before, and
// ends.
func TestPromtool(t *testing.T) {
	promtool(t, "check", "rules", filepath.Join(root, "deploy/prometheus/alerts.yaml"))
	promtool(t, append([]string{"test", "rules"}, caseFiles(t)...)...)
}

// ruleCase is the part of a case that says what is expected when.
type ruleCase struct {
	Name  string
	Steps []struct {
		Expr     string
		Expected []struct{ Labels string } `yaml:"exp_samples"`
	} `yaml:"promql_expr_test"`
}

// TestEveryAlertIsTried: a case of its name shows that an alert does not fire at
// first, fires, and ends.
func TestEveryAlertIsTried(t *testing.T) {
	var cases []ruleCase
	for _, file := range caseFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var content struct{ Tests []ruleCase }
		if err := yaml.Unmarshal(text, &content); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		cases = append(cases, content.Tests...)
	}
	for _, rule := range alerts(t) {
		if !slices.ContainsFunc(cases, func(c ruleCase) bool { return c.tries(rule.Alert) }) {
			t.Errorf("%s: no case in deploy/prometheus/*_test.yaml in which it is silent, then fires, then ends", rule.Alert)
		}
	}
}

func (c ruleCase) tries(alert string) bool {
	if !strings.Contains(c.Name, alert) {
		return false
	}
	wants := []bool{false, true, false} // fires, in this order
	for _, s := range c.Steps {
		if !strings.HasPrefix(s.Expr, "ALERTS{") || len(wants) == 0 {
			continue
		}
		fires := false
		for _, e := range s.Expected {
			fires = fires || strings.Contains(e.Labels, `alertname="`+alert+`"`)
		}
		if fires == wants[0] {
			wants = wants[1:]
		}
	}
	return len(wants) == 0
}
