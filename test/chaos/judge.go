package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/voicerouter/voicerouter/internal/cluster"
	"github.com/voicerouter/voicerouter/test/chaos/checker"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// outcome is what is known about a run when it is over.
type outcome struct {
	Scenario string        `json:"scenario"`
	Seed     uint64        `json:"seed"`
	Began    time.Time     `json:"began"`
	Duration time.Duration `json:"duration"`
	Command  string        `json:"command"`
	Machine  string        `json:"machine"`
	Servers  int           `json:"servers"`
	Workers  int           `json:"workers"`

	Begun int            `json:"begun"` // calls
	Held  int            `json:"held"`  // calls that found no free pair of endpoints
	Turns map[string]int `json:"turns"` // calls by the turn that they took

	Verdict  *checker.Report   `json:"verdict"`
	Counts   map[string]int    `json:"counts"` // of defects
	Problems []string          `json:"problems"`
	Faults   []faultStatistics `json:"faults"`
	Setup    times             `json:"setup"`  // a start, from its sending to its handler
	Answer   times             `json:"answer"` // an accept
	Peak     map[string]uint64 `json:"peak"`   // resident bytes by process
	Goals    []goal            `json:"goals"`
}

// clean reports whether nothing at all is wrong.
func (o *outcome) clean() bool {
	for _, g := range o.Goals {
		if !g.Reached {
			return false
		}
	}
	return o.Verdict != nil && o.Verdict.Clean() && len(o.Problems) == 0
}

// FaultCount counts all faults.
func (o *outcome) FaultCount() (n int) {
	for _, f := range o.Faults {
		n += f.Count
	}
	return n
}

// execute is a whole run, from the first process to the verdict.
func execute(ctx context.Context, r *run, s scenario) (*outcome, error) {
	began := time.Now()
	before := held(ctx, r.fleet)
	s.run(ctx, r)
	r.rest(ctx)
	o := &outcome{
		Scenario: r.opts.scenario, Seed: r.opts.seed, Began: began.UTC().Truncate(time.Second), Duration: r.opts.duration,
		Machine: fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
		Servers: len(r.fleet.Servers()), Workers: len(r.fleet.Workers()), Counts: map[string]int{}, Peak: map[string]uint64{},
	}
	o.Begun, o.Held, o.Turns = r.calls.Stats()
	for name, bytes := range r.gauge.peaks() {
		o.Peak[name] = uint64(bytes)
	}
	if err := o.judge(ctx, r, s, resources(before, held(ctx, r.fleet))); err != nil {
		return nil, err
	}
	for _, err := range r.problems {
		o.Problems = append(o.Problems, err.Error())
	}
	return o, ctx.Err()
}

// judge reads the history and the streams.
func (o *outcome) judge(ctx context.Context, r *run, s scenario, gauges func() []checker.Resource) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	closing, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	r.problem(r.calls.Close(closing)) // whoever has not heard it now never will
	h, err := history.ReadFiles(r.historyFile())
	if err != nil {
		return err
	}
	err = cluster.Wait(ctx, "the streams are read", func(context.Context) (err error) {
		o.Verdict, err = checker.Check(ctx, h, checker.NewStore(r.js, gauges), checker.Options{Policy: r.opts.policy(), Recovery: 20 * time.Second})
		return err
	})
	if err != nil {
		return err
	}
	for k, n := range o.Verdict.Counts() {
		o.Counts[string(k)] = n
	}
	deliveries := deliveriesOf(h)
	o.Setup, o.Answer = deliveries.starts(), deliveries.accepts()
	o.Faults = recoveries(h, deliveries)
	o.Goals = s.goals(r, o)
	return nil
}
