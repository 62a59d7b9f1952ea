package auth_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/subjects"
)

// patience is how long something may take that takes milliseconds.
const patience = 10 * time.Second

// wait fails the test if c does not deliver in time.
func wait[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing happened within %s", what, patience)
		panic("unreachable")
	}
}

// watched connects an identity that does not come back, and returns what tells
// its end.
func (d *door) watched(t *testing.T, name string) (*nats.Conn, <-chan error) {
	t.Helper()
	end := make(chan error, 1)
	nc := d.Identity(t, name, nats.NoReconnect(), nats.ClosedHandler(func(nc *nats.Conn) { end <- nc.LastError() }))
	return nc, end
}

func TestRevocationCutsOpenConnections(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	_, first := d.watched(t, alice)
	_, second := d.watched(t, alice)
	other, _ := d.watched(t, mallory)
	begin := time.Now()
	d.Revoke(t, alice)
	wait(t, first, "first connection of the revoked identity")
	wait(t, second, "second connection of the revoked identity")
	took := time.Since(begin)
	t.Logf("both connections were cut after %s", took.Round(time.Millisecond))
	if took > time.Second {
		t.Errorf("want the connections cut within a second, it took %s", took)
	}
	if err := other.Flush(); err != nil {
		t.Errorf("want the connection of another identity to stay, got %v", err)
	}
	d.refused(t, auth.Revoked, d.Get(t, alice).Options()...)
}

// TestEveryChangeOfTheEntryIsJudgedAnew: a key or a role that was replaced, and
// an entry that was deleted.
func TestEveryChangeOfTheEntryIsJudgedAnew(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	_, end := d.watched(t, alice)
	record := d.Get(t, alice).Record
	_, record.NKey = user(t)
	d.Put(t, alice, record)
	wait(t, end, "connection whose nkey was replaced")
	d.refused(t, auth.WrongKey, d.Get(t, alice).Options()...)

	_, end = d.watched(t, mallory)
	kv, err := brokertest.JetStream(t, d.Admin(t)).KeyValue(t.Context(), subjects.BucketIdentities)
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), mallory); err != nil {
		t.Fatal(err)
	}
	wait(t, end, "connection whose entry was deleted")
	d.refused(t, auth.Unknown, d.Get(t, mallory).Options()...)
}

// TestEntitledComesBack: who is still entitled after a change is back at once,
// and is not cut again.
func TestEntitledComesBack(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	back := make(chan struct{}, 8)
	nc := d.Identity(t, alice, nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	record := d.Get(t, alice).Record
	key, err := identity.GenerateKey("2")
	if err != nil {
		t.Fatal(err)
	}
	record.Keys = append(record.Keys, key.Public())
	d.Put(t, alice, record)
	wait(t, back, "reconnect after a change of the entry")
	if err := nc.Flush(); err != nil {
		t.Errorf("want the connection open, got %v", err)
	}
	select { // the second look, 5 s later
	case <-back:
		t.Error("want a connection that was judged by the new entry left alone, it was cut again")
	case <-time.After(6 * time.Second):
	}
}

// TestLateServiceCatchesUp: what was revoked while no service ran counts as soon
// as one does.
func TestLateServiceCatchesUp(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(o *brokertest.Options) { o.NoAuth = true })
	stop := d.StartAuth(t, nil)
	_, end := d.watched(t, alice)
	stop()
	d.Revoke(t, alice)
	select {
	case err := <-end:
		t.Fatalf("want the connection open while no service runs, it ended: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	d.StartAuth(t, nil)
	wait(t, end, "connection of an identity that was revoked before the service started")
}

func TestServiceDownRefusesAndKeeps(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(o *brokertest.Options) { o.NoAuth = true })
	stop := d.StartAuth(t, nil)
	open, _ := d.watched(t, alice)
	stop()
	nc, err := d.Connect(append(d.Get(t, mallory).Options(), nats.NoReconnect(), nats.Timeout(patience))...)
	if err == nil {
		nc.Close()
	}
	// Not as unauthorized: a client library that is told so twice gives up.
	if err == nil || errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("no service: want no connection, and no word that it is unauthorized, got %v", err)
	}
	if _, err := open.Request(subjects.Voice(alice, "stop"), []byte("{}"), 5*time.Second); err != nil {
		t.Errorf("no service: want an open connection to work on, got %v", err)
	}
	// Nor does it touch those who authenticate with the server itself.
	if err := d.Router(t).Flush(); err != nil {
		t.Errorf("no service: want the worker connected, got %v", err)
	}
	d.StartAuth(t, nil)
	d.Identity(t, mallory)
}

