package router

import (
	"context"
	"errors"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/subjects"
)

// ledger reads and writes call records. It is safe for concurrent use, as long as the
// groups are of different calls.
//
// Its cache holds what this worker read or wrote last. A cached record may be
// behind: the compare-and-swap of a commit finds that out, or, where a decision
// writes nothing, the assertion that it was taken on the current record.
type ledger struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	commits *commits
	cache   *lru.Cache[string, record]
	metrics *metrics
	// refuse, if set, is asked before each commit; for tests.
	refuse func([]*group) error
}

// record is a call record and the sequence at which it stands in the stream; a
// nil state with sequence 0 is a record that does not exist.
type record struct {
	state *call.State
	seq   uint64
}

// maxMultiGet is how many subjects one multi-get may name; the server answers
// at most 1024.
const maxMultiGet = 512

func newLedger(nc *nats.Conn, js jetstream.JetStream, c *commits, size int, m *metrics) (*ledger, error) {
	cache, err := lru.New[string, record](size)
	if err != nil {
		return nil, fmt.Errorf("router: cache of %d records: %w", size, err)
	}
	return &ledger{nc: nc, js: js, commits: c, cache: cache, metrics: m}, nil
}

// load gives every group its base: from the cache, else by multi-get from the
// nearest replica.
func (l *ledger) load(ctx context.Context, groups []*group) error {
	var missing []*group
	for _, g := range groups {
		if g.key == "" || g.loaded {
			continue
		}
		if r, ok := l.cache.Get(g.key); ok {
			l.metrics.cacheHits.Inc()
			g.setBase(r, false)
			continue
		}
		l.metrics.cacheMisses.Inc()
		missing = append(missing, g)
	}
	for len(missing) > 0 {
		n := min(len(missing), maxMultiGet)
		if err := l.multiGet(ctx, missing[:n]); err != nil {
			return err
		}
		missing = missing[n:]
	}
	return nil
}

func (l *ledger) multiGet(ctx context.Context, groups []*group) error {
	names := make([]string, len(groups))
	byKey := make(map[string]*group, len(groups))
	for i, g := range groups {
		names[i] = subjects.State(g.key)
		byKey[g.key] = g
		g.setBase(record{}, false)
	}
	return lastMessages(ctx, l.js, subjects.StreamOut, names, func(m *jetstream.RawStreamMsg) {
		if key, _, ok := subjects.ParseCall(m.Subject); ok && byKey[key] != nil {
			l.adopt(byKey[key], m.Data, m.Sequence, false)
		}
	})
}

// reload gives groups the base that the leader of the stream knows.
func (l *ledger) reload(ctx context.Context, groups []*group) error {
	errs := make([]error, len(groups))
	found := make([]msgget.Message, len(groups))
	parallel(len(groups), 16, func(i int) {
		if groups[i].key == "" {
			return
		}
		found[i], errs[i] = msgget.Last(ctx, l.nc, subjects.StreamOut, subjects.State(groups[i].key))
		if errors.Is(errs[i], msgget.ErrNone) {
			errs[i] = nil
		}
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, g := range groups {
		switch {
		case g.key == "":
			g.loaded, g.current = true, true
		case found[i].Seq == 0:
			g.setBase(record{}, true)
		default:
			l.adopt(g, found[i].Data, found[i].Seq, true)
		}
	}
	return nil
}

// adopt makes a stored record the base of a group.
func (l *ledger) adopt(g *group, data []byte, seq uint64, current bool) {
	state, err := call.DecodeState(data)
	if err != nil {
		g.fault = fmt.Errorf("record %s at sequence %d: %w", subjects.State(g.key), seq, err)
		g.loaded = true
		return
	}
	g.setBase(record{&state, seq}, current)
}

func (g *group) setBase(r record, current bool) {
	g.base, g.baseSeq, g.loaded, g.current, g.fault = r.state, r.seq, true, current, nil
}

// commit stores the batches of all groups as one, or nothing. On success the
// cache knows what was written. stored is false if there was nothing to store.
func (l *ledger) commit(ctx context.Context, groups []*group) (stored bool, err error) {
	var batch []*nats.Msg
	for _, g := range groups {
		for i := range g.batch {
			batch = append(batch, g.batch[i].msg)
		}
	}
	if len(batch) == 0 {
		return false, nil
	}
	if l.refuse != nil {
		if err := l.refuse(groups); err != nil {
			return false, err
		}
	}
	last, err := l.commits.store(ctx, batch)
	if err != nil {
		for _, g := range groups {
			l.cache.Remove(g.key)
		}
		return false, err
	}
	seq := last - uint64(len(batch))
	for _, g := range groups {
		if g.next != nil {
			l.cache.Add(g.key, record{g.next, seq + uint64(g.nextAt) + 1})
		} else if g.key != "" && g.current {
			l.cache.Add(g.key, record{g.base, g.baseSeq})
		}
		seq += uint64(len(g.batch))
	}
	return true, nil
}

// lastMessages calls found with the last message of each subject that has one,
// as the nearest replica knows it.
func lastMessages(ctx context.Context, js jetstream.JetStream, stream string, names []string, found func(*jetstream.RawStreamMsg)) error {
	messages, err := jetstreamext.GetLastMsgsFor(ctx, js, stream, names)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream, err)
	}
	for m, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read stream %s: %w", stream, err)
		}
		found(m)
	}
	return nil
}
