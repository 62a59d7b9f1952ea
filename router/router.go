package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
)

// Router is one worker of the fleet: stateless, equal to all others, free to die
// at any moment. Make one with [New] and call Run once.
type Router struct {
	opts    Options
	js      jetstream.JetStream
	commits *commits
	log     logger
	metrics *metrics
	tracer  *tracer
	jobs    chan *job
	// All of the way of a message shares these.
	rejects   *rejectLimiter
	deferrals *deferrals
	ackFloor  atomic.Uint64
	starved   chan struct{}
	health    *health
	progress  atomic.Int64 // Unix nanoseconds of the last look at the consumer
	running   atomic.Bool  // services answer, messages are asked for
	stopping  atomic.Bool
	noKey     atomic.Pointer[complaint]
	aside     chan struct{}
	yields    atomic.Bool // others are served first
}

// complaint is something that keeps a worker from doing its part.
type complaint struct {
	err error
	at  time.Time
}

// complainFor is how long a complaint keeps a worker from being ready.
const complainFor = time.Minute

// New returns a router that has not started. It talks to no server yet, except
// that opts.Conn is one already.
func New(opts Options) (*Router, error) {
	if opts.Conn == nil {
		return nil, errors.New("router: Options.Conn is required")
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(opts.Conn, jetstream.WithDefaultTimeout(commitTimeout))
	if err != nil {
		return nil, fmt.Errorf("router: JetStream: %w", err)
	}
	health := newHealth(time.Now)
	r := &Router{
		opts:    opts,
		js:      js,
		log:     newLogger(opts.Logger),
		metrics: newMetrics(opts.Registerer, health),
		tracer:  newTracer(opts.TracerProvider),
		jobs:    make(chan *job, opts.Batch),
		health:  health,
		rejects: newRejectLimiter(opts.Now), deferrals: newDeferrals(opts.Now),
		starved: make(chan struct{}, 1),
		aside:   make(chan struct{}, 1),
	}
	r.commits = &commits{js: js, stored: r.metrics.committed}
	return r, nil
}

// drainTimeout bounds how long Run goes on after ctx has ended, for what was
// fetched before.
const drainTimeout = 20 * time.Second

// Run works until ctx ends, then stops fetching, finishes what is in flight and
// returns nil once every goroutine it started has ended. A server that is gone,
// a stream that is missing or full do not end it: it waits for them. It returns
// an error only if it cannot begin.
func (r *Router) Run(ctx context.Context) error {
	if r.opts.Unsigned {
		r.log.Warn("SIGNATURES ARE OFF: messages are neither verified nor signed, who sends is whom the broker admits; for closed networks only")
	}
	if r.opts.Directory == nil {
		bucket, ok := r.bucket(ctx, subjects.BucketIdentities)
		if !ok {
			return nil
		}
		directory := identity.NewKV(r.opts.Conn, bucket, identity.KVOptions{Logger: r.opts.Logger})
		r.opts.Directory = directory
		watching, stop := context.WithCancel(context.WithoutCancel(ctx))
		var watch sync.WaitGroup
		watch.Go(func() { _ = directory.Run(watching) })
		defer watch.Wait()
		defer stop()
	}
	if err := r.checkProxies(ctx); err != nil {
		return err
	}
	return r.run(ctx)
}

// checkProxies makes sure that clients will believe what this worker signs: every
// proxy is an app in the directory, and its record lists the key.
func (r *Router) checkProxies(ctx context.Context) error {
	for id, key := range r.opts.Proxies {
		record, err := r.opts.Directory.Lookup(ctx, id)
		switch {
		case errors.Is(err, identity.ErrUnknown):
			return fmt.Errorf("router: proxy %s is not in the directory: add it with \"router identity add %s --role app\"", id, id)
		case errors.Is(err, identity.ErrRecord):
			return fmt.Errorf("router: proxy %s: %w", id, err)
		case err != nil:
			// Nothing can be said now; the calls themselves will wait.
			r.log.limited("proxy keys not checked against the directory", "error", err)
			continue
		case record.Revoked || record.Role != identity.RoleApp:
			return fmt.Errorf("router: proxy %s is revoked or no app: a proxy is an identity of the role app", id)
		}
		if !slices.ContainsFunc(record.Keys, func(k identity.PublicKey) bool { return k.Equal(key.Public()) }) {
			return fmt.Errorf("router: the key of proxy %s is not the one in the directory: clients would refuse what it signs; "+
				"put the right file into the directory of proxy keys, or add this one's public half to the record", id)
		}
	}
	return nil
}

func (r *Router) run(ctx context.Context) error {
	work, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	w, err := r.worker()
	if err != nil {
		return err
	}
	services, err := r.serve(work)
	if err != nil {
		return err
	}
	var intakes, helpers, commits sync.WaitGroup
	for _, in := range r.intakes(work.Done()) {
		intakes.Go(func() { in.run(ctx) })
	}
	r.running.Store(true)
	helpers.Go(func() { r.watchConsumers(ctx) })
	helpers.Go(func() { r.mendTimers(ctx) })
	quit := make(chan struct{})
	commits.Go(func() { run(work, r.jobs, quit, r.verifier(), w) })

	<-ctx.Done()
	r.stopping.Store(true)
	stuck := time.AfterFunc(drainTimeout, kill)
	defer stuck.Stop()
	services.stop()
	intakes.Wait()
	close(quit)
	commits.Wait()
	helpers.Wait()
	return r.flush(work)
}

// flush makes sure that the last acknowledgements have left.
func (r *Router) flush(ctx context.Context) error {
	if !r.opts.Conn.IsConnected() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := r.opts.Conn.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("router: last acknowledgements not flushed, their messages will be delivered again: %w", err)
	}
	return nil
}

