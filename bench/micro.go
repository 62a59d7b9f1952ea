package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// micros are the benchmarks of single functions that the report shows: package,
// pattern, and how long each runs.
var micros = [][3]string{
	{"./call", ".", "1s"}, {"./signal", ".", "1s"}, {"./identity", ".", "1s"}, {"./router", "Limiter|Trace", "1s"}, {"./auth", "Connect", "1000x"},
}

// micro runs the benchmarks of single functions.
func (b bench) micro(ctx context.Context) error {
	for _, m := range micros {
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", m[1], "-benchtime", m[2], "-benchmem", m[0])
		cmd.Dir, cmd.Stderr = root, os.Stderr
		text, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("go test -bench %s %s: %w\n%s", m[1], m[0], err, text)
		}
		for line := range strings.Lines(string(bytes.TrimSpace(text))) {
			if strings.HasPrefix(line, "Benchmark") {
				if err := b.out.add(result{Kind: "micro", Variant: m[0], Micro: strings.Join(strings.Fields(line), " ")}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
