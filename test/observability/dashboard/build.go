package dashboard

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// runbook is where the sections of the alerts stand.
const runbook = "https://github.com/voicerouter/voicerouter/blob/main/docs/operations.md#runbook"

// JSON returns the dashboard as Grafana reads it.
func JSON() ([]byte, error) {
	text, err := json.Marshal(build(), jsontext.WithIndent("  "), json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	return append(text, '\n'), nil
}

var prometheus = datasource{Type: "prometheus", UID: "${datasource}"}

func build() board {
	b := board{
		UID: "voicerouter", Title: "Voice call router", Tags: []string{"voicerouter"},
		Description: "The fleet of the voice call router: what is wrong, traffic, outcomes, times, backlog, workers, reasons of end, security.",
		Timezone:    "browser", Refresh: "30s", SchemaVersion: 39, GraphTooltip: 1,
		Links: []link{{Title: "Runbook", URL: runbook, Type: "link", TargetBlank: true}},
	}
	b.Time.From, b.Time.To = "now-3h", "now"
	source := variable{Name: "datasource", Label: "Prometheus", Type: "datasource", Query: "prometheus", Refresh: 1}
	fleet := variable{
		Name: "namespace", Label: "Namespace", Type: "query", Datasource: &prometheus, Refresh: 2, Sort: 1,
		Query: "label_values(voicerouter_build_info, namespace)", IncludeAll: true, AllValue: ".*",
	}
	fleet.Current.Text, fleet.Current.Value = "All", "$__all"
	b.Templating.List = []variable{source, fleet}
	b.Annotations.List = []annotation{{
		Name: "Alerts", Datasource: prometheus, Enable: true, IconColor: red, Step: "60s",
		Expr:      short.Replace(`ALERTS{alertname=~"VoiceRouter.+",alertstate="firing",severity="critical",NS}`),
		TitleText: "{{alertname}}", TagKeys: "namespace,instance",
	}}
	b.Panels = layout(rows())
	return b
}

// columns is how many there are.
const columns = 24

// layout places panels from left to right, in a new line where one is full, and
// numbers them.
func layout(rows []row) []element {
	var out []element
	y := 0
	for _, r := range rows {
		no, none := false, []element{}
		out = append(out, element{
			ID: len(out) + 1, Type: "row", Title: r.title, Collapsed: &no, Panels: &none, GridPos: gridPos{Y: y, W: columns, H: 1},
		})
		y++
		x, tallest := 0, 0
		for _, p := range r.panels {
			if x+p.width > columns {
				x, y, tallest = 0, y+tallest, 0
			}
			e := p.element()
			e.ID = len(out) + 1
			e.GridPos.X, e.GridPos.Y = x, y
			out = append(out, e)
			x, tallest = x+e.GridPos.W, max(tallest, e.GridPos.H)
		}
		y += tallest
	}
	return out
}

// element renders a panel.
func (p panel) element() element {
	e := element{
		Type: p.kind.grafana(), Title: p.title, Description: p.help, Datasource: &prometheus,
		GridPos: gridPos{W: p.width, H: p.tall()}, Options: p.options(),
	}
	for _, name := range p.alerts {
		e.Links = append(e.Links, link{
			Title: "Runbook: " + name, TargetBlank: true,
			URL: strings.Replace(runbook, "#runbook", "#"+strings.ToLower(name), 1),
		})
	}
	if p.kind == note {
		e.Datasource = nil
		return e
	}
	for i, q := range p.queries {
		now := p.kind == stat || p.kind == table || p.kind == bars
		t := target{
			RefID: string(rune('A' + i)), Datasource: prometheus, Expr: short.Replace(q.expr), LegendFormat: q.legend,
			Instant: now, Range: !now,
		}
		if p.kind == table {
			t.Format = "table"
		}
		e.Targets = append(e.Targets, t)
	}
	e.FieldConfig = p.fields()
	if p.kind == table {
		e.Transformations = []transformation{{ID: "organize", Options: map[string]any{
			"excludeByName": p.hide, "renameByName": p.names,
		}}}
	}
	return e
}

func (p panel) tall() int {
	switch {
	case p.height > 0:
		return p.height
	case p.kind == stat:
		return 4
	default:
		return 8
	}
}

func (k kind) grafana() string {
	switch k {
	case stat:
		return "stat"
	case table:
		return "table"
	case bars:
		return "bargauge"
	case note:
		return "text"
	default:
		return "timeseries"
	}
}

func (p panel) options() map[string]any {
	last := map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}
	switch p.kind {
	case stat:
		return map[string]any{"reduceOptions": last, "colorMode": "background", "graphMode": "none", "textMode": "value"}
	case bars:
		return map[string]any{"reduceOptions": last, "orientation": "horizontal", "displayMode": "basic"}
	case table:
		return map[string]any{"showHeader": true, "cellHeight": "sm"}
	case note:
		return map[string]any{"mode": "markdown", "content": p.text}
	default:
		return map[string]any{
			"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true},
			"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
		}
	}
}

func (p panel) fields() *fieldConfig {
	zero := 0.0
	f := &fieldConfig{Overrides: []override{}, Defaults: fieldDefaults{Unit: p.unit, Min: &zero}}
	if len(p.colours) > 0 {
		f.Defaults.Thresholds = &thresholds{Mode: "absolute", Steps: p.colours}
	}
	switch p.kind {
	case stat:
		f.Defaults.Color = map[string]any{"mode": "thresholds"}
		f.Defaults.NoValue = "none"
	case table:
		f.Defaults.Min, f.Defaults.NoValue = nil, "none"
	case areas:
		f.Defaults.Custom = map[string]any{"fillOpacity": 40, "lineWidth": 1, "stacking": map[string]any{"mode": "normal", "group": "A"}}
	case graph:
		f.Defaults.Custom = map[string]any{"fillOpacity": 5, "lineWidth": 1}
		if len(p.colours) > 0 {
			f.Defaults.Custom["thresholdsStyle"] = map[string]any{"mode": "line"}
		}
	case bars, note:
	}
	f.Overrides = slices.Concat(f.Overrides, p.overrides())
	return f
}

// overrides gives the lines that mean harm their colour, and a count beside
// times a unit of its own.
func (p panel) overrides() []override {
	var out []override
	set := func(name, property string, value any) {
		out = append(out, override{
			Matcher:    map[string]any{"id": "byName", "options": name},
			Properties: []map[string]any{{"id": property, "value": value}},
		})
	}
	for _, name := range slices.Sorted(maps.Keys(harmful)) {
		if slices.ContainsFunc(p.queries, func(q query) bool { return q.legend == harmful[name] || q.legend == name }) {
			set(name, "color", map[string]any{"mode": "fixed", "fixedColor": red})
		}
	}
	for _, q := range p.queries {
		if q.legend == "being decided" {
			set(q.legend, "unit", "short")
		}
	}
	return out
}

// harmful names the lines that are red, with the legend that yields them.
var harmful = map[string]string{
	"internal": "{{code}}", "starved": "{{result}}", "poison": "{{result}}", "unavailable": "{{result}}",
	"malformed": "{{result}}", "late": "{{result}}", "errors": "errors", "mended": "mended", "error": "{{reason}}",
}
