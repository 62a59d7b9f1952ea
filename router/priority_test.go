package router

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
)

// TestPriorities: eight workers that start at the same moment settle on eight
// priorities, one more shares, and a configured priority is not touched.
func TestPriorities(t *testing.T) {
	b := newBench(t)
	routers := make([]*Router, ownPriorities)
	for i := range routers {
		_, routers[i] = b.worker()
	}
	var starting sync.WaitGroup
	failed := make([]error, len(routers))
	for i, r := range routers {
		starting.Go(func() {
			service, err := r.serve(t.Context())
			if err == nil {
				t.Cleanup(func() { service.stop() })
			}
			failed[i] = err
		})
	}
	starting.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
	seen := make(map[int]int)
	for _, r := range routers {
		seen[r.opts.Priority]++
	}
	// They may miss one another on a machine that is busy; most may not.
	if len(seen) < ownPriorities-2 {
		t.Errorf("%d workers hold priorities %v, want each one of its own", len(routers), seen)
	}

	_, late := b.worker()
	if service, err := late.serve(t.Context()); err != nil {
		t.Fatal(err)
	} else if service.stop(); late.opts.Priority < 1 || late.opts.Priority > ownPriorities {
		t.Errorf("one worker more: priority %d", late.opts.Priority)
	}
	_, fixed := b.worker()
	fixed.opts.choose, fixed.opts.Priority = false, 5
	if service, err := fixed.serve(t.Context()); err != nil {
		t.Fatal(err)
	} else if service.stop(); fixed.opts.Priority != 5 {
		t.Errorf("configured priority: %d, want 5", fixed.opts.Priority)
	}
}

// TestPrioritiesOneByOne: a worker that starts beside others takes what is free.
func TestPrioritiesOneByOne(t *testing.T) {
	b := newBench(t)
	seen := make(map[int]bool)
	for range 4 {
		_, r := b.worker()
		service, err := r.serve(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { service.stop() })
		if seen[r.opts.Priority] {
			t.Errorf("priority %d is taken twice", r.opts.Priority)
		}
		seen[r.opts.Priority] = true
	}
}

func TestYields(t *testing.T) {
	full := make([]peer, 0, ownPriorities)
	for i := range ownPriorities {
		full = append(full, peer{strconv.Itoa(i), i + 1})
	}
	for name, test := range map[string]struct {
		self  peer
		peers []peer
		want  bool
	}{
		"alone":                {peer{"b", 1}, []peer{{"b", 1}}, false},
		"same, greater id":     {peer{"b", 1}, []peer{{"a", 1}, {"b", 1}}, true},
		"same, lesser id":      {peer{"a", 1}, []peer{{"a", 1}, {"b", 1}}, false},
		"other priority":       {peer{"b", 1}, []peer{{"a", 2}, {"b", 1}}, false},
		"same, none is free":   {peer{"x", 1}, append(full, peer{"x", 1}), false},
		"nobody has answered":  {peer{"b", 1}, nil, false},
		"only another's echo":  {peer{"b", 1}, []peer{{"a", 1}}, true},
		"itself, heard double": {peer{"b", 1}, []peer{{"b", 1}, {"b", 1}}, false},
	} {
		if got := test.self.yields(test.peers); got != test.want {
			t.Errorf("%s: yields %v, want %v", name, got, test.want)
		}
	}
}
