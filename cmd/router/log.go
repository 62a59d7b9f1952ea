package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/internal/redact"
)

// newLogger returns a log whose level may be changed while it is written.
func newLogger(w io.Writer, cfg config) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(cfg.LogLevel)
	opts := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == formatJSON {
		return slog.New(redact.Handler(slog.NewJSONHandler(w, opts))), level
	}
	return slog.New(redact.Handler(slog.NewTextHandler(w, opts))), level
}

// The formats of a log.
const (
	formatJSON = "json"
	formatText = "text"
)

// startLog is newLogger with a level that signals change until stop is called:
// the first of levelSignals makes it debug, the second what was configured.
func startLog(w io.Writer, cfg config) (log *slog.Logger, stop func()) {
	log, level := newLogger(w, cfg)
	if len(levelSignals) == 0 {
		return log, func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	received, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(received, levelSignals...)
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case s := <-received:
				wanted := cfg.LogLevel
				if s == levelSignals[0] {
					wanted = slog.LevelDebug
				}
				level.Set(wanted)
				log.Warn("log level changed", "level", wanted.String(), "signal", s.String())
			}
		}
	}()
	return log, func() {
		signal.Stop(received)
		cancel()
		<-done
	}
}

func newLogCommand() *cobra.Command {
	var pid int
	set := func(use, short string, i int) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Args: arguments(),
			Example: "  kubectl exec POD -- router log " + use + "\n  router log " + use + " --pid 4711",
			RunE:    func(*cobra.Command, []string) error { return sendLevel(pid, i) },
		}
	}
	c := group("log", "Change the level of a running process's log", `  kubectl exec POD -- router log debug
  router log reset --pid 4711`,
		set("debug", "Log everything that debugging needs (SIGUSR1)", 0),
		set("reset", "Log what ROUTER_LOG_LEVEL says (SIGUSR2)", 1))
	c.PersistentFlags().IntVar(&pid, "pid", 0, "process of \"router serve\", \"router auth\" or \"router dev\" (default: process 1 of the container, if it is one)")
	return c
}

// sendLevel sends one of levelSignals to a process. A program that does not know
// them would end: without a pid it must be known that there is a router.
func sendLevel(pid, i int) error {
	if len(levelSignals) == 0 {
		return usagef("this system has no signals that change the level of a log")
	}
	if pid < 0 || pid == 0 && !routerIsFirst() {
		return usagef("--pid: want the number of a process; it may be left out where process 1 is a router, as in a container")
	}
	process, err := os.FindProcess(max(pid, 1))
	if err == nil {
		err = process.Signal(levelSignals[i])
	}
	if err != nil {
		return fmt.Errorf("process %d: %w", max(pid, 1), err)
	}
	return nil
}

// routerIsFirst reports whether process 1 runs this very program.
func routerIsFirst() bool {
	first, err := os.Readlink("/proc/1/exe")
	if err != nil {
		return false
	}
	self, err := os.Executable()
	return err == nil && first == self
}
