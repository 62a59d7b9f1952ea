// Package clustertest runs clusters in tests.
package clustertest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/internal/cluster"
)

// Main runs the tests of a package that starts clusters, and removes the
// binaries afterwards. It returns the exit code for TestMain.
func Main(m *testing.M) int {
	defer func() {
		if built.dir != "" {
			_ = os.RemoveAll(built.dir)
		}
	}()
	return m.Run()
}

// built holds the binaries of this process: building takes seconds.
var built struct {
	sync.Once
	dir      string
	binaries cluster.Binaries
	err      error
}

// Binaries builds the router and nats-server, once for all tests.
func Binaries(tb testing.TB) cluster.Binaries {
	tb.Helper()
	built.Do(func() {
		//nolint:usetesting // it outlives the test that comes first; see Main
		if built.dir, built.err = os.MkdirTemp("", "voicerouter-bin-"); built.err == nil {
			built.binaries, built.err = cluster.Build(context.Background(), built.dir)
		}
	})
	if built.err != nil {
		tb.Fatal(built.err)
	}
	return built.binaries
}

// Start runs a cluster until the test ends. Dir is by default one of the test,
// and the end of each log is shown if the test fails.
func Start(tb testing.TB, opts cluster.Options) *cluster.Cluster {
	tb.Helper()
	if opts.Binaries == (cluster.Binaries{}) {
		opts.Binaries = Binaries(tb)
	}
	if opts.Dir == "" {
		opts.Dir = tb.TempDir()
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 3*time.Minute)
	defer cancel()
	tb.Cleanup(func() { showLogs(tb, opts.Dir) })
	c, err := cluster.Start(ctx, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
		if err := c.Unexpected(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// showLogs prints the last of every log of a test that failed.
func showLogs(tb testing.TB, dir string) {
	tb.Helper()
	if !tb.Failed() {
		return
	}
	logs, err := filepath.Glob(filepath.Join(dir, "logs", "*.log"))
	if err != nil {
		return
	}
	const last = 4 << 10
	for _, name := range logs {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		tb.Logf("end of %s:\n%s", filepath.Base(name), text[max(0, len(text)-last):])
	}
}
