// Package docs holds the documents against the code: what they say as a table or
// an example is parsed out of the text and compared.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the directory of the module.
const root = "../.."

func read(tb testing.TB, path string) string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func protocol(tb testing.TB) string {
	tb.Helper()
	return read(tb, "docs/protocol.md")
}

// documents lists the Markdown files of the repository.
func documents(tb testing.TB) []string {
	tb.Helper()
	list, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		tb.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".md") {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range list {
		if list[i], err = filepath.Rel(root, list[i]); err != nil {
			tb.Fatal(err)
		}
	}
	return list
}

// example returns the code block behind the comment "example: name".
func example(tb testing.TB, name string) []byte {
	tb.Helper()
	text := after(tb, "<!-- example: "+name+" -->\n")
	_, text, opened := strings.Cut(text, "\n") // the fence
	body, _, closed := strings.Cut(text, "\n```")
	if !opened || !closed {
		tb.Fatalf("docs/protocol.md: no code block behind the comment of example %q", name)
	}
	return []byte(body)
}

// table returns the rows of the table behind the comment "table: name", without
// its head.
func table(tb testing.TB, name string) [][]string {
	tb.Helper()
	return rows(tb, name, after(tb, "<!-- table: "+name+" -->\n"))
}

func after(tb testing.TB, mark string) string {
	tb.Helper()
	before, text, ok := strings.Cut(protocol(tb), mark)
	if !ok {
		tb.Fatalf("docs/protocol.md: want %q", mark)
	}
	if strings.Contains(text, mark) || strings.Contains(before, mark) {
		tb.Fatalf("docs/protocol.md: %q occurs twice", mark)
	}
	return text
}

// rows returns the rows of the first table in text.
func rows(tb testing.TB, name, text string) [][]string {
	tb.Helper()
	text = strings.TrimLeft(text, "\n")
	var out [][]string
	width := 0
	for i, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if i == 0 {
			width = len(cells)
		}
		if len(cells) != width {
			tb.Fatalf("table %q: %d cells, want %d: %s", name, len(cells), width, line)
		}
		if i > 1 { // behind head and ruler
			out = append(out, cells)
		}
	}
	if len(out) == 0 {
		tb.Fatalf("table %q has no rows", name)
	}
	return out
}

// section returns the text below a heading, up to the next one.
func section(tb testing.TB, heading string) string {
	tb.Helper()
	_, text, ok := strings.Cut(protocol(tb), "\n"+heading+"\n")
	if !ok {
		tb.Fatalf("docs/protocol.md: want heading %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n#")
	return text
}

// tableIn returns the rows of the first table below a heading.
func tableIn(tb testing.TB, heading string) [][]string {
	tb.Helper()
	text := section(tb, heading)
	i := strings.Index(text, "\n|")
	if i < 0 {
		tb.Fatalf("docs/protocol.md: want a table below %q", heading)
	}
	return rows(tb, heading, text[i+1:])
}

var quoted = regexp.MustCompile("`([^`]+)`")

// code returns what stands between backticks in s.
func code(s string) []string {
	var out []string
	for _, m := range quoted.FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	return out
}

// names returns the first code of the first cell of every row.
func names(tb testing.TB, rows [][]string) []string {
	tb.Helper()
	var out []string
	for _, row := range rows {
		words := code(row[0])
		if len(words) != 1 {
			tb.Fatalf("first cell %q: want one name in backticks", row[0])
		}
		out = append(out, words[0])
	}
	return out
}

// texts returns list as strings.
func texts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}

// same reports names that one list has and the other lacks.
func same(tb testing.TB, what string, want, got []string) {
	tb.Helper()
	for _, s := range want {
		if !slices.Contains(got, s) {
			tb.Errorf("%s: the document lacks %q", what, s)
		}
	}
	for _, s := range got {
		if !slices.Contains(want, s) {
			tb.Errorf("%s: the code knows no %q", what, s)
		}
	}
	if len(got) != len(want) && !tb.Failed() {
		tb.Errorf("%s: want %d entries, got %d: %q", what, len(want), len(got), got)
	}
}
