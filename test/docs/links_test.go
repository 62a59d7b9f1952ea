package docs

import (
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func directHash(ends string) string {
	sum := sha256.Sum256([]byte(ends))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

var (
	link        = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading     = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fence       = regexp.MustCompile("(?s)\n```.*?\n```")
	commentLine = regexp.MustCompile(`\n\s*//\s?`)
	citation    = regexp.MustCompile(`docs/([A-Za-z0-9_./-]+\.md)(?:,? \(?"([^"]+)")?`)
	slug        = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// anchors returns the anchors of a document, as GitHub makes them.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := slug.ReplaceAllString(strings.ToLower(m[1]), "")
		out[strings.ReplaceAll(name, " ", "-")] = true
	}
	return out
}

// TestLinks follows every relative link of every document.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, doc := range documents(t) {
		text := read(t, doc)
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			target := m[1]
			if strings.Contains(target, "://") {
				continue
			}
			path, anchor, _ := strings.Cut(target, "#")
			to := text
			if path != "" {
				path = filepath.Join(filepath.Dir(doc), path)
				info, err := os.Stat(filepath.Join(root, path))
				if err != nil {
					t.Errorf("%s: link to %s: %v", doc, target, err)
					continue
				}
				if info.IsDir() || anchor == "" {
					continue
				}
				to = read(t, path)
			}
			if anchor != "" && !anchors(to)[anchor] {
				t.Errorf("%s: link to %s: no such heading", doc, target)
			}
		}
	}
}

// TestCitations finds the headings that comments in the code cite.
func TestCitations(t *testing.T) {
	t.Parallel()
	found := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range citation.FindAllStringSubmatch(commentLine.ReplaceAllString(string(source), " "), -1) {
			found++
			text, err := os.ReadFile(filepath.Join(root, "docs", m[1]))
			if err != nil {
				t.Errorf("%s cites docs/%s: %v", path, m[1], err)
				continue
			}
			if m[2] != "" && !regexp.MustCompile(`(?m)^#+ `+regexp.QuoteMeta(m[2])+`$`).Match(text) {
				t.Errorf("%s cites docs/%s, %q: no such heading", path, m[1], m[2])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 5 {
		t.Errorf("found %d citations: does the pattern still fit?", found)
	}
}

var sourceFile = regexp.MustCompile("`((?:[a-z]+/)*[a-z_]+\\.(?:go|tmpl|txt))`")

// TestArchitectureFiles looks for every file and package that the architecture
// names.
func TestArchitectureFiles(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/ARCHITECTURE.md")
	files := sourceFile.FindAllStringSubmatch(text, -1)
	if len(files) < 10 {
		t.Errorf("found %d names of files: does the pattern still fit?", len(files))
	}
	for _, m := range files {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("docs/ARCHITECTURE.md names %s: %v", m[1], err)
		}
	}
	for _, row := range rows(t, "package map", text[strings.Index(text, "| Package |"):]) {
		for _, name := range code(row[0]) {
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Errorf("docs/ARCHITECTURE.md names package %s: %v", name, err)
			}
		}
	}
}

var target = regexp.MustCompile("`make ([a-z]+)`")

// TestMakeTargets looks for the targets that the guide for contributors names.
func TestMakeTargets(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	for _, m := range target.FindAllStringSubmatch(read(t, "CONTRIBUTING.md"), -1) {
		if !strings.Contains(makefile, "\n"+m[1]+":") {
			t.Errorf("CONTRIBUTING.md names make %s: the Makefile has no such target", m[1])
		}
	}
}

var recordName = regexp.MustCompile(`^(\d{4})-[a-z0-9-]+\.md$`)

// TestDecisionRecords checks the numbers and the parts of the decision records.
func TestDecisionRecords(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(filepath.Join(root, "docs/adr"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, e := range entries {
		m := recordName.FindStringSubmatch(e.Name())
		if m == nil {
			t.Errorf("docs/adr/%s: want NNNN-title.md", e.Name())
			continue
		}
		if other, dup := seen[m[1]]; dup {
			t.Errorf("docs/adr/%s and %s have the same number", e.Name(), other)
		}
		seen[m[1]] = e.Name()
		text := read(t, "docs/adr/"+e.Name())
		if !strings.HasPrefix(text, "# "+m[1]+". ") {
			t.Errorf("docs/adr/%s: want the heading \"# %s. Title\"", e.Name(), m[1])
		}
		for _, part := range []string{"## Context", "## Decision", "## Consequences"} {
			if !strings.Contains(text, "\n"+part+"\n") {
				t.Errorf("docs/adr/%s: want %q", e.Name(), part)
			}
		}
	}
}
