package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// variants are what the rounds compare, in the order of the report.
func variants() []variant {
	router := func(name string) variant {
		return variant{name: name, storage: storageF, replicas: 1, signatures: "required", script: whole, messages: 24000}
	}
	file, memory := router("router"), router("router memory")
	memory.storage = storageM
	off := router("router unsigned")
	off.signatures = "off"
	off.messages = 32000
	three := router("router R3")
	three.replicas, three.messages = 3, 16000
	raw := variant{name: "raw", storage: storageF, replicas: 1, relay: "raw", size: 2048, messages: 80000}
	plain := raw
	plain.name, plain.relay, plain.messages = "plain", "plain", 40000
	batches := plain
	batches.name, batches.relay = "batches", "batches"
	rawMemory := raw
	rawMemory.name, rawMemory.storage = "raw memory", storageM
	rawThree := raw
	rawThree.name, rawThree.replicas, rawThree.messages = "raw R3", 3, 64000
	mill := variant{name: "watermill", storage: storageF, replicas: 1, relay: "watermill", size: 2048, messages: 16000}
	return []variant{raw, plain, batches, file, memory, off, mill, three, rawMemory, rawThree}
}

// How long the idle and the loaded part of a round take at most, and how many
// calls the idle one makes.
const (
	idleCalls  = 125
	loadedTime = 2 * time.Second
)

// rounds runs every variant once a round. Each begins another one, so that none
// always comes first.
func (b bench) rounds(ctx context.Context, n int, list []variant) error {
	for round := 1; round <= n; round++ {
		for i := range list {
			v := list[(i+round-1)%len(list)]
			r, err := b.round(ctx, v)
			if err != nil && ctx.Err() == nil {
				fmt.Fprintf(b.out.show, "%s, round %d, once more: %v\n", v.name, round, err)
				r, err = b.round(ctx, v)
			}
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", v.name, round, err)
			}
			r.Round = round
			if err := b.out.add(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// round measures a variant on fresh servers: a backlog, single calls, and calls at
// half the rate of the backlog.
func (b bench) round(ctx context.Context, v variant) (result, error) {
	r := result{Kind: "round", Variant: v.name, Storage: string(v.storage), Replicas: v.replicas}
	s, err := newSet(ctx, b.dir, b.programs, v)
	if err != nil {
		return r, err
	}
	defer s.close()
	n, err := s.backlog(ctx)
	if err != nil {
		return r, err
	}
	if _, err := s.work(); err != nil {
		return r, err
	}
	t, err := s.drain(ctx, n)
	unseen := errors.Is(err, errUnseen)
	switch {
	case err == nil:
		r.Throughput = &t
	case !unseen:
		return r, err
	}
	if r.Idle, err = s.idle(ctx); err != nil {
		return r, fmt.Errorf("idle: %w", err)
	}
	// A machine with other work may not keep up with half of what it did a moment
	// ago; then this round has no figure.
	if r.LoadedRate = t.PerSecond / 2; !unseen {
		if r.Loaded, _, err = s.loaded(ctx, r.LoadedRate); err != nil && !errors.Is(err, errUnfinished) {
			return r, fmt.Errorf("loaded: %w", err)
		}
	}
	if r.WorkerMemory, err = memory("VmHWM", s.workers...); err != nil {
		return r, err
	}
	r.ServerMemory, err = memory("VmHWM", s.servers...)
	return r, err
}

// idle measures calls that are made one after the other.
func (s *set) idle(ctx context.Context) (*latency, error) {
	g, numbers, err := newGenerator(ctx, s.stage, s.speakers(), s.traffic, idleCalls)
	if err != nil {
		return nil, err
	}
	if err := g.oneByOne(ctx, numbers); err != nil {
		return nil, err
	}
	return latencyOf(g.took), nil
}

// loaded measures calls that begin at a constant rate, given in messages per
// second.
func (s *set) loaded(ctx context.Context, rate float64) (hop, setUp *latency, err error) {
	calls := rate / float64(s.traffic.length())
	g, numbers, err := newGenerator(ctx, s.stage, s.speakers(), s.traffic, int(calls*loadedTime.Seconds()))
	if err != nil {
		return nil, nil, err
	}
	if err := g.atRate(ctx, numbers, calls, 30*time.Second); err != nil {
		return nil, nil, err
	}
	return latencyOf(g.took), latencyOf(g.set), nil
}

// speakers is the connection that makes the calls: that of the identities, or for
// a relay one in the account of its streams.
func (s *set) speakers() *nats.Conn {
	if s.relay != "" {
		return s.admin
	}
	return s.clients
}

// with adds variants of the first router with other programs, as "name=path" names
// them: two builds of the worker against each other in one run.
func with(list []variant, builds []string) ([]variant, error) {
	for _, text := range builds {
		name, path, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("-with %q: want name=path", text)
		}
		v := list[slices.IndexFunc(list, func(v variant) bool { return v.relay == "" })]
		v.name, v.program = name, path
		list = append(list, v)
	}
	return list, nil
}
