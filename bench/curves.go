package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
)

// curves measures how the router does as one thing grows.
func (b bench) curves(ctx context.Context, only []string) error {
	for _, c := range []struct {
		name   string
		values []int
		point  func(context.Context, int) (result, error)
	}{
		{"live calls", []int{1e3, 1e4, 1e5, 1e6}, b.liveCalls},
		{"workers", []int{1, 2, 4, 8}, b.workers},
		{"message size", []int{512, 1024, 2048, 4096, 8192, 16384}, b.messageSize},
		{"routes", []int{1e3, 1e4, 1e5, 1e6}, b.routes},
		{"endpoints", []int{1e3, 1e4}, b.endpoints},
		{"load", []int{250, 500, 1000, 2000, 4000, 8000}, b.load},
	} {
		if only != nil && !slices.Contains(only, c.name) {
			continue
		}
		for _, x := range c.values {
			r, err := c.point(ctx, x)
			if err != nil {
				return fmt.Errorf("%s %d: %w", c.name, x, err)
			}
			r.Kind, r.Variant, r.X = "curve", c.name, float64(x)
			if err := b.out.add(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// curveVariant is what the curves vary: the router in a file.
func curveVariant() variant {
	return variant{name: "curve", storage: storageF, replicas: 1, signatures: "required", script: whole, messages: 24000}
}

// measured drains a backlog with n workers on a stage that is ready.
func (s *set) measured(ctx context.Context, n int) (r result, err error) {
	stored, err := s.backlog(ctx)
	if err != nil {
		return r, err
	}
	began := time.Now()
	for range n {
		if _, err := s.work(); err != nil {
			return r, err
		}
	}
	first := make(chan time.Duration, 1)
	live, err := s.clients.Subscribe(s.traffic.live(), func(*nats.Msg) {
		select {
		case first <- time.Since(began):
		default:
		}
	})
	if err != nil {
		return r, err
	}
	defer func() { _ = live.Unsubscribe() }()
	t, err := s.drain(ctx, stored)
	if err != nil {
		return r, err
	}
	r.Throughput, r.Storage, r.Replicas = &t, string(s.storage), s.replicas
	select {
	case took := <-first:
		r.StartMS = float64(took.Microseconds()) / 1000
	case <-time.After(time.Second):
	}
	if r.WorkerMemory, err = memory("VmHWM", s.workers...); err == nil {
		r.ServerMemory, err = memory("VmHWM", s.servers...)
	}
	return r, err
}

// liveCalls stores the records and timers of calls that are active, of other
// conversations than those that are measured.
//
// The backlog is a long one: every now and then the server collects the garbage of a
// large heap, and a short one would have that or not, by chance.
func (b bench) liveCalls(ctx context.Context, n int) (r result, err error) {
	v := curveVariant()
	v.messages *= 4
	s, err := newSet(ctx, b.dir, b.programs, v)
	if err != nil {
		return r, err
	}
	defer s.close()
	f, err := newFeeder(s.admin)
	if err != nil {
		return r, err
	}
	defer f.close()
	now := time.Now().UTC().Truncate(time.Millisecond)
	state := call.State{
		Version: call.Version, Mode: call.Masked, Phase: call.Active, CallID: "k", Proxy: identity.MustID(proxyName),
		StartedAt: now, RingingAt: now, AnsweredAt: now, Deadline: now.Add(4 * time.Hour), Epoch: 2,
		Last: call.Last{Type: "accept", CallID: "k", At: now},
	}
	schedule := "@at " + state.Deadline.Format(time.RFC3339Nano)
	for i := range n {
		state.CID = fmt.Sprint("live-", i)
		state.Operator, state.Customer = identity.MustID(operator(i)), identity.MustID(customer(i))
		state.Caller, state.Last.From = state.Operator, state.Customer
		record, err := state.Encode()
		if err != nil {
			return r, err
		}
		if err := f.publish(ctx, hop{subject: subjects.State(state.CID), data: record}); err != nil {
			return r, err
		}
		if err := f.publish(ctx, hop{
			subject: subjects.Timer(state.CID), data: []byte(`{"call_id":"k","epoch":2}`),
			header: nats.Header{"Nats-Schedule": {schedule}, "Nats-Schedule-Target": {subjects.Timeout(state.CID)}},
		}); err != nil {
			return r, err
		}
	}
	if err := f.wait(ctx, 0); err != nil {
		return r, err
	}
	return s.measured(ctx, 1)
}

// routes stores that many routes of other conversations.
func (b bench) routes(ctx context.Context, n int) (r result, err error) {
	s, err := newSet(ctx, b.dir, b.programs, curveVariant())
	if err != nil {
		return r, err
	}
	defer s.close()
	if _, err := s.traffic.prepare(ctx, s.stage, n); err != nil {
		return r, err
	}
	return s.measured(ctx, 1)
}

// endpoints opens that many connections that listen to their inboxes.
func (b bench) endpoints(ctx context.Context, n int) (r result, err error) {
	s, err := newSet(ctx, b.dir, b.programs, curveVariant())
	if err != nil {
		return r, err
	}
	defer s.close()
	conns := make([]*nats.Conn, n)
	defer func() {
		for _, nc := range conns {
			if nc != nil {
				nc.Close()
			}
		}
	}()
	failed := make([]error, n)
	each(n, func(i int) {
		conns[i], failed[i] = nats.Connect(s.url, nats.Timeout(30*time.Second))
		if failed[i] == nil {
			_, failed[i] = conns[i].Subscribe(subjects.LiveAll(fmt.Sprint("idle", i)), func(*nats.Msg) {})
		}
	})
	for _, err := range failed {
		if err != nil {
			return r, err
		}
	}
	return s.measured(ctx, 1)
}

// messageSize puts that many bytes of peer_info into every message that has any.
func (b bench) messageSize(ctx context.Context, n int) (r result, err error) {
	v := curveVariant()
	v.script = nil
	for _, l := range whole {
		if l.info != "" {
			l.info = strings.Repeat("a=rtcp-mux\r\n", n/12+1)[:n-3]
		}
		v.script = append(v.script, l)
	}
	v.messages = min(v.messages, int(24000*2048/math.Max(2048, float64(n))))
	s, err := newSet(ctx, b.dir, b.programs, v)
	if err != nil {
		return r, err
	}
	defer s.close()
	return s.measured(ctx, 1)
}

// workers drains one backlog with several workers.
func (b bench) workers(ctx context.Context, n int) (r result, err error) {
	v := curveVariant()
	v.messages = 48000
	s, err := newSet(ctx, b.dir, b.programs, v)
	if err != nil {
		return r, err
	}
	defer s.close()
	if r, err = s.measured(ctx, n); err != nil {
		return r, err
	}
	if r.DecidedBacklog, err = s.redecided(0); err != nil {
		return r, err
	}
	r.DecidedBacklog /= float64(v.messages)
	// With a backlog every worker is behind and takes what it gets. What counts is
	// the share while they keep up.
	before, err := s.redecided(0)
	if err != nil {
		return r, err
	}
	if r.Loaded, _, err = s.loaded(ctx, r.Throughput.PerSecond/2); err != nil {
		return r, err
	}
	r.Decided, err = s.redecided(before)
	r.Decided /= float64(r.Loaded.N)
	return r, err
}

// redecided is how many messages the workers have decided again since there were
// that many.
func (s *set) redecided(before float64) (total float64, err error) {
	for _, p := range s.workers {
		n, err := p.metric("voicerouter_redecided_total", "")
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total - before, nil
}

// load makes calls at a constant rate, in messages per second.
func (b bench) load(ctx context.Context, n int) (r result, err error) {
	s, err := newSet(ctx, b.dir, b.programs, curveVariant())
	if err != nil {
		return r, err
	}
	defer s.close()
	p, err := s.work()
	if err != nil {
		return r, err
	}
	if err := p.awaitURL(ctx, "http://"+p.http+"/readyz"); err != nil {
		return r, err
	}
	r.Loaded, r.SetUp, err = s.loaded(ctx, float64(n))
	r.LoadedRate = float64(n)
	return r, err
}
