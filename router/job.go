package router

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// job is one event on its way through the worker.
type job struct {
	// source acknowledges; nil for a forced end.
	source message
	// done is told how a forced end went; nil otherwise.
	done chan<- error

	// subjectSelf and subjectType are the tokens of the inbound subject.
	subjectSelf, subjectType string
	raw                      []byte

	event call.Event
	mode  call.Mode
	// key is that of the call record; "" if the job concerns none.
	key string
	// sender is set once the signature is known to be good.
	sender identity.ID
	// signer speaks for the fleet in answers: a proxy, or the router itself.
	signer identity.ID
	// refusal is set if the message is refused whatever the call's state.
	refusal *signal.Refusal
	// fault is set if nothing can be said about the message now: it has to be
	// delivered again.
	fault error

	// before is the record that the decision was taken on.
	before   *call.State
	decision call.Decision
	// span is that of the event in the trace of its call; nil if none is wanted.
	span    trace.Span
	spanCtx context.Context
	// quiet is set if a refusal of the message is not to be told.
	quiet bool
	// waits is set once the message counts among the deferred ones.
	waits bool
}

// group is jobs that concern the same record and are decided one behind the other, in the
// order of the stream. A job without a record is a group of its own.
type group struct {
	key  string
	jobs []*job

	// base is the record the jobs are decided on, nil if there is none, and
	// baseSeq the sequence at which it was written.
	base    *call.State
	baseSeq uint64
	// loaded is set once base is known; current if it was read from the leader
	// for this decision.
	loaded, current bool

	route *routeEntry

	// next is the record after the last job, nil if it stays as it is.
	next *call.State
	// batch is what the decisions store.
	batch []pending
	// nextAt is the index in batch of the last write of the record.
	nextAt int
	// fault is set if the group cannot be decided now.
	fault error
}

// setMetadata takes over what decisions need to know of a delivery.
func (j *job) setMetadata(m *jetstream.MsgMetadata) {
	j.event.Seq = m.Sequence.Stream
	j.event.At = m.Timestamp.UTC()
	j.event.Delivery = int(min(m.NumDelivered, 1<<20))
}

// age is how long ago the broker stored the event.
func (j *job) age(now time.Time) time.Duration { return max(0, now.Sub(j.event.At)) }
