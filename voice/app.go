package voice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/subjects"
)

// rememberDone is how many handled messages an app remembers: one whose
// acknowledgement was lost is acknowledged again, not handled again.
const rememberDone = 8192

// app receives for an app identity through its durable consumer. One process of
// the app is pinned by the server; the others have pull requests waiting.
type app struct {
	c     *Client
	ctx   context.Context
	alive sync.Once

	mu       sync.Mutex
	filter   *filter
	inflight map[uint64]jetstream.Msg // taken in, not acknowledged
	done     *ring[uint64, struct{}]
}

// runApp receives until ctx ends.
func (c *Client) runApp(ctx context.Context) {
	a := &app{
		c: c, ctx: ctx,
		filter:   newFilter(c.opts.Party),
		inflight: map[uint64]jetstream.Msg{},
		done:     newRing[uint64, struct{}](rememberDone),
	}
	js, err := jetstream.New(c.nc)
	if err != nil {
		c.log.Error("no JetStream context", "err", err)
		return
	}
	said := ""
	for retry := firstRetry; ctx.Err() == nil; retry = min(2*retry, c.opts.SyncEvery) {
		began := time.Now()
		err := a.consume(ctx, js)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > c.opts.SyncEvery {
			retry = firstRetry
		}
		if text := err.Error(); text != said {
			c.log.Warn("not receiving, trying again", "consumer", subjects.AppConsumer(c.self.String()), "err", err)
			said = text
		}
		select {
		case <-time.After(retry):
		case <-c.wake:
		case <-ctx.Done():
		}
	}
}

// consume binds to the durable and takes messages until ctx ends or the consumer
// is gone.
func (a *app) consume(ctx context.Context, js jetstream.JetStream) error {
	info, cancel := context.WithTimeout(ctx, lastPatience)
	defer cancel()
	cons, err := js.Consumer(info, subjects.StreamOut, subjects.AppConsumer(a.c.self.String()))
	if err != nil {
		return err
	}
	config := cons.CachedInfo().Config
	if !slices.Contains(config.PriorityGroups, subjects.GroupApp) || config.PinnedTTL <= 0 {
		return fmt.Errorf("voice: consumer %s is not pinned in group %s", config.Name, subjects.GroupApp)
	}
	// The pin passes to another process when no pull request has come for
	// PinnedTTL, so requests must be renewed well within it.
	expiry := min(max(config.PinnedTTL/3, time.Second), 30*time.Second)
	consuming, err := cons.Consume(a.take,
		jetstream.PullPriorityGroup(subjects.GroupApp),
		jetstream.PullExpiry(expiry),
		jetstream.PullHeartbeat(max(expiry/2, 500*time.Millisecond)),
		jetstream.PullMaxMessages(min(a.c.opts.Queue, 256)),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { a.trouble(err) }),
	)
	if err != nil {
		return err
	}
	every := max(config.AckWait/3, 100*time.Millisecond)
	a.alive.Do(func() { a.c.tail.Go(func() { a.keepAlive(every) }) })
	closed := consuming.Closed()
	select {
	case <-ctx.Done():
		consuming.Stop()
		<-closed
		return ctx.Err()
	case <-closed:
		return errors.New("voice: consumer is gone")
	}
}

// keepAlive tells the server that work goes on, so that it does not deliver
// elsewhere what is handled here. It outlives the intake: Close waits for handlers.
func (a *app) keepAlive(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.progress()
		case <-a.c.closed:
			return
		}
	}
}

// trouble logs what the consumer reports; the library asks again by itself.
func (a *app) trouble(err error) {
	switch {
	case errors.Is(err, jetstream.ErrPinIDMismatch):
		a.c.log.Info("another process of this app is active now")
	case errors.Is(err, jetstream.ErrNoHeartbeat), errors.Is(err, jetstream.ErrConsumerLeadershipChanged):
		a.c.log.Debug("consumer", "err", err)
	default:
		a.c.log.Warn("consumer", "err", err)
	}
}

// take takes one delivery in.
func (a *app) take(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		a.c.log.Warn("delivery without metadata ignored", "subject", msg.Subject(), "err", err)
		return
	}
	_, typ, _ := subjects.ParseInbox(msg.Subject())
	r := raw{seq: meta.Sequence.Stream, typ: typ, at: meta.Timestamp, payload: msg.Data(), trace: traceOf(msg.Headers())}
	m, ok := a.admit(r, msg)
	if !ok {
		return
	}
	t := task{m: m, done: func(err error) { a.finish(r.seq, meta.NumDelivered, err) }}
	if a.c.lanes.submit(a.ctx, t) != nil {
		a.finish(r.seq, meta.NumDelivered, errDropped)
	}
}

// admit reports whether msg goes to the handlers; else it has dealt with it.
func (a *app) admit(r raw, msg jetstream.Msg) (Message, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, running := a.inflight[r.seq]; running {
		a.inflight[r.seq] = msg // acknowledged when the handler returns
		return Message{}, false
	}
	if _, done := a.done.get(r.seq); done {
		a.say("ack", msg.Ack())
		return Message{}, false
	}
	m, err := a.c.gate.admit(r)
	if err != nil {
		a.c.log.Warn("incoming message refused", "seq", r.seq, "type", r.typ, "err", err)
		a.say("term", msg.Term())
		return Message{}, false
	}
	if why := a.filter.judge(m); why != pass {
		a.c.log.Debug("incoming message not handed over", "seq", m.Seq, "type", m.Type, "why", why)
		a.say("ack", msg.Ack())
		return Message{}, false
	}
	a.inflight[r.seq] = msg
	return m, true
}

// finish acknowledges a message whose handler has returned, or gives it back.
func (a *app) finish(seq, deliveries uint64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	msg := a.inflight[seq]
	delete(a.inflight, seq)
	switch {
	case err == nil:
		a.done.put(seq, struct{}{})
		a.say("ack", msg.Ack())
	case errors.Is(err, errDropped):
		a.say("nak", msg.Nak())
	default:
		a.say("nak", msg.NakWithDelay(min(time.Second<<min(deliveries, 6), 30*time.Second)))
	}
}

// progress keeps the server from delivering again what waits or runs here.
func (a *app) progress() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, msg := range a.inflight {
		a.say("in progress", msg.InProgress())
	}
}

// say logs an acknowledgement that could not be sent. The server will deliver the
// message again.
func (a *app) say(what string, err error) {
	if err != nil {
		a.c.log.Debug("acknowledgement not sent", "kind", what, "err", err)
	}
}
