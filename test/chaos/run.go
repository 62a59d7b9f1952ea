package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/cluster"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/test/chaos/history"
	"github.com/voicerouter/voicerouter/test/chaos/workload"
	"github.com/voicerouter/voicerouter/voice"
)

// run is one run: a fleet, its endpoints, and what is done to it.
type run struct {
	opts  options
	out   io.Writer
	fleet *cluster.Cluster
	rec   *history.Recorder
	calls *workload.Workload
	admin *nats.Conn
	js    jetstream.JetStream
	log   io.Closer // of what the endpoints complain of
	gauge gauges
	load  load

	mu       sync.Mutex
	problems []error // what went wrong with the run itself, or ended by itself
}

// headroom is what is free on the disks of the servers: little, so that they can
// be filled.
const headroom = 32 << 20

// start runs the fleet and connects the endpoints.
func start(ctx context.Context, o options, binaries cluster.Binaries, out io.Writer) (_ *run, err error) {
	r := &run{opts: o, out: out}
	defer func() { //nolint:contextcheck // whatever ctx says
		if err != nil {
			r.close()
		}
	}()
	if r.rec, err = history.Create(r.historyFile()); err != nil {
		return nil, err
	}
	cast := workload.NewCast(o.pairs, max(1, o.pairs/8))
	s := scenarios()[o.scenario]
	r.fleet, err = cluster.Start(ctx, cluster.Options{
		Dir: o.dir, Binaries: binaries, Workers: o.workers, Links: true, Disk: headroom,
		Users: cast.Users(), Apps: cast.Relays, Proxies: []string{cast.Proxy},
		WorkerEnv: append(s.env, "ROUTER_RING_TIMEOUT="+o.ring.String(), "ROUTER_LIMITS_STARTS=-1", "ROUTER_LIMITS_MESSAGES=-1", "ROUTER_LIMITS_APP_MESSAGES=-1"),
		OnFault: func(f cluster.Fault) {
			r.rec.Note("%s: %s, end %t %s", f.Kind, f.Target, f.End, f.Detail)
		},
	})
	if err != nil {
		return nil, err
	}
	if r.admin, err = r.fleet.Connect(broker.UserAdmin); err != nil {
		return nil, err
	}
	if r.js, err = jetstream.New(r.admin); err != nil {
		return nil, err
	}
	if err := cluster.Wait(ctx, "the fleet is settled", r.fleet.Settled); err != nil {
		return nil, err
	}
	r.calls, err = workload.New(ctx, workload.Options{
		Cast: cast, Connect: r.connect, Routes: workload.RoutesIn(r.js), Recorder: r.rec, JetStream: r.js,
		Seed: o.seed, CallsPerSecond: o.rate, RingTimeout: o.ring, Slots: cmp.Or(s.slots, 8) * o.pairs, Patience: s.patience, Logger: r.endpointLog(),
	})
	return r, err
}

func (r *run) historyFile() string { return filepath.Join(r.opts.dir, "history.jsonl") }

// endpointLog keeps what the endpoints complain of.
func (r *run) endpointLog() *slog.Logger {
	f, err := os.OpenFile(filepath.Join(r.opts.dir, "logs", "endpoints.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return slog.New(slog.DiscardHandler)
	}
	r.log = f
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// connect returns how an identity connects: through the links of the endpoints.
func (r *run) connect(self string) voice.Options {
	i, err := r.fleet.Identity(self)
	if err != nil {
		return voice.Options{} // refused by voice.Connect, with a better error
	}
	return voice.Options{URL: r.fleet.ClientURL(), SigningKey: i.Key, NKeySeed: i.NKeySeed}
}

// policy is that of the workers.
func (o options) policy() call.Policy {
	return call.Policy{RingTimeout: o.ring, MaxDuration: provision.DefaultMaxCallDuration, KeepApplied: 3 * provision.DefaultAckWait}
}

// breakThings makes calls and executes the schedule, for as long as the run lasts.
func breakThings(ctx context.Context, r *run) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.duration)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { r.calls.Run(ctx) })
	all.Go(func() { r.fleet.KeepDisksGrowing(ctx, headroom) })
	all.Go(func() { r.gauge.watch(ctx, r.fleet) })
	began := time.Now()
	for _, a := range r.opts.schedule() {
		all.Go(func() {
			if !sleep(ctx, time.Until(began.Add(a.at))) {
				return
			}
			// What has begun is ended, also if the run is cut short.
			r.perform(context.WithoutCancel(ctx), ctx.Done(), a)
		})
	}
}

// healPatience bounds the end of a fault: a server may have much to read, a worker
// may have no server.
const healPatience = 90 * time.Second

// perform begins a fault, waits, and ends it.
func (r *run) perform(ctx context.Context, cut <-chan struct{}, a act) {
	ctx, cancel := context.WithTimeout(ctx, a.lasts+healPatience)
	defer cancel()
	var target string
	var end func(string)
	heal, err := a.kind.hit(ctx, r, a.pick, func(name string) {
		target = name
		end = r.rec.Fault(history.Fault{Kind: a.kind.name, Target: name, Detail: "for " + a.lasts.Round(time.Millisecond).String()})
	})
	fmt.Fprintf(r.out, "%8s  %-20s %s%s\n", a.at.Round(100*time.Millisecond), a.kind.name, target, trouble(err))
	if heal == nil {
		end(result(err)) // at times there is nobody to hit: no leader to step down
		return
	}
	select {
	case <-time.After(a.lasts):
	case <-cut:
	}
	healed := heal(ctx)
	end(result(errors.Join(err, healed)))
	// What was started again may have been killed by the next fault meanwhile. A
	// process that ends by itself is found by Cluster.Unexpected.
	if healed != nil && !errors.Is(healed, cluster.ErrNotRunning) {
		r.problem(fmt.Errorf("%s, %s, does not end: %w", a.kind.name, target, healed))
	}
}

func result(err error) string {
	if err != nil {
		return err.Error()
	}
	return "mended"
}

func trouble(err error) string {
	if err != nil {
		return ": " + err.Error()
	}
	return ""
}

func (r *run) problem(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, err)
}

// rest waits until everything has come to rest.
func (r *run) rest(ctx context.Context) {
	settling, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	r.problem(cluster.Wait(settling, "the fleet settles after the last fault", r.fleet.Settled))
	quiet, cancel := context.WithTimeout(ctx, 3*time.Minute+r.opts.ring)
	defer cancel()
	r.problem(r.calls.Quiesce(quiet))
	r.problem(r.fleet.Unexpected())
}

// close ends what runs.
func (r *run) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if r.calls != nil {
		r.problem(r.calls.Close(ctx))
		r.calls = nil
	}
	if r.admin != nil {
		r.admin.Close()
	}
	if r.fleet != nil {
		r.problem(r.fleet.Close())
	}
	r.problem(r.rec.Close())
	if r.log != nil {
		r.problem(r.log.Close())
	}
}

// sleep waits; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
