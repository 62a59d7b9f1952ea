package docs

import (
	"os"
	"strings"
	"testing"
)

// TestReadmeSnippet holds the SDK snippet of the README against the compiled
// example.
func TestReadmeSnippet(t *testing.T) {
	code := between(t, "../../voice/example_readme_test.go", "// readme:begin\n", "\t// readme:end")
	var want strings.Builder
	want.WriteString("```go\n")
	for line := range strings.Lines(code) {
		want.WriteString(strings.TrimPrefix(line, "\t"))
	}
	want.WriteString("```\n")
	if got := between(t, "../../README.md", "<!-- sdk:begin -->\n", "<!-- sdk:end -->"); got != want.String() {
		t.Errorf("README has\n%s\nwant\n%s", got, want.String())
	}
}

func between(t *testing.T, name, begin, end string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), begin)
	text, _, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s lacks %q or %q", name, begin, end)
	}
	return text
}
