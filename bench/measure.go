package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/subjects"
)

var parallelism = runtime.GOMAXPROCS(0)

// variant is one thing to measure.
type variant struct {
	name     string
	storage  provision.Storage
	replicas int
	// relay names a relay; "" is the router.
	relay string
	// signatures is the value of ROUTER_SIGNATURES.
	signatures string
	script     []line
	// size of a message that a relay passes on.
	size int
	// messages is the size of the backlog.
	messages int
	// profile runs the worker and the server with pprof.
	profile bool
	// program is another build of the router; "" is that of this tree.
	program string
	// env adds to the worker's environment.
	env []string
}

func (v variant) jetstream() jetstream.StorageType {
	if v.storage == storageM {
		return jetstream.MemoryStorage
	}
	return jetstream.FileStorage
}

// set is a variant on its stage: servers, traffic and, once started, workers.
type set struct {
	*stage
	variant
	traffic traffic
	workers []*process
	stream  string
	durable string
	keys    string
}

func newSet(ctx context.Context, dir string, programs programs, v variant) (*set, error) {
	st, err := newStage(ctx, dir, programs, v)
	if err != nil {
		return nil, err
	}
	s := &set{stage: st, variant: v, stream: subjects.StreamIn, durable: subjects.ConsumerRouter}
	if err := s.equip(ctx); err != nil {
		st.close()
		return nil, err
	}
	return s, nil
}

func (s *set) equip(ctx context.Context) error {
	if s.relay != "" {
		o := &opaque{size: s.size}
		s.traffic, s.stream, s.durable = o, relayIn, relayDurable
		return o.streams(ctx, s.stage, s.variant)
	}
	m, err := newMix(s.script, s.signatures != "off")
	if err != nil {
		return err
	}
	s.traffic, s.keys = m, filepath.Join(s.dir, "keys")
	if err := m.enroll(s.stage); err != nil {
		return err
	}
	if err := os.MkdirAll(s.keys, 0o700); err != nil {
		return err
	}
	key, err := m.proxy.MarshalJSON()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.keys, proxyName+".jwk"), key, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, "password"), []byte(password), 0o600)
}

// work starts one more worker; it returns when the process runs, which says
// nothing of its readiness.
func (s *set) work(env ...string) (*process, error) {
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	addr := fmt.Sprint("127.0.0.1:", ports[0])
	name := fmt.Sprint("worker", len(s.workers))
	var p *process
	switch {
	case s.relay != "":
		p, err = launch(s.dir, name, s.programs.self, nil, "relay", s.relay, s.url, addr)
	case s.profile:
		p, err = launch(s.dir, name, s.programs.self, nil, "profiled", s.url, s.keys, addr)
	default:
		env = append([]string{
			"ROUTER_NATS_URL=" + s.url, "ROUTER_NATS_USER=" + broker.UserRouter, "ROUTER_NATS_PASSWORD_FILE=" + filepath.Join(s.dir, "password"),
			"ROUTER_PROXY_KEYS=" + s.keys, "ROUTER_HTTP_ADDR=" + addr, "ROUTER_SIGNATURES=" + s.signatures,
			"ROUTER_LIMITS_MESSAGES=-1", "ROUTER_LIMITS_STARTS=-1",
		}, append(s.env, env...)...)
		program := s.programs.router
		if s.program != "" {
			program = s.program
		}
		p, err = launch(s.dir, name, program, env, "serve")
	}
	if err != nil {
		return nil, err
	}
	p.http = addr
	s.workers = append(s.workers, p)
	return p, nil
}

func (s *set) close() {
	for _, p := range s.workers {
		p.stop()
	}
	s.stage.close()
}

// remaining is how many messages are not yet acknowledged.
func (s *set) remaining(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// By hand: that of Watermill is a push consumer, which has another type.
	reply, err := s.admin.RequestWithContext(ctx, "$JS.API.CONSUMER.INFO."+s.stream+"."+s.durable, nil)
	if err != nil {
		return 0, err
	}
	var info struct {
		Error      *jetstream.APIError `json:"error"`
		Pending    int                 `json:"num_pending"`
		AckPending int                 `json:"num_ack_pending"`
	}
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		return 0, err
	}
	switch {
	case info.Error == nil:
		return info.Pending + info.AckPending, nil
	case info.Error.ErrorCode != jetstream.JSErrCodeConsumerNotFound:
		return 0, info.Error
	}
	stream, err := s.js.Stream(ctx, s.stream) // no relay has made its consumer yet
	if err != nil {
		return 0, err
	}
	return int(stream.CachedInfo().State.Msgs), nil
}

// blockCalls is how many calls of a backlog go on at the same time: their messages
// are stored hop by hop, as they would be if all of them were live.
const blockCalls = 256

