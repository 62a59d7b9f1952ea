package checker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/subjects"
)

const (
	// readBatch is how many messages are asked for at once.
	readBatch = 1000
	// reader begins the names of the consumers that read here.
	reader = "checker"
	// patience is how many times in a row, 2 s each, nothing may come.
	patience = 15
)

// stream reads the streams of a fleet.
type stream struct {
	js        jetstream.JetStream
	resources func() []Resource
}

// NewStore returns what a fleet left behind in its streams, read with the rights
// of the admin. resources, if not nil, adds the gauges of its processes.
func NewStore(js jetstream.JetStream, resources func() []Resource) Store {
	if resources == nil {
		resources = func() []Resource { return nil }
	}
	return &stream{js: js, resources: resources}
}

// Messages implements [Store]. It reads up to where the stream ends when it is
// called.
func (s *stream) Messages(ctx context.Context, visit func(Message) error) error {
	out, err := s.js.Stream(ctx, subjects.StreamOut)
	if err != nil {
		return fmt.Errorf("checker: stream %s: %w", subjects.StreamOut, err)
	}
	end := out.CachedInfo().State
	if end.Msgs == 0 {
		return nil
	}
	// Not an ordered consumer: it is made anew for each fetch, which takes long where
	// there is much to read. See page for what is lost on the way.
	cons, err := s.js.CreateConsumer(ctx, subjects.StreamOut, jetstream.ConsumerConfig{
		Name: fmt.Sprintf("%s-%d", reader, time.Now().UnixNano()), AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("checker: read %s: %w", subjects.StreamOut, err)
	}
	defer func() {
		_ = s.js.DeleteConsumer(context.WithoutCancel(ctx), subjects.StreamOut, cons.CachedInfo().Name)
	}()
	delivered := uint64(0)
	for last, empty := uint64(0), 0; last < end.LastSeq; {
		next, err := s.page(ctx, cons, &delivered, last, end.LastSeq, visit)
		if err != nil {
			return err
		}
		if next > last {
			last, empty = next, 0
			continue
		}
		// What stood at the end may have gone, a timer; or the server is slow.
		if info, err := cons.Info(ctx); err == nil && info.NumPending == 0 {
			return nil
		}
		if empty++; empty == patience {
			return fmt.Errorf("checker: read %s: nothing comes behind %d of %d", subjects.StreamOut, last, end.LastSeq)
		}
	}
	return nil
}

// page reads some messages behind last, and returns the sequence of the last one.
// delivered counts them as the consumer does: if the two differ one was lost.
func (s *stream) page(ctx context.Context, cons jetstream.Consumer, delivered *uint64, last, end uint64, visit func(Message) error) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel() // ends what is still being fetched
	batch, err := cons.Fetch(readBatch, jetstream.FetchContext(ctx))
	if err != nil {
		return last, fmt.Errorf("checker: read %s behind %d: %w", subjects.StreamOut, last, err)
	}
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return last, fmt.Errorf("checker: read %s: %w", subjects.StreamOut, err)
		}
		if *delivered++; meta.Sequence.Consumer != *delivered {
			return last, fmt.Errorf("checker: read %s behind %d: a message was lost on the way", subjects.StreamOut, last)
		}
		last = meta.Sequence.Stream
		if err := visit(Message{Seq: last, Time: meta.Timestamp, Subject: m.Subject(), Header: m.Headers(), Data: m.Data()}); err != nil {
			return last, err
		}
		if last >= end {
			return last, nil
		}
	}
	if err := batch.Error(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return last, fmt.Errorf("checker: read %s behind %d: %w", subjects.StreamOut, last, err)
	}
	return last, nil
}

// Leftovers implements [Store].
func (s *stream) Leftovers(ctx context.Context) (Leftovers, error) {
	left := Leftovers{Resources: s.resources()}
	for _, name := range []string{subjects.StreamIn, subjects.StreamOut} {
		str, err := s.js.Stream(ctx, name)
		if err != nil {
			return Leftovers{}, fmt.Errorf("checker: stream %s: %w", name, err)
		}
		if name == subjects.StreamIn {
			left.Waiting = str.CachedInfo().State.Msgs
		}
		list := str.ListConsumers(ctx)
		for info := range list.Info() {
			switch {
			case info.Config.Durable != "":
				left.Consumers = append(left.Consumers, Consumer{Name: info.Name, Unacked: info.NumAckPending, Pending: info.NumPending})
			case !strings.HasPrefix(info.Name, reader):
				left.Strangers = append(left.Strangers, info.Name)
			}
		}
		if err := list.Err(); err != nil {
			return Leftovers{}, fmt.Errorf("checker: consumers of %s: %w", name, err)
		}
	}
	return left, nil
}
