package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/voicerouter/voicerouter/internal/cluster"
	"github.com/voicerouter/voicerouter/subjects"
)

// healer ends a fault; nil is one that is over at once.
type healer = func(context.Context) error

// strike begins a fault on what pick picks: it calls begin with the name of the
// target right before.
type strike func(ctx context.Context, r *run, pick uint64, begin func(target string)) (healer, error)

// choose picks one of a list.
func choose[T any](list []T, pick uint64) T { return list[pick%uint64(len(list))] }

func killWorker(_ context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	w := choose(r.fleet.Workers(), pick)
	begin(w.Name)
	return w.Start, w.Kill()
}

func pauseWorker(_ context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	w := choose(r.fleet.Workers(), pick)
	begin(w.Name)
	return func(context.Context) error { return w.Resume() }, w.Pause()
}

func terminateWorker(ctx context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	w := choose(r.fleet.Workers(), pick)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	begin(w.Name)
	return w.Start, w.Terminate(ctx)
}

func killWorkers(_ context.Context, r *run, _ uint64, begin func(string)) (healer, error) {
	begin("all")
	err := together(r.fleet.Workers(), (*cluster.Worker).Kill)
	return func(ctx context.Context) error {
		return together(r.fleet.Workers(), func(w *cluster.Worker) error { return w.Start(ctx) })
	}, err
}

// stepDown has one of the leaders hand over on which everything waits.
func stepDown(ctx context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	led := [][2]string{
		{subjects.StreamOut, ""},
		{subjects.StreamIn, ""},
		{subjects.StreamIn, subjects.ConsumerRouter},
		{subjects.StreamOut, subjects.ConsumerTimeouts},
		{"meta", ""},
	}
	l := choose(led, pick)
	if l[0] == "meta" {
		begin("meta")
		return nil, r.fleet.StepDownMeta(ctx)
	}
	begin(strings.TrimSpace(l[0] + " " + l[1]))
	return nil, r.fleet.StepDown(ctx, l[0], l[1])
}

func killServer(_ context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	s := choose(r.fleet.Servers(), pick)
	begin(s.Name)
	return s.Start, s.Kill()
}

func killServers(_ context.Context, r *run, _ uint64, begin func(string)) (healer, error) {
	begin("all")
	return func(ctx context.Context) error {
		return together(r.fleet.Servers(), func(s *cluster.Server) error { return s.Start(ctx) })
	}, r.fleet.KillServers()
}

// together does something to all of a list at once.
func together[T any](list []T, do func(T) error) error {
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, one := range list {
		wg.Go(func() { errs[i] = do(one) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func pauseServer(_ context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	s := choose(r.fleet.Servers(), pick)
	begin(s.Name)
	return func(context.Context) error { return s.Resume() }, s.Pause()
}

func fillDisks(ctx context.Context, r *run, _ uint64, begin func(string)) (healer, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	begin("all")
	return r.fleet.FreeDisks, r.fleet.FillDisks(ctx)
}

func isolateServer(_ context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	s := choose(r.fleet.Servers(), pick)
	return breakAll(begin, s.Name, r.fleet.RoutesOf(s.Name), (*cluster.Link).Cut)
}

func cutRoute(_ context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	name, links := r.between(pick)
	return breakAll(begin, name, links, (*cluster.Link).Cut)
}

func delayRoute(_ context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	name, links := r.between(pick)
	extra := 20*time.Millisecond + time.Duration(pick%60)*time.Millisecond
	return breakAll(begin, name, links, func(l *cluster.Link) error { return l.Delay(extra, extra/4) })
}

// between returns the routes of two servers, in both directions.
func (r *run) between(pick uint64) (string, []*cluster.Link) {
	servers := r.fleet.Servers()
	a, b := choose(servers, pick).Name, choose(servers, pick+1).Name
	return a + " and " + b, r.fleet.Links(func(l *cluster.Link) bool {
		return l.From == a && l.To == b || l.From == b && l.To == a
	})
}

func cutLink(_ context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	l := r.link(pick)
	return breakAll(begin, l.Name(), []*cluster.Link{l}, (*cluster.Link).Cut)
}

func delayLink(_ context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	l := r.link(pick)
	extra := 100*time.Millisecond + time.Duration(pick%200)*time.Millisecond
	return breakAll(begin, l.Name(), []*cluster.Link{l}, func(l *cluster.Link) error { return l.Delay(extra, extra/4) })
}

func resetLink(_ context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	l := r.link(pick)
	return breakAll(begin, l.Name(), []*cluster.Link{l}, (*cluster.Link).Reset)
}

func refuseLink(_ context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	l := r.link(pick)
	return breakAll(begin, l.Name(), []*cluster.Link{l}, (*cluster.Link).Refuse)
}

// link returns the link of a worker or of the endpoints to a server.
func (r *run) link(pick uint64) *cluster.Link {
	return choose(r.fleet.Links(func(l *cluster.Link) bool {
		return l.From == cluster.Endpoints || l.From[0] == 'w'
	}), pick)
}

func breakAll(begin func(string), name string, links []*cluster.Link, fault func(*cluster.Link) error) (healer, error) {
	begin(name)
	var errs []error
	for _, l := range links {
		errs = append(errs, fault(l))
	}
	return func(ctx context.Context) error {
		var errs []error
		for _, l := range links {
			errs = append(errs, l.Heal(ctx))
		}
		return errors.Join(errs...)
	}, errors.Join(errs...)
}

func killEndpoint(ctx context.Context, r *run, pick uint64, begin func(string)) (healer, error) {
	begin("endpoint " + strconv.FormatUint(pick%1000, 10))
	_, err := r.calls.Restart(ctx, pick, pick&(1<<40) != 0)
	return nil, err
}
