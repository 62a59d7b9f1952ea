package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// pureImports is all of the standard library that the state machine needs: no
// I/O, no clock of its own, no randomness, no concurrency.
var pureImports = []string{
	"cmp", "crypto/sha256", "encoding/base64", "encoding/hex", "errors", "fmt", "hash/fnv", "iter", "maps", "math",
	"slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8",
}

// clocks are the functions of package time that read or wait for a clock.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"}

// TestCallIsPure: time and facts go into the state machine as arguments.
func TestCallIsPure(t *testing.T) {
	for _, s := range sources(t, parser.SkipObjectResolution) {
		if s.dir != "call" || s.test {
			continue
		}
		for _, imported := range s.imports(t) {
			if standard(imported) && !slices.Contains(pureImports, imported) {
				t.Errorf("%s imports %s", s.path, imported)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
					t.Errorf("%s uses time.%s: the time comes with the event", s.path, n.Sel.Name)
				}
			case *ast.GoStmt, *ast.ChanType, *ast.SelectStmt:
				t.Errorf("%s uses goroutines or channels", s.path)
			}
			return true
		})
	}
}

// spelled matches string literals that look like a subject of this service or
// of JetStream. A word that merely stands in front of a dot, as in a message to
// a reader, has a space behind it.
var spelled = regexp.MustCompile(`^((voice|live|call|rejected|sync|\$JS|\$KV|\$SRV)\.|_INBOX|_R_)[^ ]*$`)

// TestSubjectsAreBuiltInOnePlace: no other package spells a subject.
func TestSubjectsAreBuiltInOnePlace(t *testing.T) {
	for _, s := range sources(t, parser.SkipObjectResolution) {
		if s.dir == "subjects" || s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err == nil && spelled.MatchString(text) {
				t.Errorf("%s spells %q: build and parse subjects in package subjects", s.path, text)
			}
			return true
		})
	}
}
