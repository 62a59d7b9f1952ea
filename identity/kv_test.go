package identity_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestMain(m *testing.M) {
	ats.Register()
	code := m.Run()
	ats.Unregister()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var (
	alice = identity.MustID("1112223334")
	proxy = identity.MustID("proxy")
)

// directory is a [identity.KV] under test: with the permissions of a worker, and
// beside it the bucket as the administrator has it.
type directory struct {
	*identity.KV
	t      *testing.T
	broker *brokertest.Broker
	bucket jetstream.KeyValue
	clock  atomic.Int64 // what is added to the time at which the test began
}

func newDirectory(t *testing.T) *directory {
	t.Helper()
	b := brokertest.Start(t, brokertest.Options{Memory: true, Users: []string{alice.String()}, Apps: []string{proxy.String()}})
	d := &directory{t: t, broker: b}
	open := func(js jetstream.JetStream) jetstream.KeyValue {
		kv, err := js.KeyValue(t.Context(), subjects.BucketIdentities)
		if err != nil {
			t.Fatalf("open bucket: %v", err)
		}
		return kv
	}
	d.bucket = open(brokertest.JetStream(t, b.Admin(t)))
	worker := b.Router(t)
	d.KV = identity.NewKV(worker, open(brokertest.JetStream(t, worker)), identity.KVOptions{})
	began := time.Now()
	d.SetNow(func() time.Time { return began.Add(time.Duration(d.clock.Load())) })
	return d
}

// watch runs the watcher until the test ends.
func (d *directory) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := d.Run(ctx); err != nil {
			d.t.Errorf("watcher: %v", err)
		}
	})
	d.t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

func (d *directory) put(id identity.ID, value []byte) {
	d.t.Helper()
	if _, err := d.bucket.Put(d.t.Context(), id.String(), value); err != nil {
		d.t.Fatalf("put %s: %v", id, err)
	}
}

// change stores the record of id after a change.
func (d *directory) change(id identity.ID, change func(*identity.Record)) {
	d.t.Helper()
	r := d.broker.Get(d.t, id.String()).Record
	change(&r)
	data, err := r.Encode()
	if err != nil {
		d.t.Fatal(err)
	}
	d.put(id, data)
}

func (d *directory) mustLookup(id identity.ID) identity.Record {
	d.t.Helper()
	r, err := d.Lookup(d.t.Context(), id)
	if err != nil {
		d.t.Fatalf("look up %s: %v", id, err)
	}
	return r
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("not within 20 s: %s", what)
		case <-tick.C:
		}
	}
}

func TestKVLookup(t *testing.T) {
	d := newDirectory(t)
	for id, role := range map[identity.ID]identity.Role{alice: identity.RoleUser, proxy: identity.RoleApp} {
		if r := d.mustLookup(id); r.Role != role || len(r.Keys) != 1 || r.Revoked {
			t.Errorf("%s: %+v, want an %s with one key", id, r, role)
		}
	}
	nobody := identity.MustID("nobody")
	for range 2 {
		if _, err := d.Lookup(t.Context(), nobody); !errors.Is(err, identity.ErrUnknown) {
			t.Errorf("nobody: error %v, want ErrUnknown", err)
		}
	}
	// Somebody unknown is not cached: a new identity can speak at once.
	d.change(alice, func(*identity.Record) {})
	data, err := d.broker.Get(t, alice.String()).Record.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d.put(nobody, data)
	d.mustLookup(nobody)
}

func TestKVBrokenRecord(t *testing.T) {
	d := newDirectory(t)
	for _, value := range []string{"", "{", `{"role":"admin"}`, `"x"`, "\xff"} {
		d.put(alice, []byte(value))
		_, err := d.Lookup(t.Context(), alice)
		if !errors.Is(err, identity.ErrRecord) || errors.Is(err, identity.ErrUnknown) {
			t.Fatalf("%q: error %v, want ErrRecord", value, err)
		}
		if !strings.Contains(err.Error(), alice.String()) || !strings.Contains(err.Error(), subjects.BucketIdentities) {
			t.Errorf("error %v does not say where", err)
		}
	}
	d.change(alice, func(*identity.Record) {})
	d.mustLookup(alice)
}

