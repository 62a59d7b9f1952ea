// Command bench measures the router against the limit of its server and against
// what could stand in its place, each in processes of their own. What it finds it
// writes as JSON lines; docs/performance.md is made of these.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

// bench is one run.
type bench struct {
	dir      string
	programs programs
	out      output
}

const usage = `usage:
  bench run    [-out FILE] [-rounds N] [-only NAME,...] [-with NAME=PATH,...]   rounds of all variants, and calls lost by SIGKILL
  bench curves [-out FILE] [-only NAME,...]               scaling curves
  bench profile [-out FILE]                               where the time goes
  bench micro   [-out FILE]                               benchmarks of single functions
  bench sip     [-out FILE]                                the router and kamailio (needs kamailio and sipp)
  bench report [-docs DIR] FILE...                        docs/performance.md and its plots
`

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func command(args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	out := flags.String("out", args[0]+".jsonl", "file for the results")
	rounds := flags.Int("rounds", 5, "rounds")
	only := flags.String("only", "", "comma-separated names")
	builds := flags.String("with", "", "comma-separated name=path of other builds of the router")
	docs := flags.String("docs", "../docs", "directory of the report")
	switch args[0] {
	case "relay":
		if len(args) != 4 {
			return errors.New("relay: want kind, URL and address")
		}
		return relay(args[1], args[2], args[3])
	case "profiled":
		if len(args) != 4 {
			return errors.New("profiled: want URL, keys and address")
		}
		return profiled(args[1], args[2], args[3])
	case "run", "curves", "sip", "profile", "micro", "report":
	default:
		return errors.New(usage)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if args[0] == "report" {
		return report(*docs, flags.Args())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var names []string
	if *only != "" {
		names = strings.Split(*only, ",")
	}
	var others []string
	if *builds != "" {
		others = strings.Split(*builds, ",")
	}
	return measure(ctx, args[0], *out, *rounds, names, others)
}

func measure(ctx context.Context, what, out string, rounds int, only, builds []string) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file, err := os.Create(out + ".part")
	if err != nil {
		return err
	}
	defer file.Close()
	b := bench{dir: dir, out: output{file, os.Stdout}}
	if b.programs, err = build(ctx, dir); err != nil {
		return err
	}
	if err := b.out.add(result{Kind: "machine", Variant: what, Machine: machine()}); err != nil {
		return err
	}
	switch what {
	case "run":
		err = b.run(ctx, rounds, only, builds)
	case "curves":
		err = b.curves(ctx, only)
	case "profile":
		err = b.profiles(ctx)
	case "micro":
		err = b.micro(ctx)
	case "sip":
		err = b.sip(ctx, only)
	}
	if err != nil {
		return fmt.Errorf("%w (what was measured until then is in %s)", err, file.Name())
	}
	// A run that was cut off leaves the results of the last whole one alone.
	return os.Rename(file.Name(), filepath.Clean(out))
}

func (b bench) run(ctx context.Context, rounds int, only, builds []string) error {
	list := slices.DeleteFunc(variants(), func(v variant) bool { return only != nil && !slices.Contains(only, v.name) })
	list, err := with(list, builds)
	if err != nil {
		return err
	}
	if err := b.rounds(ctx, rounds, list); err != nil {
		return err
	}
	if only != nil {
		return nil
	}
	return b.losses(ctx)
}
