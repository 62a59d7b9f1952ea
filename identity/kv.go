package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/subjects"
)

// KV is the directory in the bucket voice_identities, behind a cache of fixed
// size. A watcher drops what changes from the cache; entries also expire, in
// case the watcher was cut off. Use [NewKV].
type KV struct {
	nc     *nats.Conn
	bucket jetstream.KeyValue
	log    *slog.Logger
	now    func() time.Time
	cache  *lru.Cache[ID, cached]

	mu      sync.Mutex
	changes uint64 // counts invalidations, so that a read that crossed one is not cached
}

type cached struct {
	record Record
	at     time.Time
}

// KVOptions configures a [KV]. The zero value is usable.
type KVOptions struct {
	// CacheSize is the number of records kept in memory; default 10000.
	CacheSize int
	Logger    *slog.Logger
}

// How long a cached record counts without the watcher, and how old it must be
// for an unknown key id to be worth a second look.
const (
	cacheFor     = time.Minute
	recheckAfter = time.Second
)

// NewKV returns the directory in this bucket. It reads nothing yet.
func NewKV(nc *nats.Conn, bucket jetstream.KeyValue, opts KVOptions) *KV {
	if opts.CacheSize <= 0 {
		opts.CacheSize = 10000
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	cache, err := lru.New[ID, cached](opts.CacheSize)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &KV{nc: nc, bucket: bucket, log: opts.Logger, now: time.Now, cache: cache}
}

// Run watches the bucket for changes until ctx ends. Without it a change is
// seen within a minute.
func (d *KV) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := d.watch(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("identity watcher interrupted, retrying", "bucket", d.bucket.Bucket(), "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

func (d *KV) watch(ctx context.Context) error {
	w, err := d.bucket.WatchAll(ctx, jetstream.UpdatesOnly())
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }()
	d.invalidate(d.cache.Purge) // what changed before the watch began
	for {
		select {
		case <-ctx.Done():
			return nil
		case entry, ok := <-w.Updates():
			if !ok {
				return errors.New("watcher closed")
			}
			if entry == nil {
				continue
			}
			if id, err := ParseID(entry.Key()); err == nil {
				d.invalidate(func() { d.cache.Remove(id) })
			}
		}
	}
}

func (d *KV) invalidate(drop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changes++
	drop()
}

// Lookup implements [Directory].
func (d *KV) Lookup(ctx context.Context, id ID) (Record, error) {
	if c, ok := d.cache.Get(id); ok && d.now().Sub(c.at) < cacheFor {
		return c.record, nil
	}
	return d.read(ctx, id)
}

// Recheck reads the record of id again if the one in the cache is older than a
// second: for a signature that names a key which the cached record does not have.
func (d *KV) Recheck(ctx context.Context, id ID) (Record, error) {
	if c, ok := d.cache.Get(id); ok && d.now().Sub(c.at) < recheckAfter {
		return c.record, nil
	}
	return d.read(ctx, id)
}

// read asks the leader of the bucket: a replica may not know yet an identity
// that has just been added, or revoked.
func (d *KV) read(ctx context.Context, id ID) (Record, error) {
	d.mu.Lock()
	before := d.changes
	d.mu.Unlock()

	bucket := d.bucket.Bucket()
	m, err := msgget.Last(ctx, d.nc, subjects.KV(bucket), subjects.KVKey(bucket, id.String()))
	if errors.Is(err, msgget.ErrNone) || err == nil && m.Gone() {
		return Record{}, ErrUnknown
	}
	if err != nil {
		return Record{}, fmt.Errorf("identity: look up %s: %w", id, err)
	}
	r, err := DecodeRecord(m.Data)
	if err != nil {
		return Record{}, fmt.Errorf("identity: bucket %s, key %s: %w", bucket, id, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changes == before {
		d.cache.Add(id, cached{r, d.now()})
	}
	return r, nil
}
