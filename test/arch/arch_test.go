// Package arch holds the tree against docs/ARCHITECTURE.md, "Packages": who may
// import whom, and what keeps the state machine pure.
package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/voicerouter/voicerouter"

// source is one Go file of the module.
type source struct {
	dir  string // of the package, relative to the root
	path string
	test bool
	file *ast.File
}

// sources parses every Go file of the module; modules below it are not part of
// it.
func sources(t *testing.T, mode parser.Mode) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("the root of the module: %v", err)
	}
	var found []source
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(file, relative, d.Name())
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, mode)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		found = append(found, source{dir: path.Dir(relative), path: relative, test: strings.HasSuffix(file, "_test.go"), file: parsed})
		return nil
	})
	if err != nil {
		t.Fatalf("read the tree: %v", err)
	}
	if len(found) < 50 {
		t.Fatalf("found %d files: is this the root of the module?", len(found))
	}
	return found
}

// skip leaves out directories that the go command leaves out as well.
func skip(dir, relative, name string) error {
	if relative == "." {
		return nil
	}
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules" {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

// imports returns what a file imports.
func (s source) imports(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, spec := range s.file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatalf("%s: import %s: %v", s.path, spec.Path.Value, err)
		}
		out = append(out, p)
	}
	return out
}

// standard reports whether an import path is in the standard library: its first
// element has no dot.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// within reports whether a package is one of these or below one that ends in
// "/...".
func within(p string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
			return p == tree || strings.HasPrefix(p, tree+"/")
		}
		return p == pattern
	})
}