// TestKVGone: markers of keys that were deleted, purged or have expired are no
// records.
func TestKVGone(t *testing.T) {
	d := newDirectory(t)
	d.watch()
	temp := identity.MustID("temp")
	data, err := d.broker.Get(t, alice.String()).Record.Encode()
	if err != nil {
		t.Fatal(err)
	}
	gone := func(how string) {
		t.Helper()
		eventually(t, how+" is unknown", func() bool {
			_, err := d.Lookup(t.Context(), temp)
			if err != nil && !errors.Is(err, identity.ErrUnknown) {
				t.Fatalf("%s: error %v, want ErrUnknown", how, err)
			}
			return err != nil
		})
	}
	d.put(temp, data)
	d.mustLookup(temp)
	if err := d.bucket.Delete(t.Context(), temp.String()); err != nil {
		t.Fatal(err)
	}
	gone("what was deleted")
	d.put(temp, data)
	d.mustLookup(temp)
	if err := d.bucket.Purge(t.Context(), temp.String()); err != nil {
		t.Fatal(err)
	}
	gone("what was purged")
	if _, err := d.bucket.Create(t.Context(), temp.String(), data, jetstream.KeyTTL(time.Second)); err != nil {
		t.Fatal(err)
	}
	d.mustLookup(temp)
	gone("what expired")
}

// TestKVRevoked: the watcher brings a change within moments, although by the
// cache's clock no time passes.
func TestKVRevoked(t *testing.T) {
	d := newDirectory(t)
	d.watch()
	if d.mustLookup(alice).Revoked {
		t.Fatal("revoked from the start")
	}
	d.change(alice, func(r *identity.Record) { r.Revoked = true })
	eventually(t, "the revocation is seen", func() bool { return d.mustLookup(alice).Revoked })
	d.change(alice, func(*identity.Record) {})
	eventually(t, "the revocation is taken back", func() bool { return !d.mustLookup(alice).Revoked })
}

// TestKVExpiry: without the watcher a record counts for a minute.
func TestKVExpiry(t *testing.T) {
	d := newDirectory(t)
	d.mustLookup(alice)
	d.change(alice, func(r *identity.Record) { r.Revoked = true })
	d.clock.Store(int64(time.Minute - time.Millisecond))
	if d.mustLookup(alice).Revoked {
		t.Error("read again within the minute: the cache does nothing")
	}
	d.clock.Store(int64(time.Minute))
	if !d.mustLookup(alice).Revoked {
		t.Error("not read again after a minute")
	}
}

// TestKVRecheck: an unknown key id is worth a second look, once a second.
func TestKVRecheck(t *testing.T) {
	d := newDirectory(t)
	d.mustLookup(alice)
	d.change(alice, func(r *identity.Record) { r.Keys = append(r.Keys[:1:1], newKey(t, "2").Public()) })
	recheck := func() int {
		t.Helper()
		r, err := d.Recheck(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		return len(r.Keys)
	}
	d.clock.Store(int64(time.Second - time.Millisecond))
	if n := recheck(); n != 1 {
		t.Errorf("%d keys within a second, want 1 from the cache", n)
	}
	d.clock.Store(int64(time.Second))
	if n := recheck(); n != 2 {
		t.Errorf("%d keys after a second, want 2", n)
	}
	if n := len(d.mustLookup(alice).Keys); n != 2 {
		t.Errorf("%d keys afterwards, want 2 in the cache", n)
	}
}

// TestKVBucketGone: a directory that cannot be read says nothing about anybody,
// and it works again when it is back.
func TestKVBucketGone(t *testing.T) {
	d := newDirectory(t)
	d.watch()
	d.mustLookup(alice)
	js := brokertest.JetStream(t, d.broker.Admin(t))
	if err := js.DeleteKeyValue(t.Context(), subjects.BucketIdentities); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := d.Lookup(ctx, proxy)
	if err == nil || errors.Is(err, identity.ErrUnknown) || errors.Is(err, identity.ErrRecord) {
		t.Errorf("error %v, want one that is neither ErrUnknown nor ErrRecord", err)
	}
	if _, err := provision.Ensure(t.Context(), js, provision.Options{Storage: provision.Memory}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lookup(t.Context(), proxy); !errors.Is(err, identity.ErrUnknown) {
		t.Errorf("in the new, empty bucket: error %v, want ErrUnknown", err)
	}
	kv, err := js.KeyValue(t.Context(), subjects.BucketIdentities)
	if err != nil {
		t.Fatal(err)
	}
	d.bucket = kv
	d.change(proxy, func(*identity.Record) {})
	d.mustLookup(proxy)
}
