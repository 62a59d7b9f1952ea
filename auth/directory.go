package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/subjects"
)

// directory reads the bucket of identities from its leader, every time: an
// identity that has just been revoked must not get in by a cache or a replica.
type directory struct{ nc *nats.Conn }

// entry is a record, where it stands in the bucket's stream, and when the broker
// stored it.
type entry struct {
	record identity.Record
	seq    uint64
	at     time.Time
}

// entry returns the entry of id, or [identity.ErrUnknown], or an error that wraps
// [identity.ErrRecord] if it is broken.
func (d directory) entry(ctx context.Context, id identity.ID) (entry, error) {
	m, err := msgget.Last(ctx, d.nc, subjects.KV(subjects.BucketIdentities), subjects.KVKey(subjects.BucketIdentities, id.String()))
	if errors.Is(err, msgget.ErrNone) {
		return entry{}, identity.ErrUnknown
	}
	if err != nil {
		return entry{}, fmt.Errorf("auth: look up %s: %w", id, err)
	}
	if m.Gone() {
		return entry{}, identity.ErrUnknown
	}
	record, err := identity.DecodeRecord(m.Data)
	if err != nil {
		return entry{}, fmt.Errorf("auth: identity %s: %w", id, err)
	}
	return entry{record, m.Seq, m.Time}, nil
}

// changes walks over the entries of the bucket in the order of their writing.
type changes struct {
	nc    *nats.Conn
	since time.Time // where the walk begins
	seq   uint64    // the last entry that was returned
}

// next returns the identity whose entry was written next; ok is false when there
// is none yet.
func (c *changes) next(ctx context.Context) (id identity.ID, ok bool, err error) {
	stream, filter := subjects.KV(subjects.BucketIdentities), subjects.KVKey(subjects.BucketIdentities, "*")
	for {
		var m msgget.Message
		if c.seq == 0 {
			m, err = msgget.Since(ctx, c.nc, stream, filter, c.since)
		} else {
			m, err = msgget.Next(ctx, c.nc, stream, filter, c.seq+1)
		}
		if errors.Is(err, msgget.ErrNone) {
			return identity.ID{}, false, nil
		}
		if err != nil {
			return identity.ID{}, false, fmt.Errorf("auth: read the changes of identities: %w", err)
		}
		c.seq = m.Seq
		key, _ := subjects.ParseKVKey(subjects.BucketIdentities, m.Subject)
		if id, err := identity.ParseID(key); err == nil {
			return id, true, nil
		}
	}
}
