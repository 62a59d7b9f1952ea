package voice

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// page is one answer of the sync service on its way to the inbox.
type page struct {
	gen      uint64 // the wish that the request fulfils
	messages []raw
	ended    []signal.SyncCall
	upto     uint64
	more     bool
	restart  bool // the stream ends earlier than it had: see past
}

const (
	// A request is given up after firstPatience, since it may have gone into a
	// connection that broke; each failure doubles that, up to lastPatience.
	firstPatience, lastPatience = 500 * time.Millisecond, 4 * time.Second
	// The pause after a failed request doubles from firstRetry up to
	// Options.SyncEvery.
	firstRetry = 200 * time.Millisecond
)

// sync asks the sync service whenever the inbox wishes, and every
// Options.SyncEvery. It is the only one that knows how far the service has been
// asked.
func (b *inbox) sync(ctx context.Context) {
	var since uint64
	retry := firstRetry
	b.patience = firstPatience
	timer := time.NewTimer(b.c.opts.SyncEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.kick:
			// Something has changed: what failed until now says nothing any more.
			retry, b.patience = firstRetry, firstPatience
		case <-timer.C:
		}
		next, err := b.catchUp(ctx, since)
		since = next
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			retry, b.patience = firstRetry, firstPatience
			// Spread the requests of clients that reconnected together.
			every := b.c.opts.SyncEvery
			timer.Reset(every - time.Duration(rand.Int64N(int64(every)/5+1)))
		default:
			b.c.log.Debug("sync request", "since", since, "err", err)
			timer.Reset(retry)
			retry = min(2*retry, b.c.opts.SyncEvery)
			b.patience = min(2*b.patience, lastPatience)
		}
	}
}

// catchUp asks page by page for what lies behind since. It returns up to where
// everything has been passed to the inbox.
func (b *inbox) catchUp(ctx context.Context, since uint64) (uint64, error) {
	gen := b.want.Load()
	for {
		p, err := b.ask(ctx, since)
		if err != nil {
			return since, err
		}
		if p.upto < since {
			if p, err = b.restarted(ctx, since); err != nil {
				return since, err
			}
		}
		p.gen = gen
		select {
		case b.pages <- p:
		case <-ctx.Done():
			return since, ctx.Err()
		}
		if p.more && p.upto == since {
			return since, fmt.Errorf("voice: sync stands still at %d and promises more", since)
		}
		since = p.upto
		if !p.more {
			return since, nil
		}
	}
}

// restarted looks again when the stream ends before since. A service that is
// merely behind answers differently a little later. If it does not, the stream is
// read from its beginning: see past.
func (b *inbox) restarted(ctx context.Context, since uint64) (page, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return page{}, ctx.Err()
	}
	p, err := b.ask(ctx, since)
	if err != nil || p.upto >= since {
		return p, err
	}
	p, err = b.ask(ctx, 0)
	p.restart = true
	return p, err
}

// errOffline is returned by ask without a connection. A request would wait in the
// library until there is one: those of a long outage would all arrive at once,
// and the service would refuse the one that counts, for there are too many.
var errOffline = errors.New("voice: sync: no connection")

// ask makes one request.
func (b *inbox) ask(ctx context.Context, since uint64) (page, error) {
	if !b.c.nc.IsConnected() {
		return page{}, errOffline
	}
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	request, err := json.Marshal(signal.SyncRequest{Since: since})
	if err != nil {
		return page{}, err
	}
	reply, err := b.c.nc.RequestWithContext(ctx, subjects.Sync(b.c.self.String()), request)
	if err != nil {
		return page{}, err
	}
	return parsePage(reply)
}

// parsePage reads an answer of the sync service: JSON, or the headers with which
// a NATS micro service reports an error.
func parsePage(reply *nats.Msg) (page, error) {
	if code := reply.Header.Get("Nats-Service-Error-Code"); code != "" {
		return page{}, fmt.Errorf("voice: sync refused: %s: %s", code, reply.Header.Get("Nats-Service-Error"))
	}
	var answer signal.SyncResponse
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return page{}, errors.New("voice: sync: the answer is not that of a sync service")
	}
	if answer.Error != nil {
		return page{}, fmt.Errorf("voice: sync refused: %s: %s", answer.Error.Code, answer.Error.Detail)
	}
	p := page{ended: answer.Ended, upto: answer.Upto, more: answer.More}
	for _, m := range answer.Messages {
		p.messages = append(p.messages, raw{seq: m.Seq, typ: m.Type, at: m.Time, payload: m.Payload})
		p.upto = max(p.upto, m.Seq)
	}
	return p, nil
}
