package call

import (
	"bufio"
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the outputs in testdata/*.txt")

// TestScenarios plays testdata/*.txt: lines that begin with ">" go in (see
// script), the indented lines below each are what must come out.
func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playFile(t, want)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			} else if !bytes.Equal(got, want) {
				t.Errorf("%s (rewrite with -update):\nwant\n%s\ngot\n%s", file, want, got)
			}
		})
	}
}

func playFile(t *testing.T, text []byte) []byte {
	t.Helper()
	s := newScript(t)
	var out bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "    ") {
			continue // an output, written anew
		}
		out.WriteString(line + "\n")
		if in, ok := strings.CutPrefix(line, "> "); ok {
			for _, result := range s.play(in) {
				out.WriteString("    " + result + "\n")
			}
		}
	}
	return out.Bytes()
}
