package router

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/voicerouter/voicerouter/subjects"
)

// commits stores what was decided. An atomic batch costs the server much besides its
// messages - in a file an fsync, during which its stream does nothing else - so that
// what is decided while one is under way goes into the next one together. Nothing waits
// for company: what finds no batch under way goes at once, with all that waits at that
// moment.
type commits struct {
	js jetstream.JetStream
	// stored is told how each batch went.
	stored func(error)

	mu      sync.Mutex
	open    int // batches under way
	waiting []*commitment
}

// A second batch is sent while one is under way if there is enough for it to keep
// the server busy; less is better off with what comes meanwhile.
const (
	openBatches = 2
	worthOpen   = maxBatchMessages / 3
)

// commitment is the decisions on some calls, to be stored together or not at all.
type commitment struct {
	batch []*nats.Msg
	bytes int
	// done is closed once last, the sequence of the last message, or err is set.
	done chan struct{}
	last uint64
	err  error
}

// store stores a batch and returns the sequence of its last message; those before it
// have the sequences below, without gaps.
func (c *commits) store(ctx context.Context, batch []*nats.Msg) (last uint64, err error) {
	own := &commitment{batch: batch, bytes: size(batch), done: make(chan struct{})}
	c.mu.Lock()
	c.waiting = append(c.waiting, own)
	c.mu.Unlock()
	c.send(ctx)
	<-own.done
	return own.last, own.err
}

// send stores what waits, if another batch may be opened. What is left, or comes
// meanwhile, is sent by a goroutine that ends with the last of it: those whose
// it is wait for it.
func (c *commits) send(ctx context.Context) {
	part := c.take()
	if len(part) == 0 {
		return
	}
	c.storeTogether(ctx, part)
	c.mu.Lock()
	c.open--
	more := len(c.waiting) > 0
	c.mu.Unlock()
	if more {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
		go func() {
			defer cancel()
			c.send(ctx)
		}()
	}
}

// take opens a batch and returns those that have waited longest, as many as fit
// into it; none, if no batch may be opened now.
func (c *commits) take() (part []*commitment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	messages, bytes, enough := 0, 0, 0
	for _, m := range c.waiting {
		messages, bytes = messages+len(m.batch), bytes+m.bytes
		if len(part) > 0 && (messages > maxBatchMessages || bytes > maxBatchBytes) {
			break
		}
		part, enough = append(part, m), messages
	}
	if len(part) == 0 || c.open > 0 && (c.open >= openBatches || enough < worthOpen) {
		return nil
	}
	c.open++
	c.waiting = append(c.waiting[:0], c.waiting[len(part):]...)
	return part
}

// storeTogether stores several as one batch. If the server refuses it for what may be
// in one of them, the others are stored without it: after a lost race without those that
// lost it, as far as that can be seen, else in halves, until the one at fault is alone.
func (c *commits) storeTogether(ctx context.Context, part []*commitment) {
	var batch []*nats.Msg
	for _, m := range part {
		batch = append(batch, m.batch...)
	}
	ack, err := jetstreamext.PublishMsgBatch(ctx, c.js, batch, jetstreamext.BatchFlowControl{})
	c.stored(err)
	if err != nil && len(part) > 1 && c.without(ctx, part, err) {
		return
	}
	var last uint64
	if err == nil {
		// A batch is stored without gaps; its acknowledgement names its last
		// sequence. Were that ever wrong, the next compare-and-swap would say so.
		last = ack.Sequence - uint64(len(batch))
	}
	for _, m := range part {
		last += uint64(len(m.batch))
		m.last, m.err = last, err
		close(m.done)
	}
}

// without stores several that were refused together without the one at fault; false
// means that it is the fault of none.
func (c *commits) without(ctx context.Context, part []*commitment, err error) bool {
	switch classify(err) {
	case conflict:
		if rest := c.winners(ctx, part, err); len(rest) < len(part) {
			if len(rest) > 0 {
				c.storeTogether(ctx, rest)
			}
			return true
		}
	case poison, unexplained:
	case transient, starved:
		return false
	}
	half := len(part) / 2
	c.storeTogether(ctx, part[:half])
	c.storeTogether(ctx, part[half:])
	return true
}

// winners tells those whose records another worker has moved that they have lost, and
// returns the others. The records are read from the nearest replica: if that is behind, some
// losers are not seen, but who is seen has lost.
func (c *commits) winners(ctx context.Context, part []*commitment, lost error) (rest []*commitment) {
	var names []string
	for _, m := range part {
		for _, msg := range m.batch {
			if subject, _, ok := condition(msg); ok {
				names = append(names, subject)
			}
		}
	}
	now := make(map[string]uint64, len(names))
	for some := range slices.Chunk(names, maxMultiGet) {
		if err := lastMessages(ctx, c.js, subjects.StreamOut, some, func(m *jetstream.RawStreamMsg) { now[m.Subject] = m.Sequence }); err != nil {
			return part // then in halves
		}
	}
	for _, m := range part {
		if slices.ContainsFunc(m.batch, func(msg *nats.Msg) bool {
			subject, seq, ok := condition(msg)
			return ok && now[subject] > seq
		}) {
			m.err = lost
			close(m.done)
		} else {
			rest = append(rest, m)
		}
	}
	return rest
}

// condition returns the subject and its last sequence on which a message depends.
func condition(msg *nats.Msg) (subject string, seq uint64, ok bool) {
	seq, err := strconv.ParseUint(msg.Header.Get(jetstream.ExpectedLastSubjSeqHeader), 10, 64)
	if subject = msg.Header.Get(jetstream.ExpectedLastSubjSeqSubjHeader); subject == "" {
		subject = msg.Subject
	}
	return subject, seq, err == nil
}

// size is what a batch takes on the wire, headers aside.
func size(batch []*nats.Msg) (n int) {
	for _, m := range batch {
		n += len(m.Data)
	}
	return n
}
