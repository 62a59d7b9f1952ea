package chart

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the table of values in the chart's README anew")

const (
	valuesBegin = "<!-- values:begin -->\n"
	valuesEnd   = "<!-- values:end -->\n"
)

// TestReadme holds the table of values in the chart's README against values.yaml;
// with -update it writes it.
func TestReadme(t *testing.T) {
	t.Parallel()
	file := filepath.Join(chartDir, "README.md")
	text := string(read(t, file))
	before, rest, _ := strings.Cut(text, valuesBegin)
	_, after, ok := strings.Cut(rest, valuesEnd)
	if !ok {
		t.Fatalf("%s: no %q", file, valuesBegin+valuesEnd)
	}
	want := before + valuesBegin + valuesTable(t) + valuesEnd + after
	switch {
	case want == text:
	case *update:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s: the table of values is not that of values.yaml: run \"make chart-readme\"", file)
	}
}

func valuesTable(t testing.TB) string {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal(read(t, filepath.Join(chartDir, "values.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| Value | Default | Meaning |\n|---|---|---|\n")
	writeRows(t, &b, "", document.Content[0])
	return b.String()
}

// writeRows writes a row for every value with a comment that begins with "--", and
// wants one for every value that is no section.
func writeRows(t testing.TB, b *strings.Builder, path string, mapping *yaml.Node) {
	t.Helper()
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name := path + key.Value
		_, meaning, described := strings.Cut(key.HeadComment, "# -- ")
		switch {
		case described:
			var def any
			if err := value.Decode(&def); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			text, err := json.Marshal(def)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			meaning = strings.NewReplacer("\n#", "", "|", "\\|").Replace(meaning)
			fmt.Fprintf(b, "| `%s` | `%s` | %s |\n", name, text, meaning)
		case value.Kind == yaml.MappingNode && len(value.Content) > 0:
			writeRows(t, b, name+".", value)
		default:
			t.Errorf("values.yaml: %s has no comment that begins with \"# -- \"", name)
		}
	}
}
