package dashboard

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the dashboard")

// files are the places of the dashboard: the chart's, and the one for an import
// by hand.
var files = []string{"../../../charts/router/files/dashboard.json", "../../../deploy/grafana/dashboard.json"}

// TestFiles holds the files against what the package makes.
func TestFiles(t *testing.T) {
	want, err := JSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what this package makes: run \"go test ./dashboard -update\"", file)
		}
	}
}

// imported is the part of the file that the test reads, in the types of the
// format and not of the generator.
type imported struct {
	SchemaVersion int
	UID, Title    string
	Panels        []struct {
		ID          int
		Type, Title string
		Description string
		GridPos     struct{ X, Y, W, H int }
		Datasource  *struct{ Type, UID string }
		Targets     []struct{ RefID, Expr, LegendFormat string }
		FieldConfig struct{ Defaults struct{ Unit string } }
		Options     struct{ Content string }
	}
	Templating struct{ List []struct{ Name, Type string } }
}

func load(t *testing.T) imported {
	t.Helper()
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var board imported
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	if len(board.Panels) < 30 {
		t.Fatalf("%d panels: is this the dashboard?", len(board.Panels))
	}
	return board
}

// TestPlaces: every panel has an id of its own and lies on the grid, and none
// covers another.
func TestPlaces(t *testing.T) {
	board := load(t)
	if board.SchemaVersion < 36 { // from it on, panels name their datasource by uid
		t.Errorf("schemaVersion %d: want 36 or newer", board.SchemaVersion)
	}
	ids := map[int]string{}
	covered := map[[2]int]string{}
	for _, p := range board.Panels {
		if other, dup := ids[p.ID]; dup || p.ID == 0 {
			t.Errorf("panel %q has the id %d of %q", p.Title, p.ID, other)
		}
		ids[p.ID] = p.Title
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > columns {
			t.Errorf("panel %q lies at %+v, outside the grid of %d columns", p.Title, g, columns)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, taken := covered[[2]int{x, y}]; taken {
					t.Fatalf("panel %q covers %q at column %d, line %d", p.Title, other, x, y)
				}
				covered[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestPanels: every panel says what it shows, asks the chosen datasource, and
// names its unit and its lines.
func TestPanels(t *testing.T) {
	titles := map[string]bool{}
	for _, p := range load(t).Panels {
		if titles[p.Title] {
			t.Errorf("panel %q: a second one of this title", p.Title)
		}
		titles[p.Title] = true
		switch p.Type {
		case "row":
			continue
		case "text":
			if p.Options.Content == "" {
				t.Errorf("panel %q is empty", p.Title)
			}
			continue
		case "stat", "table", "timeseries", "bargauge":
		default:
			t.Errorf("panel %q: type %q is not one of Grafana's own", p.Title, p.Type)
		}
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q: want a description and a query", p.Title)
		}
		if p.Datasource == nil || p.Datasource.UID != "${datasource}" {
			t.Errorf("panel %q: want the datasource ${datasource}", p.Title)
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if refs[q.RefID] || q.Expr == "" {
				t.Errorf("panel %q: query %q is empty or there twice", p.Title, q.RefID)
			}
			refs[q.RefID] = true
			if p.Type == "timeseries" && (q.LegendFormat == "" || p.FieldConfig.Defaults.Unit == "") {
				t.Errorf("panel %q: query %s has no legend or no unit", p.Title, q.RefID)
			}
		}
	}
}
