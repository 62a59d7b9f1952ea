package main

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/voicerouter/voicerouter/internal/cluster"
	"github.com/voicerouter/voicerouter/test/chaos/checker"
)

// gauges watches what the processes use.
type gauges struct {
	mu   sync.Mutex
	peak map[string]float64 // resident bytes by process
}

// watch looks every two seconds until ctx ends.
func (g *gauges) watch(ctx context.Context, fleet *cluster.Cluster) {
	for sleep(ctx, 2*time.Second) {
		for name, bytes := range memory(ctx, fleet) {
			g.mu.Lock()
			if g.peak == nil {
				g.peak = map[string]float64{}
			}
			g.peak[name] = max(g.peak[name], bytes)
			g.mu.Unlock()
		}
	}
}

func (g *gauges) peaks() map[string]float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.peak)
}

// memory returns the resident bytes of every process that answers.
func memory(ctx context.Context, fleet *cluster.Cluster) map[string]float64 {
	bytes := map[string]float64{}
	for _, s := range fleet.Servers() {
		if u, err := s.Usage(ctx); err == nil {
			bytes[s.Name] = float64(u.Memory)
		}
	}
	for _, w := range fleet.Workers() {
		if m, err := w.Metrics(ctx); err == nil {
			bytes[w.Name] = m["process_resident_memory_bytes"]
		}
	}
	return bytes
}

// held returns what each worker holds that must not grow: goroutines and open
// files.
func held(ctx context.Context, fleet *cluster.Cluster) map[string]float64 {
	all := map[string]float64{}
	for _, w := range fleet.Workers() {
		m, err := w.Metrics(ctx)
		if err != nil {
			continue
		}
		all[w.Name+" goroutines"] = m["go_goroutines"]
		all[w.Name+" open files"] = m["process_open_fds"]
	}
	return all
}

// resources compares two looks for the checker.
func resources(before, after map[string]float64) func() []checker.Resource {
	return func() []checker.Resource {
		var list []checker.Resource
		for name, n := range after {
			list = append(list, checker.Resource{Name: name, Before: before[name], After: n, Slack: 30})
		}
		return list
	}
}
