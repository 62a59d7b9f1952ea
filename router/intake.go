package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/subjects"
)

// intake keeps one shared durable pull consumer flowing into the queue of jobs.
// It outlives everything that may happen to the consumer: until ctx ends it
// finds it again.
type intake struct {
	js       jetstream.JetStream
	stream   string
	consumer string
	opts     []jetstream.PullConsumeOpt
	accept   func(jetstream.Msg) *job
	out      chan<- *job
	// aside tells the intake to leave the messages to other workers for a while;
	// nil if nothing does.
	aside <-chan struct{}
	// dead is closed when nobody reads out any more.
	dead    <-chan struct{}
	log     logger
	metrics *metrics
}

// How long a pull request lives, how often the server says that it is still
// there, and how long to wait before a consumer that was lost is sought again.
const (
	pullExpiry    = 5 * time.Second
	pullHeartbeat = time.Second
	seekEvery     = time.Second
)

// run returns when ctx has ended and everything that was fetched is in the
// queue.
func (in intake) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := in.consume(ctx)
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

func (in intake) consume(ctx context.Context) error {
	seeking, cancel := context.WithTimeout(ctx, readTimeout)
	consumer, err := in.js.Consumer(seeking, in.stream, in.consumer)
	cancel()
	if err != nil {
		return err
	}
	lost := make(chan error, 1)
	var silences atomic.Int32
	onError := jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		if benign(err) || errors.Is(err, jetstream.ErrNoHeartbeat) && silences.Add(1) < 3 {
			return
		}
		select {
		case lost <- err:
		default:
		}
	})
	flow, err := consumer.Consume(func(m jetstream.Msg) {
		silences.Store(0)
		in.push(in.accept(m))
	}, append(slices.Clone(in.opts), onError)...)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		flow.Drain()
		select {
		case <-flow.Closed():
		case <-time.After(readTimeout): // cut off; what is left comes again
			flow.Stop()
		}
		return nil
	case <-in.aside:
		flow.Stop() // what is buffered comes again, to somebody else
		return errAside
	case <-flow.Closed():
		select {
		case err = <-lost:
		default:
			err = errors.New("consumer closed")
		}
		return err
	case err := <-lost:
		flow.Stop() // what is buffered comes again
		return err
	}
}

// errAside ends a consumption that other workers are to take over.
var errAside = errors.New("leaving the messages to other workers")

func (in intake) push(j *job) {
	if j == nil {
		return
	}
	select {
	case in.out <- j:
	case <-in.dead:
	}
}

// benign errors tell of something that the consumer gets over by itself.
func benign(err error) bool {
	return errors.Is(err, jetstream.ErrConsumerLeadershipChanged) || errors.Is(err, jetstream.ErrServerShutdown)
}

// inbound makes a job of a message of an identity.
func inbound(m jetstream.Msg) *job {
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
func timeout(log logger) func(jetstream.Msg) *job {
	return func(m jetstream.Msg) *job {
		meta, err := m.Metadata()
		if err != nil {
			return nil
		}
		key, _, ok := subjects.ParseCall(m.Subject())
		var f fired
		if err := json.Unmarshal(m.Data(), &f); err != nil || !ok {
			log.Error("timeout cannot be read and is dropped: only routers may write timers",
				"subject", m.Subject(), "error", fmt.Sprint(err))
			_ = m.TermWithReason("not a timeout")
			return nil
		}
		j := &job{source: m, key: key, mode: call.Masked}
		j.setMetadata(meta)
		j.event.Kind, j.event.Seq = call.Timeout, 0
		j.event.CallID, j.event.Epoch = f.CallID, f.Epoch
		return j
	}
}
