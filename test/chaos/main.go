// Command chaos breaks a fleet while calls are made, and judges what became of
// them: see docs/reliability.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	ossignal "os/signal"
	"path/filepath"
	"syscall"

	"github.com/voicerouter/voicerouter/internal/cluster"
)

func main() {
	ctx, stop := ossignal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command is the whole program; it returns the exit code: 0 if all is well, 1 if
// something is wrong with the fleet, 2 if nothing could be run.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, err)
		return 2
	case o.showFaults:
		for _, a := range o.schedule() {
			fmt.Fprintf(stdout, "%8s  %-20s for %s, pick %d\n", a.at.Round(100_000_000), a.kind.name, a.lasts.Round(1_000_000), a.pick)
		}
		return 0
	case o.from != "":
		if err := o.again(); err != nil {
			fmt.Fprintln(stderr, err)
			return 2
		}
		return 0
	}
	clean, err := chaos(ctx, o, cluster.Binaries{}, stdout)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	if !clean {
		return 1
	}
	return 0
}

// chaos makes one run and reports. It says whether all is well.
func chaos(ctx context.Context, o options, binaries cluster.Binaries, out io.Writer) (clean bool, err error) {
	temporary := o.dir == ""
	if temporary {
		if o.dir, err = os.MkdirTemp("", "voicerouter-chaos-"); err != nil {
			return false, err
		}
	}
	if err := os.MkdirAll(filepath.Join(o.dir, "logs"), 0o700); err != nil {
		return false, err
	}
	defer func() {
		if temporary && clean {
			err = errors.Join(err, os.RemoveAll(o.dir))
		} else {
			fmt.Fprintf(out, "history, logs and stores are in %s\n", o.dir)
		}
	}()
	fmt.Fprintf(out, "seed %d\n", o.seed)
	if binaries == (cluster.Binaries{}) {
		if binaries, err = cluster.Build(ctx, filepath.Join(o.dir, "bin")); err != nil {
			return false, err
		}
	}
	r, err := start(ctx, o, binaries, out)
	if err != nil {
		return false, err
	}
	defer r.close() //nolint:contextcheck // whatever ctx says
	result, err := execute(ctx, r, scenarios()[o.scenario])
	if err != nil {
		return false, err
	}
	result.Command = o.command()
	result.print(out)
	return result.clean(), o.write(result)
}

// write leaves what the options ask for.
func (o options) write(result *outcome) error {
	if o.json != "" {
		if err := result.save(o.json); err != nil {
			return err
		}
	}
	if o.report == "" {
		return nil
	}
	return o.document(result)
}

// again writes the report of a run that was made before.
func (o options) again() error {
	result, err := loadOutcome(o.from)
	if err != nil {
		return err
	}
	return o.document(result)
}

// document writes the report of a run, and of those that stand beside it.
func (o options) document(result *outcome) error {
	all := runs{result}
	for _, name := range o.with {
		other, err := loadOutcome(name)
		if err != nil {
			return err
		}
		all = append(all, other)
	}
	text, err := document(all)
	if err != nil {
		return err
	}
	return os.WriteFile(o.report, text, 0o644) // a document for everybody
}