// backlog stores the messages of whole calls while no worker runs; it returns how
// many.
func (s *set) backlog(ctx context.Context) (int, error) {
	calls := s.messages / s.traffic.length()
	numbers, err := s.traffic.prepare(ctx, s.stage, calls)
	if err != nil {
		return 0, err
	}
	f, err := newFeeder(s.admin)
	if err != nil {
		return 0, err
	}
	defer f.close()
	for len(numbers) > 0 {
		block := numbers[:min(blockCalls, len(numbers))]
		numbers = numbers[len(block):]
		made := make([][]hop, len(block))
		each(len(block), func(i int) { made[i] = s.traffic.hops(block[i]) })
		for h := range s.traffic.length() {
			for _, hops := range made {
				if err := f.publish(ctx, hops[h]); err != nil {
					return 0, err
				}
			}
		}
	}
	return calls * s.traffic.length(), f.wait(ctx, 0)
}

// feeder publishes with a bounded number of unacknowledged messages.
type feeder struct {
	nc    *nats.Conn
	inbox string
	sub   *nats.Subscription
	open  int
}

const feedWindow = 2000

func newFeeder(nc *nats.Conn) (*feeder, error) {
	f := &feeder{nc: nc, inbox: nats.NewInbox()}
	var err error
	f.sub, err = nc.SubscribeSync(f.inbox)
	return f, err
}

func (f *feeder) publish(ctx context.Context, h hop) error {
	if err := f.nc.PublishMsg(&nats.Msg{Subject: h.subject, Reply: f.inbox, Data: h.data, Header: h.header}); err != nil {
		return err
	}
	if f.open++; f.open < feedWindow {
		return nil
	}
	return f.wait(ctx, feedWindow/2)
}

// wait returns when at most so many messages are unacknowledged.
func (f *feeder) wait(ctx context.Context, open int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for f.open > open {
		m, err := f.sub.NextMsgWithContext(ctx)
		if err != nil {
			return fmt.Errorf("backlog not stored: %w", err)
		}
		if bytes.Contains(m.Data, []byte(`"error"`)) {
			return fmt.Errorf("backlog not stored: %s", m.Data)
		}
		f.open--
	}
	return nil
}

func (f *feeder) close() { _ = f.sub.Unsubscribe() }

// rest waits until the servers have done what a million messages leave them to do: they
// write files and collect garbage for seconds. It gives up after half a minute.
func (s *set) rest(ctx context.Context) error {
	const within, least = 500 * time.Millisecond, 25 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(within)
	defer tick.Stop()
	for last := time.Duration(0); ; {
		now, err := cpu(s.servers...)
		if err != nil || last > 0 && now-last < least {
			return err
		}
		last = now
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sample is the state of a drain at one moment.
type sample struct {
	at              time.Time
	remaining       int
	worker, server  time.Duration
	mallocs, copied float64
}

func (s *set) sample(ctx context.Context) (x sample, err error) {
	if x.remaining, err = s.remaining(ctx); err != nil {
		return x, err
	}
	x.at = time.Now()
	if x.worker, err = cpu(s.workers...); err == nil {
		x.server, err = cpu(s.servers...)
	}
	return x, err
}

func (s *set) mallocs() (total float64, err error) {
	for _, p := range s.workers {
		n, err := p.metric("go_memstats_mallocs_total", "")
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// errUnseen says that the server has not answered while a backlog was drained: three
// servers that a relay keeps busy may leave the question for how much is left until nothing is.
var errUnseen = errors.New("backlog was drained unseen")

// drain measures how a backlog of n messages shrinks, between the moment when a
// tenth of it is gone and that when a twentieth is left: the start of a worker
// does not count.
func (s *set) drain(ctx context.Context, n int) (throughput, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var from, to sample
	var mallocs float64
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		x, err := s.sample(ctx)
		if err != nil {
			return throughput{}, err
		}
		if from.at.IsZero() && x.remaining <= n*9/10 {
			if mallocs, err = s.mallocs(); err != nil {
				return throughput{}, err
			}
			if from, err = s.sample(ctx); err != nil {
				return throughput{}, err
			}
		}
		if x.remaining <= n/20 {
			to = x
			break
		}
		select {
		case <-ctx.Done():
			return throughput{}, fmt.Errorf("backlog not drained, %d of %d messages are left", x.remaining, n)
		case <-tick.C:
		}
	}
	done := float64(from.remaining - to.remaining)
	if done <= 0 {
		return throughput{}, errors.Join(fmt.Errorf("%w: %d messages", errUnseen, n), s.drained(ctx))
	}
	after, err := s.mallocs()
	if err != nil {
		return throughput{}, err
	}
	return throughput{
		PerSecond: done / to.at.Sub(from.at).Seconds(),
		WorkerCPU: float64((to.worker - from.worker).Microseconds()) / done,
		ServerCPU: float64((to.server - from.server).Microseconds()) / done,
		Allocs:    (after - mallocs) / done,
	}, s.drained(ctx)
}

// drained waits until nothing is left.
func (s *set) drained(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := s.remaining(ctx)
		if err != nil || n == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d messages are left", n)
		case <-tick.C:
		}
	}
}
