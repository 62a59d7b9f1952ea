package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// losses kills the only worker again and again while calls are being set up, and
// counts those that never come to their end.
func (b bench) losses(ctx context.Context) error {
	v := variant{name: "router", storage: storageF, replicas: 1, signatures: "required", script: short}
	s, err := newSet(ctx, b.dir, b.programs, v)
	if err != nil {
		return err
	}
	defer s.close()
	const calls, rate, kills = 3000, 600, 3
	g, numbers, err := newGenerator(ctx, s.stage, s.speakers(), s.traffic, calls)
	if err != nil {
		return err
	}
	p, err := s.work()
	if err != nil {
		return err
	}
	if err := p.awaitURL(ctx, "http://"+p.http+"/readyz"); err != nil {
		return err
	}
	killed := make(chan error, 1)
	go func() { killed <- s.killAndRestart(ctx, p, kills) }()
	err = g.atRate(ctx, numbers, rate, time.Minute)
	if err != nil && !errors.Is(err, errUnfinished) {
		return err
	}
	if err := <-killed; err != nil {
		return err
	}
	lost := len(numbers) - g.finished()
	return b.out.add(result{Kind: "loss", Variant: v.name, Made: calls, Lost: &lost, Calls: rate, SetUp: latencyOf(g.set)})
}

func (s *set) killAndRestart(ctx context.Context, p *process, times int) error {
	for range times {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
		p.kill()
		s.workers = nil
		var err error
		if p, err = s.work(); err != nil {
			return fmt.Errorf("restart: %w", err)
		}
	}
	return nil
}

// finished is how many calls came to their end.
func (g *generator) finished() (n int) {
	for _, c := range g.calls {
		c.mu.Lock()
		if c.next == len(c.hops) {
			n++
		}
		c.mu.Unlock()
	}
	return n
}
