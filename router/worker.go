package router

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
)

// worker carries verified messages to their ack, many calls at a time. Of one call
// it settles one group at a time (queue); what is shared between calls has a lock of its own.
type worker struct {
	opts      *Options
	log       logger
	metrics   *metrics
	tracer    *tracer
	ledger    *ledger
	routes    routes
	outbound  outbound
	deferrals *deferrals
	health    *health
	// ackFloor is the sequence up to which the inbound stream is acknowledged.
	ackFloor *atomic.Uint64
	// onNoKey is told when calls arrive that need a key that is not here.
	onNoKey func(error)
	// onNewer is told when a record was written by a newer release.
	onNewer func(error)
	// onStarved is told when the store refused for want of space.
	onStarved func()
}

// maxAttempts is how often a call that loses races is decided anew before its
// messages are sent back.
const maxAttempts = 8

// run is the way of every message: fetch -> verify -> load -> decide -> commit ->
// ack. It returns when quit is closed and everything that is in the queue is settled.
//
// A message waits for others of its call, and for nothing else: while one batch is
// being committed the next calls are decided and signed, and go with the next batch, all
// that are ready by then (commits).
func run(ctx context.Context, in <-chan *job, quit <-chan struct{}, v verifier, w *worker) {
	verified := make(chan []*job)
	go func() {
		defer close(verified)
		for batch := range fetch(in, quit, w.opts.Batch) {
			v.work(ctx, batch)
			verified <- batch
		}
	}()
	size := max(1, w.opts.Batch/parts)
	settled := make(chan []*group)
	open := 0 // messages that are being settled
	for q := newQueue(); verified != nil || q.waiting+open > 0; {
		more := verified
		if q.waiting >= w.opts.Batch {
			more = nil // enough of them wait
		}
		select {
		case batch, ok := <-more:
			if !ok {
				verified = nil
			}
			q.add(batch)
		case groups := <-settled:
			open -= countJobs(groups)
			q.release(keysOf(groups))
		}
		for open < 2*w.opts.Batch {
			groups := q.take(size)
			if len(groups) == 0 {
				break
			}
			open += countJobs(groups)
			for _, part := range w.apart(groups) {
				go func() {
					w.settle(ctx, w.judgeable(part), 1)
					settled <- part
				}()
			}
		}
	}
}

// parts is into how many parts the messages are divided that are being settled, if
// there are many: while one is stored, others are decided and signed.
const parts = 8

// work verifies a batch.
func (v verifier) work(ctx context.Context, batch []*job) {
	start := time.Now()
	v.metrics.fetched(batch, start)
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	v.verify(ctx, batch)
	v.metrics.observe(stageVerify, start)
}

// fetch yields batches: whatever is there, at most limit, without waiting for
// more than the first.
func fetch(in <-chan *job, quit <-chan struct{}, limit int) iter.Seq[[]*job] {
	return func(yield func([]*job) bool) {
		for {
			var batch []*job
			select {
			case j := <-in:
				batch = append(make([]*job, 0, limit), j)
			case <-quit:
			}
			batch = takeReady(batch, in, limit)
			if len(batch) == 0 || !yield(batch) {
				return
			}
		}
	}
}

