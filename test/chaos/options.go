package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// options are the command line.
type options struct {
	duration   time.Duration
	rate       float64
	seed       uint64
	workers    int
	pairs      int
	gap        time.Duration
	ring       time.Duration
	dir        string
	report     string
	json       string
	with       []string
	from       string
	scenario   string
	showFaults bool
}

const about = `chaos runs three nats-server processes, workers of the real binary and endpoints
that make calls, breaks everything that can be broken, and judges afterwards
whether anything was lost, duplicated, disordered, split, stuck or leaked. It
exits with 1 if so. The seed decides which faults come when, and which turns the
calls take.

`

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.DurationVar(&o.duration, "duration", time.Minute, "how long calls are made and things broken")
	f.Float64Var(&o.rate, "calls-per-second", 10, "calls that begin each second")
	f.Uint64Var(&o.seed, "seed", 0, "of schedule and calls (default a random one)")
	f.IntVar(&o.workers, "workers", 3, "worker processes")
	f.IntVar(&o.pairs, "pairs", 16, "operators, and as many customers")
	f.DurationVar(&o.gap, "fault-every", 4*time.Second, "time between faults, on average")
	f.DurationVar(&o.ring, "ring", 10*time.Second, "the fleet's ring timeout")
	f.StringVar(&o.dir, "dir", "", "directory of the history, logs and stores (default a temporary one, removed if all is well)")
	f.StringVar(&o.report, "report", "", "write the report as Markdown to this file")
	f.StringVar(&o.json, "json", "", "write the numbers of the run to this file, for --with")
	f.Func("with", "with --report: numbers of another run, for the same report; several times", func(name string) error {
		o.with = append(o.with, name)
		return nil
	})
	f.StringVar(&o.from, "from", "", "make no run: with --report, write the report from the numbers of an earlier one")
	f.StringVar(&o.scenario, "scenario", "random", "which faults: "+scenarioNames())
	f.BoolVar(&o.showFaults, "print-schedule", false, "print the schedule of the seed and exit")
	f.Usage = func() {
		fmt.Fprint(stderr, about)
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("chaos: %q: want flags only", f.Arg(0))
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1<<32-1) + 1 // printed with the report
	}
	return o, o.check()
}

func (o options) check() error {
	var errs []error
	if o.duration < 10*time.Second {
		errs = append(errs, fmt.Errorf("chaos: --duration %s: want at least 10s", o.duration))
	}
	if o.rate <= 0 || o.workers < 2 || o.pairs < 1 {
		errs = append(errs, errors.New("chaos: want calls, at least 2 workers, and pairs"))
	}
	if o.gap < 100*time.Millisecond {
		errs = append(errs, fmt.Errorf("chaos: --fault-every %s: want at least 100ms", o.gap))
	}
	if o.ring < 5*time.Second {
		errs = append(errs, fmt.Errorf("chaos: --ring %s: want at least 5s", o.ring))
	}
	if o.from != "" && o.report == "" {
		errs = append(errs, errors.New("chaos: --from without --report: say where the report goes"))
	}
	if _, ok := scenarios()[o.scenario]; !ok {
		errs = append(errs, fmt.Errorf("chaos: --scenario %q: want one of %s", o.scenario, scenarioNames()))
	}
	return errors.Join(errs...)
}

// schedule is what will be broken.
func (o options) schedule() []act {
	return schedule(o.seed, scenarios()[o.scenario].faults, o.duration, o.gap)
}

// command is how to make the same run again.
func (o options) command() string {
	c := fmt.Sprintf("go run ./test/chaos --duration %s --calls-per-second %g --seed %d --workers %d --pairs %d --fault-every %s",
		o.duration, o.rate, o.seed, o.workers, o.pairs, o.gap)
	if o.scenario != "random" {
		c += " --scenario " + o.scenario
	}
	return c
}