func (r *Router) verifier() verifier {
	return verifier{opts: &r.opts, metrics: r.metrics, tracer: r.tracer, limiter: newLimiter(r.opts.Limits), log: r.log}
}

func (r *Router) worker() (*worker, error) {
	ledger, err := newLedger(r.opts.Conn, r.js, r.commits, r.opts.Cache, r.metrics)
	if err != nil {
		return nil, err
	}
	return &worker{
		opts:      &r.opts,
		log:       r.log,
		metrics:   r.metrics,
		tracer:    r.tracer,
		ledger:    ledger,
		routes:    routes{nc: r.opts.Conn, js: r.js, directory: r.opts.Directory, log: r.log},
		outbound:  outbound{opts: &r.opts, rejects: r.rejects, tracer: r.tracer},
		deferrals: r.deferrals,
		health:    r.health,
		ackFloor:  &r.ackFloor,
		onStarved: r.onStarved,
		onNoKey:   r.stepAside,
		onNewer:   r.yield,
	}, nil
}

// intakes returns the ways by which events come in; dead is closed when nobody
// takes them any more.
func (r *Router) intakes(dead <-chan struct{}) []intake {
	in := func(stream, consumer string, ask pullRequest, accept func(message) *job) intake {
		ask.Expires, ask.Batch = pullExpiry.Nanoseconds(), r.opts.Batch
		return intake{
			stream: stream, consumer: consumer, log: r.log, metrics: r.metrics,
			pull: func() *pull {
				return &pull{nc: r.opts.Conn, subject: subjects.RequestNext(stream, consumer), ask: ask, handle: push(accept, r.jobs, dead), manner: r.manner}
			},
		}
	}
	inbox := in(subjects.StreamIn, subjects.ConsumerRouter, pullRequest{Group: subjects.GroupRouter, Priority: r.opts.Priority}, inbound)
	inbox.aside = r.aside
	return []intake{inbox, in(subjects.StreamOut, subjects.ConsumerTimeouts, pullRequest{}, timeout(r.log))}
}

// manner is how this worker asks for messages now.
func (r *Router) manner() manner {
	m := r.health.manner()
	m.yields = m.yields || r.yields.Load()
	return m
}

// bucket waits until a bucket can be opened; false means that ctx ended before.
func (r *Router) bucket(ctx context.Context, name string) (jetstream.KeyValue, bool) {
	for {
		kv, err := r.js.KeyValue(ctx, name)
		if err == nil {
			return kv, true
		}
		r.log.limited("bucket cannot be opened, trying again; if this goes on, run \"router provision\"", "bucket", name, "error", err)
		if !pause(ctx, seekEvery) {
			return nil, false
		}
	}
}

// Ready returns nil if the router can work: it is connected, asks for messages, has
// lately seen its consumer, and what it commits is stored. The error says what is missing.
func (r *Router) Ready() error {
	switch age := time.Since(time.Unix(0, r.progress.Load())); {
	case r.stopping.Load():
		return errors.New("shutting down")
	case !r.running.Load():
		return errors.New("starting")
	case r.complaint() != nil:
		return r.complaint()
	case r.health.complaint() != nil:
		return r.health.complaint()
	case !r.opts.Conn.IsConnected():
		return fmt.Errorf("not connected to NATS: %s", r.opts.Conn.Status())
	case r.progress.Load() == 0:
		return fmt.Errorf("consumer %s of stream %s not seen yet", subjects.ConsumerRouter, subjects.StreamIn)
	case age > 3*lookEvery:
		return fmt.Errorf("consumer %s of stream %s not seen for %v", subjects.ConsumerRouter, subjects.StreamIn, age.Round(time.Second))
	default:
		return nil
	}
}

// stepAside takes the worker out of the rotation for a while: a message that it
// cannot serve would come back to it, as long as its priority is the first.
func (r *Router) stepAside(err error) {
	r.noKey.Store(&complaint{err, time.Now()})
	select {
	case r.aside <- struct{}{}:
	default:
	}
}

// complaint returns what has lately kept the router from doing its part.
func (r *Router) complaint() error {
	if c := r.noKey.Load(); c != nil && time.Since(c.at) < complainFor {
		return c.err
	}
	return nil
}