// takeReady appends to batch what can be had from in without waiting.
func takeReady(batch []*job, in <-chan *job, limit int) []*job {
	for len(batch) < limit {
		select {
		case j := <-in:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

// apart divides groups into those whose record is at hand and those that have to wait for
// the server: it reads nothing while it commits a batch.
func (w *worker) apart(groups []*group) [][]*group {
	var known, unknown []*group
	for _, g := range groups {
		if g.key == "" || w.ledger.cache.Contains(g.key) {
			known = append(known, g)
		} else {
			unknown = append(unknown, g)
		}
	}
	return slices.DeleteFunc([][]*group{known, unknown}, func(part []*group) bool { return len(part) == 0 })
}

// judgeable sends back what could not be judged, because the directory could not be
// read, and returns groups of all else.
func (w *worker) judgeable(groups []*group) []*group {
	keep := make([]*group, 0, len(groups))
	for _, g := range groups {
		sound := &group{key: g.key, jobs: make([]*job, 0, len(g.jobs))}
		for _, j := range g.jobs {
			if j.fault == nil {
				sound.jobs = append(sound.jobs, j)
				continue
			}
			w.trouble("message cannot be judged now", j.fault)
			w.again(j, deferDelay(j.event.Delivery))
		}
		if len(sound.jobs) > 0 {
			keep = append(keep, sound)
		}
	}
	return keep
}

// settle loads, decides and commits groups until each is stored, sent back or
// found to be poison. attempt counts the decisions on the same messages.
func (w *worker) settle(ctx context.Context, groups []*group, attempt int) {
	groups, err := w.decideAll(ctx, groups)
	if err != nil {
		w.postpone(groups, err)
		return
	}
	for _, batch := range split(groups) {
		if err := w.commit(ctx, batch); err != nil {
			w.recoverFrom(ctx, batch, err, attempt)
			continue
		}
		w.finish(batch)
	}
}

// decideAll gives every group its record, its route and its decisions. Those
// that cannot be decided now are sent back and left out of what it returns.
func (w *worker) decideAll(ctx context.Context, groups []*group) ([]*group, error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	start := time.Now()
	if err := w.ledger.load(ctx, groups); err != nil {
		return groups, err
	}
	if err := w.routes.load(ctx, groups); err != nil {
		return groups, err
	}
	w.metrics.observe(stageLoad, start)
	w.tracer.event(groups, "loaded")

	start = time.Now()
	sound := w.sound(ctx, groups)
	for _, g := range sound {
		w.decide(g)
	}
	sound = w.sound(ctx, sound)
	w.metrics.observe(stageDecide, start)
	w.tracer.event(sound, "decided")
	return sound, nil
}

// sound sends back the groups whose record or route cannot be read: written by
// a newer version, say. They wait; nothing of them is destroyed. A group that no
// decision can be taken on is isolated.
func (w *worker) sound(ctx context.Context, groups []*group) []*group {
	keep := make([]*group, 0, len(groups))
	for _, g := range groups {
		if g.fault == nil {
			keep = append(keep, g)
			continue
		}
		if classify(g.fault) == poison {
			w.isolate(ctx, []*group{g}, g.fault)
			continue
		}
		w.trouble("call cannot be decided now", g.fault)
		if _, ok := errors.AsType[errNoProxyKey](g.fault); ok {
			w.onNoKey(g.fault)
		}
		if errors.Is(g.fault, call.ErrNewerVersion) {
			w.onNewer(g.fault)
		}
		w.sendBack(g, faultDelay(g.fault, g.jobs[0].event.Delivery))
	}
	return keep
}

func (w *worker) commit(ctx context.Context, batch []*group) error {
	start := time.Now()
	if err := guard(func() error { return w.outbound.write(batch) }); err != nil {
		w.metrics.committed(errPoison{err})
		return errPoison{err}
	}
	w.metrics.observe(stageSign, start)
	start = time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	stored, err := w.ledger.commit(ctx, batch)
	if stored {
		w.health.succeeded()
	}
	w.metrics.observe(stageCommit, start)
	if err == nil {
		w.tracer.event(batch, "committed")
	} else {
		w.tracer.event(batch, "not committed: "+classify(err).String())
	}
	return err
}

// How long the worker waits for answers: for what it commits and reads on the way
// there, and for all else. Both end in a second delivery, not in a loss. A batch
// that a dying leader took with it holds up its calls for as long.
const (
	readTimeout   = 5 * time.Second
	commitTimeout = 3 * time.Second
)

// finish acknowledges what is stored. It is the only place that does.
func (w *worker) finish(batch []*group) {
	w.metrics.progress.SetToCurrentTime()
	now := w.opts.Now()
	for _, g := range batch {
		for _, j := range g.jobs {
			w.tracer.end(j, result(j.decision.Verdict))
			if j.decision.Verdict == call.Deferred {
				w.again(j, deferDelay(j.event.Delivery))
			} else {
				w.ack(j)
			}
			o := j.outcome()
			w.metrics.settled(j, o, now)
			w.note(j)
			w.noteEnd(j, o.ended)
		}
	}
}

func (w *worker) ack(j *job) {
	switch {
	case j.done == nil:
	case j.decision.Verdict == call.Nothing:
		j.done <- errOver
	default:
		j.done <- nil
	}
	if j.source != nil {
		w.settleError(j.source.Ack())
	}
}

// settleError notes an acknowledgement that could not be sent. Nothing is lost:
// the message comes again.
func (w *worker) settleError(err error) {
	if err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		w.trouble("acknowledgement not sent, the message will be delivered again", err)
	}
}

// trouble logs what keeps the worker from its work, at most once a second for
// the same words, and counts it.
func (w *worker) trouble(msg string, err error) {
	w.metrics.troubles.Inc()
	w.log.limited(msg, "error", err)
}