func TestSeveralServicesShareTheWork(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(o *brokertest.Options) { o.NoAuth = true })
	const services, connections = 3, 60
	answered := make([]counting, services)
	var stops []func()
	for i := range answered {
		answered[i].Directory = d.Directory()
		stops = append(stops, d.StartAuth(t, func(o *auth.Options) { o.Directory = &answered[i] }))
	}
	for range connections {
		d.Identity(t, alice).Close()
	}
	total := 0
	for i := range answered {
		n := answered[i].count()
		total += n
		if n == 0 {
			t.Errorf("service %d answered nothing", i)
		}
	}
	if total != connections {
		t.Errorf("want each of %d questions answered once, got %d answers", connections, total)
	}
	// While one is left, all is well.
	stops[0]()
	stops[1]()
	for range 10 {
		d.Identity(t, alice).Close()
	}
}

type counting struct {
	identity.Directory
	mu sync.Mutex
	n  int
}

func (c *counting) Lookup(ctx context.Context, id identity.ID) (identity.Record, error) {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	return c.Directory.Lookup(ctx, id)
}

func (c *counting) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// TestExpiryAndRenewal: when the JWT is over the server closes the connection,
// and the client is back with a new one, again and again.
func TestExpiryAndRenewal(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(o *brokertest.Options) {
		o.Auth = func(o *auth.Options) { o.TTL = 2 * time.Second }
	})
	back := make(chan struct{}, 8)
	ends := make(chan error, 8)
	nc := d.Identity(t, alice, nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { ends <- err }),
		nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	for i := range 3 {
		wait(t, ends, "expiry")
		wait(t, back, "renewal")
		if err := nc.Flush(); err != nil {
			t.Fatalf("renewal %d: want the connection open, got %v", i, err)
		}
	}
	d.Revoke(t, alice)
	wait(t, ends, "end of the revoked connection")
}

// TestReload: a reload of its configuration makes the server close the
// connections that a callout admitted, since it finds their users nowhere in it.
// They come back; those of its own users stay.
func TestReload(t *testing.T) {
	if raced {
		t.Skip("nats-server 2.15 compares live accounts by reflection when it reloads")
	}
	t.Parallel()
	d := newDoor(t, nil)
	worker := d.Router(t)
	back := make(chan struct{}, 8)
	nc := d.Identity(t, alice, nats.ReconnectWait(time.Millisecond), nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	if err := d.Reload(func(c *broker.Config) { c.MaxPayload = 2 << 20 }); err != nil {
		t.Fatal(err)
	}
	wait(t, back, "reconnect after a reload")
	if _, err := nc.Request(subjects.Voice(alice, "stop"), []byte("{}"), 5*time.Second); err != nil {
		t.Errorf("want the connection to work, got %v", err)
	}
	if err := worker.Flush(); err != nil || worker.Stats().Reconnects != 0 {
		t.Errorf("want the worker's connection left alone, got %v and %d reconnects", err, worker.Stats().Reconnects)
	}
}

// TestEverybodyAtOnce: a crowd that comes back after a restart is let in; who has
// to wait too long tries again and is not told that it is unauthorized.
func TestEverybodyAtOnce(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	crowd := 300
	if raced {
		crowd = 50
	}
	in := make(chan struct{}, crowd)
	begin := time.Now()
	for range crowd {
		go d.Identity(t, alice, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(200*time.Millisecond),
			nats.ConnectHandler(func(*nats.Conn) { in <- struct{}{} }))
	}
	for range crowd {
		wait(t, in, "a connection of the crowd")
	}
	t.Logf("%d connections in %s", crowd, time.Since(begin).Round(time.Millisecond))
	if got := d.count(auth.Late); got > 0 {
		t.Logf("%d of their requests came too late", got)
	}
}
