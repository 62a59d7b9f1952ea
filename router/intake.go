package router

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/subjects"
)

// intake keeps one shared durable pull consumer flowing into the queue of jobs.
// It outlives everything that may happen to the consumer: until ctx ends it
// finds it again.
type intake struct {
	pull func() *pull // a new one for each time the consumer is sought
	// name of the consumer, for the log.
	stream, consumer string
	// aside tells the intake to leave the messages to other workers for a while;
	// nil if nothing does.
	aside   <-chan struct{}
	log     logger
	metrics *metrics
}

// seekEvery is how long to wait before something that was lost is sought again:
// a consumer between two leaders, mostly.
const seekEvery = 250 * time.Millisecond

// run returns when ctx has ended and everything that was fetched is in the
// queue.
func (in intake) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := in.pull().run(ctx, in.aside)
		if errors.Is(err, errAside) {
			pause(ctx, complainFor)
			continue
		}
		if err != nil && ctx.Err() == nil {
			in.metrics.troubles.Inc()
			in.log.limited("consumer lost, seeking it again; if this goes on, run \"router provision\"",
				"stream", in.stream, "consumer", in.consumer, "error", err)
			pause(ctx, seekEvery)
		}
	}
}

// errAside ends a consumption that other workers are to take over.
var errAside = errors.New("leaving the messages to other workers")

// push returns a handler that makes jobs of messages and puts them into the
// queue, until dead is closed: then nobody reads it any more.
func push(accept func(message) *job, out chan<- *job, dead <-chan struct{}) func(message) {
	return func(m message) {
		j := accept(m)
		if j == nil {
			return
		}
		select {
		case out <- j:
		case <-dead:
		}
	}
}

// inbound makes a job of a message of an identity.
func inbound(m message) *job {
	meta, err := m.Metadata()
	if err != nil {
		return nil // not from a consumer; nothing to acknowledge
	}
	self, typ, ok := subjects.ParseVoice(m.Subject())
	if !ok {
		self, typ = nobody.String(), ""
	}
	j := &job{source: m, subjectSelf: self, subjectType: typ, raw: m.Data()}
	j.setMetadata(meta)
	return j
}

// timeout makes a job of a timer that fired.
func timeout(log logger) func(message) *job {
	return func(m message) *job {
		meta, err := m.Metadata()
		if err != nil {
			return nil
		}
		key, _, ok := subjects.ParseCall(m.Subject())
		f, err := decodeFired(m.Data())
		newer := errors.Is(err, call.ErrNewerVersion)
		if err != nil && !newer || !ok {
			log.Error("timeout cannot be read and is dropped: only routers may write timers",
				"subject", m.Subject(), "error", fmt.Sprint(err))
			_ = m.TermWithReason("not a timeout")
			return nil
		}
		j := &job{source: m, key: key, mode: call.Masked}
		j.setMetadata(meta)
		j.event.Kind, j.event.Seq = call.Timeout, 0
		j.event.CallID, j.event.Epoch = f.CallID, f.Epoch
		if newer {
			j.fault = err // it waits for a worker that can read it
		}
		return j
	}
}
