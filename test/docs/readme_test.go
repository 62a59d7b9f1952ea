package docs

import (
	"os"
	"strings"
	"testing"
)

// TestReadmeSnippet holds the program in the README against the compiled example.
func TestReadmeSnippet(t *testing.T) {
	code := between(t, "../../voice/example_readme_test.go", "// readme:begin\n", "// readme:end")
	want := "```go\npackage main\n\n" + code + "```\n"
	if got := between(t, "../../README.md", "<!-- sdk:begin -->\n", "<!-- sdk:end -->"); got != want {
		t.Errorf("README has\n%s\nwant\n%s", got, want)
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
