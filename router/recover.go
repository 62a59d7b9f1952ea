package router

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
)

// Here stands what follows from a commit that failed: see failure. Nothing here
// acknowledges.

// recoverFrom does what a failure asks for.
func (w *worker) recoverFrom(ctx context.Context, batch []*group, err error, attempt int) {
	switch classify(err) {
	case conflict:
		w.lost(ctx, batch, attempt)
	case poison:
		w.isolate(ctx, batch, err)
	case unexplained:
		if suspect(batch) {
			w.isolate(ctx, batch, err)
			return
		}
		w.postpone(batch, err)
	case transient, starved:
		w.postpone(batch, err)
	}
}

// A message that was delivered suspectAfter times, in a batch that the server
// refuses for a reason that nobody foresaw, makes the batch be split; one that was
// delivered condemnAfter times and is refused alone is taken for poison.
const (
	suspectAfter = 4
	condemnAfter = 10
)

// suspect reports whether one message of a batch that was refused unexplained may
// be to blame, so that the others are better off without it.
func suspect(batch []*group) bool {
	limit := suspectAfter
	if countJobs(batch) == 1 {
		limit = condemnAfter
	}
	for _, g := range batch {
		for _, j := range g.jobs {
			if j.event.Delivery >= limit {
				return true
			}
		}
	}
	return false
}

// lost handles a batch that lost a race: some other worker moved one of its
// calls. The calls that nobody moved go on in a batch without the losers.
func (w *worker) lost(ctx context.Context, batch []*group, attempt int) {
	if attempt >= maxAttempts {
		w.postpone(batch, errContended)
		return
	}
	before := make([]uint64, len(batch))
	for i, g := range batch {
		before[i] = g.baseSeq
	}
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	w.metrics.leaderReads.Add(float64(len(batch)))
	if err := w.ledger.reload(reading, batch); err != nil {
		w.postpone(batch, err)
		return
	}
	var kept, moved []*group
	for i, g := range batch {
		if g.baseSeq == before[i] {
			kept = append(kept, g)
		} else {
			moved = append(moved, g)
		}
	}
	if len(moved) > 0 {
		w.metrics.redecided.Add(float64(countJobs(moved)))
		w.settle(ctx, moved, attempt+1)
	}
	if len(kept) > 0 {
		w.settle(ctx, kept, attempt+1)
	}
}

// isolate splits a batch that the server refuses for its content until the
// message at fault is alone, and puts that one aside.
func (w *worker) isolate(ctx context.Context, batch []*group, cause error) {
	halves := halve(batch)
	if halves == nil {
		w.putAside(ctx, batch[0].jobs[0], cause)
		return
	}
	for _, half := range halves {
		for _, g := range half {
			g.loaded = false
		}
		w.settle(ctx, half, 1)
	}
}

// putAside ends the way of a message that cannot be committed: it is kept under
// rejected.internal, and its sender is told.
func (w *worker) putAside(ctx context.Context, j *job, cause error) {
	w.log.Error("message cannot be committed and is put aside under rejected.internal",
		"type", j.subjectType, "seq", j.event.Seq, "error", cause)
	if j.event.Kind != call.Message || j.refusal != nil && j.refusal.Code == signal.CodeInternal {
		if classify(cause) == unexplained {
			w.postpone([]*group{{key: j.key, jobs: []*job{j}}}, cause) // it is the store after all
			return
		}
		w.terminate(j, cause)
		return
	}
	j.refusal = refused(signal.CodeInternal, "the router could not process this message; the fault is not yours")
	if j.key = ""; j.stops() {
		j.key = j.event.Msg.CID // as in verify
	}
	w.settle(ctx, []*group{{key: j.key, jobs: []*job{j}}}, 1)
}

// postpone sends the messages of a batch back: nobody knows whether it was
// stored, or it could not be now. Delivered again they are found among the
// applied ones, or decided afresh.
func (w *worker) postpone(batch []*group, cause error) {
	if classify(cause) == starved {
		w.onStarved()
	}
	w.trouble("batch not stored, its messages will be delivered again", cause)
	delay := w.health.failed(cause)
	for _, g := range batch {
		w.sendBack(g, delay)
	}
}

func (w *worker) sendBack(g *group, delay time.Duration) {
	w.ledger.cache.Remove(g.key)
	for _, j := range g.jobs {
		w.again(j, delay)
	}
}

func (w *worker) again(j *job, delay time.Duration) {
	w.tracer.end(j, "postponed")
	if j.done != nil {
		j.done <- errTryAgain
	}
	if j.source != nil {
		w.metrics.postponed.Inc()
		w.settleError(j.source.NakWithDelay(delay))
	}
}

func (w *worker) terminate(j *job, cause error) {
	w.metrics.reject(signal.CodeInternal)
	w.tracer.end(j, "terminated")
	if j.done != nil {
		j.done <- cause
	}
	if j.source != nil {
		w.settleError(j.source.TermWithReason("cannot be committed"))
	}
}

var (
	errContended = errors.New("call moved by other workers again and again")
	errTryAgain  = errors.New("not stored, try again")
	errOver      = errors.New("call is over")
)

// guard turns a panic of do into an error: bytes from outside must not stop a
// worker, or the message would go on to stop the next.
func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

// errPoison marks an error that the content of a batch causes.
type errPoison struct{ error }

func (e errPoison) Unwrap() error { return e.error }

func countJobs(groups []*group) (n int) {
	for _, g := range groups {
		n += len(g.jobs)
	}
	return n
}
