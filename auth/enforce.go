package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
)

// Of the enforcement of changes.
const (
	// settle is how long after the notice of a change the directory is asked: the
	// notice is the write on its way to the stream, not yet stored.
	settle = 100 * time.Millisecond
	// again is when a change is enforced a second time: a connection that was being
	// decided on while the change was made may have opened behind the first.
	again = 5 * time.Second
	// retry is the pause after an attempt that failed.
	retry = time.Second
)

// enforcer makes changes of the directory count for connections that are open. A
// connection is entitled if its identity is valid and the entry has not been
// written since the connection was judged. So that a service which starts late
// misses nothing, it begins with what was written within the life of a JWT: older
// connections there are none.
type enforcer struct {
	nc      *nats.Conn
	dir     directory
	changes changes
	recent  *admissions
	poll    time.Duration
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time
	due     map[identity.ID]visits
}

// visits are the times at which a changed identity is looked at.
type visits []time.Time

func newEnforcer(s *Service) *enforcer {
	o := s.opts
	return &enforcer{
		nc: o.Conn, dir: s.directory, recent: &s.admitted, poll: o.PollEvery, log: o.Logger, metrics: s.metrics, now: o.Now,
		changes: changes{nc: o.Conn, since: o.Now().Add(-o.TTL - time.Minute)},
		due:     map[identity.ID]visits{},
	}
}

// run enforces until ctx ends.
func (e *enforcer) run(ctx context.Context) {
	notices := make(chan struct{}, 1)
	sub, err := e.nc.Subscribe(subjects.KVKey(subjects.BucketIdentities, "*"), func(*nats.Msg) {
		select {
		case notices <- struct{}{}:
		default: // one says as much as many
		}
	})
	if err != nil {
		e.log.Error("changes of identities are not noticed at once, only every while", "every", e.poll.String(), "error", err)
	} else {
		defer func() { _ = sub.Unsubscribe() }()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-notices:
			timer.Reset(settle)
			continue
		case <-timer.C:
		}
		timer.Reset(e.round(ctx))
	}
}

// round enforces what is due and returns when to come back.
func (e *enforcer) round(ctx context.Context) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := e.collect(ctx); err != nil && ctx.Err() == nil {
		e.metrics.troubles.Inc()
		e.log.Warn("changes of identities cannot be read, trying again", "error", err)
		return retry
	}
	batch := e.ripe()
	if len(batch) > 0 {
		if err := e.enforce(ctx, batch); err != nil && ctx.Err() == nil {
			e.metrics.troubles.Inc()
			e.log.Warn("a change of identities is not enforced yet, trying again", "identities", len(batch), "error", err)
			for _, id := range batch {
				e.due[id] = append(e.due[id], e.now().Add(retry))
			}
		}
	}
	return e.wait()
}

// collect notes every identity that was written since the last time.
func (e *enforcer) collect(ctx context.Context) error {
	for {
		id, ok, err := e.changes.next(ctx)
		if err != nil || !ok {
			return err
		}
		now := e.now()
		e.due[id] = visits{now, now.Add(again)}
	}
}

// ripe takes the identities whose time has come.
func (e *enforcer) ripe() []identity.ID {
	now := e.now()
	var batch []identity.ID
	for id, all := range e.due {
		var later visits
		for _, at := range all {
			if at.After(now) {
				later = append(later, at)
			}
		}
		if len(later) < len(all) {
			batch = append(batch, id)
		}
		if e.due[id] = later; len(later) == 0 {
			delete(e.due, id)
		}
	}
	return batch
}

// wait is how long nothing is due.
func (e *enforcer) wait() time.Duration {
	wait := e.poll
	for _, all := range e.due {
		for _, at := range all {
			wait = min(wait, at.Sub(e.now()))
		}
	}
	return max(wait, 0)
}

// enforce closes the connections of these identities that are not entitled, and
// ends the live calls of those that are revoked or gone.
func (e *enforcer) enforce(ctx context.Context, batch []identity.ID) error {
	before := make(map[string]time.Time, len(batch)) // when a user's connections must not have been opened
	var outdated []admission
	var barred []identity.ID
	for _, id := range batch {
		entry, err := e.dir.entry(ctx, id)
		switch {
		case errors.Is(err, identity.ErrUnknown), errors.Is(err, identity.ErrRecord), err == nil && entry.record.Revoked:
			before[id.String()] = never
			barred = append(barred, id)
		case err != nil:
			return fmt.Errorf("auth: enforce the change of %s: %w", id, err)
		case entry.record.NKey == "":
			before[id.String()] = never
		default:
			before[id.String()] = entry.at
			outdated = append(outdated, e.recent.outdated(id, entry.seq)...)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- e.endCalls(ctx, barred) }()
	return errors.Join(e.cut(ctx, before, outdated), <-ended)
}

// endCalls ends the live calls of these identities.
func (e *enforcer) endCalls(ctx context.Context, barred []identity.ID) error {
	var errs []error
	for _, id := range barred {
		n, err := EndCalls(ctx, e.nc, id)
		if n > 0 {
			e.metrics.ended.Add(float64(n))
			e.log.Info("calls of a revoked identity ended", "identity", id.String(), "calls", n)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// never is a time before which every connection has been opened.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
