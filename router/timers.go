package router

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/subjects"
)

// overdueAfter is how late a timer must be before it counts as dead; the server
// fires within a quarter of a second.
const overdueAfter = 5 * time.Second

// mendEvery is the time between two looks for overdue timers, shortened by up to
// a half at random: not every worker looks at once. A look reads every timer there
// is; where there are very many the time is mendRest times what the last look
// took, so that looking stays a hundredth of a worker's time.
const (
	mendEvery = time.Minute
	mendRest  = 100
)

// mendTimers writes overdue timers anew: soon after the start, whenever the store has
// refused writes, and every now and then. A timer that came due while the disk
// quota refused its message stays dead in the server, and its call would ring for
// ever. No worker need have noticed: with a full store nobody can send anything
// that a worker could fail to commit.
func (r *Router) mendTimers(ctx context.Context) {
	failing := newHealth(time.Now)
	// Not all workers of a fleet that is started at once, and not while they are
	// behind with what waited for them.
	if !pause(ctx, overdueAfter+rand.N(overdueAfter)) {
		return
	}
	for {
		look := pace{began: time.Now()}
		n, err := r.mendOverdue(ctx, &look)
		r.metrics.timersMended.Add(float64(n))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.log.limited("overdue timers not mended, trying again", "error", err)
			if !pause(ctx, failing.failed(err)) {
				return
			}
			continue
		case n > 0:
			r.log.Warn("timers were overdue and have been written anew", "timers", n)
		}
		failing.succeeded()
		if !r.untilNextMend(ctx, look.worked()) {
			return
		}
	}
}

// untilNextMend waits until there may be timers to mend; took is how long the last
// look took. false means that ctx has ended.
func (r *Router) untilNextMend(ctx context.Context, took time.Duration) bool {
	every := max(mendEvery, mendRest*took)
	next := time.NewTimer(every/2 + rand.N(every/2))
	defer next.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-next.C:
		return true
	case <-r.starved:
		// Until the store accepts writes again there is nothing to mend. What has
		// refused may be tried again as late as lastBackoff from now, and a timer
		// may die until then.
		return pause(ctx, overdueAfter+lastBackoff)
	}
}

// onStarved asks for another round of mendTimers.
func (r *Router) onStarved() {
	select {
	case r.starved <- struct{}{}:
	default:
	}
}

// pace keeps a look at very many timers from crowding out the calls: after every
// stretch of it the reader rests nineteen times as long.
type pace struct {
	began  time.Time
	rested time.Duration
	seen   int
}

const (
	paceStretch = timersPage
	paceRest    = 19
	// longestRest keeps within the time that the server's answer is waited for.
	longestRest = 2 * time.Second
)

// timersPage is how many timers one step of a look asks for. They are small, and each
// step costs the server a walk over all subjects of the stream, to say how many are left.
const timersPage = 4096

// step notes one timer; false means that ctx has ended.
func (p *pace) step(ctx context.Context) bool {
	if p.seen++; p.seen%paceStretch != 0 {
		return true
	}
	rest := min(paceRest*p.worked()-p.rested, longestRest)
	p.rested += rest
	return pause(ctx, rest)
}

// worked is how long the look took without the rests.
func (p *pace) worked() time.Duration { return time.Since(p.began) - p.rested }

func (r *Router) mendOverdue(ctx context.Context, look *pace) (mended int, err error) {
	var overdue []string
	err = scan(ctx, r.js, subjects.FilterTimer, timersPage, jetstreamext.GetBatchSeq(1), func(m *jetstream.RawStreamMsg) bool {
		if at, ok := scheduledAt(m.Header); ok && time.Since(at) > overdueAfter {
			overdue = append(overdue, m.Subject)
		}
		return look.step(ctx)
	})
	if err != nil {
		return 0, err
	}
	for _, subject := range overdue {
		switch ok, err := r.rewriteTimer(ctx, subject); {
		case err != nil:
			return mended, err
		case ok:
			mended++
		}
	}
	return mended, nil
}

// rewriteTimer stores a timer again as it is, unless it has been replaced.
func (r *Router) rewriteTimer(ctx context.Context, subject string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	m, err := msgget.Last(ctx, r.opts.Conn, subjects.StreamOut, subject)
	if errors.Is(err, msgget.ErrNone) {
		return false, nil // fired meanwhile
	}
	if err != nil {
		return false, err
	}
	if at, ok := scheduledAt(m.Header); !ok || time.Since(at) <= overdueAfter {
		return false, nil
	}
	h := nats.Header{headerSchedule: m.Header[headerSchedule], headerScheduleTarget: m.Header[headerScheduleTarget]}
	_, err = r.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: m.Data, Header: h},
		jetstream.WithExpectLastSequencePerSubject(m.Seq))
	if err != nil && classify(err) == conflict {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("rewrite timer %s: %w", subject, err)
	}
	return true, nil
}

func scheduledAt(h nats.Header) (time.Time, bool) {
	text, ok := strings.CutPrefix(h.Get(headerSchedule), scheduleAt)
	if !ok {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	return at, err == nil
}
