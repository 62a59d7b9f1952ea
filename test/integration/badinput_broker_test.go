package integration

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// worker is a router whose log, metrics and readiness a test watches.
type worker struct {
	*router.Router
	log     journal
	metrics *prometheus.Registry
}

func (w *world) worker(conn *nats.Conn) *worker {
	w.t.Helper()
	k := &worker{metrics: prometheus.NewRegistry()}
	r, err := router.New(router.Options{
		Conn: conn, Logger: k.log.logger(), Registerer: k.metrics,
		Proxies: map[identity.ID]identity.PrivateKey{identity.MustID(proxy): w.Get(w.t, proxy).Key},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	k.Router = r
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(ctx) })
	w.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return k
}

// troubles returns the value of voicerouter_troubles_total.
func (k *worker) troubles(t *testing.T) float64 {
	t.Helper()
	families, err := k.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "voicerouter_troubles_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("no metric voicerouter_troubles_total")
	return 0
}

// calm fails if a router that cannot work is busy with that: in the next
// seconds it may try again now and then.
func (k *worker) calm(t *testing.T) {
	t.Helper()
	const span, most = 2 * time.Second, 20
	before := k.troubles(t)
	<-time.After(span) // not for something to happen: for how often it does
	if n := k.troubles(t) - before; n > most {
		t.Errorf("%v troubles within %v, want at most %v", n, span, most)
	}
}

// TestStreamsGone deletes each stream under a router that runs. It says so, is
// not ready, and works on when the stream is back.
func TestStreamsGone(t *testing.T) {
	for _, stream := range []string{subjects.StreamIn, subjects.StreamOut} {
		t.Run(stream, func(t *testing.T) {
			w := newWorld(t, brokertest.Options{})
			js := brokertest.JetStream(t, w.nc)
			k := w.worker(w.Router(t))
			op, cu := w.endpoint(operator), w.endpoint(customer)
			play := func(cid string) {
				t.Helper()
				w.route(cid, nil)
				op.say(signal.Start, cid, "k1", nil)
				cu.expect(signal.Start, "k1")
			}
			play("c1")
			eventually(t, "ready", func() bool { return k.Ready() == nil })
			if err := js.DeleteStream(t.Context(), stream); err != nil {
				t.Fatal(err)
			}
			if stream == subjects.StreamOut {
				w.route("c2", nil)
				op.say(signal.Start, "c2", "k1", nil) // waits in the other stream
			}
			eventually(t, "not ready", func() bool { return k.Ready() != nil })
			if err := k.Ready(); err == nil || !strings.Contains(err.Error(), "consumer") {
				t.Errorf("readiness says %v, want it to name the consumer", err)
			}
			eventually(t, "the log says what to do", func() bool {
				return len(k.log.lines("level=WARN", "router provision", "stream="+stream)) > 0
			})
			k.calm(t)
			if k.troubles(t) == 0 {
				t.Error("no trouble was counted")
			}
			if _, err := provision.Ensure(t.Context(), js, provision.Options{Storage: provision.Memory}); err != nil {
				t.Fatal(err)
			}
			if stream == subjects.StreamOut {
				cu.expect(signal.Start, "k1")
			}
			play("c3")
			op.say(signal.Stop, "c3", "k1", nil)
			cu.expect(signal.Stop, "k1")
			eventually(t, "ready again", func() bool { return k.Ready() == nil })
		})
	}
}

// TestStoreFull fills the store under a call. What cannot be committed waits, is
// tried again at leisure, and goes out when there is room.
func TestStoreFull(t *testing.T) {
	for name, memory := range map[string]bool{"memory": true, "file": false} {
		t.Run(name, func(t *testing.T) {
			const size = 8 << 20
			b := brokertest.Start(t, brokertest.Options{
				Memory: memory, Users: []string{operator, customer}, Apps: []string{proxy},
				Configure: func(c *broker.Config) {
					if memory {
						c.MaxMemory = size
					} else {
						c.MaxFile = size
					}
				},
			})
			w := &world{Broker: b, t: t, nc: b.Admin(t)}
			js := brokertest.JetStream(t, w.nc)
			op, cu := w.endpoint(operator), w.endpoint(customer)
			w.route("c1", func(r *call.Route) { r.Start = call.StartBoth })
			op.say(signal.Start, "c1", "k1", func(m *signal.Message) { m.PeerInfo = strings.Repeat("p", 4<<10) })
			filler := w.fill(js)

			k := w.worker(w.Router(t))
			eventually(t, "the log says that nothing is stored", func() bool { return len(k.log.lines("level=WARN", "not stored")) > 0 })
			k.calm(t)
			if m, ok := cu.wait(100 * time.Millisecond); ok {
				t.Fatalf("%s %s arrived from a store that is full", m.Type, m.CallID)
			}
			if memory { // once is enough: it takes a while
				eventually(t, "the worker says that it is not ready, and why", func() bool {
					err := k.Ready()
					return err != nil && strings.Contains(err.Error(), "could be stored")
				})
			}
			out, err := js.Stream(t.Context(), subjects.StreamOut)
			if err == nil {
				err = out.Purge(t.Context(), jetstream.WithPurgeSubject(filler))
			}
			if err != nil {
				t.Fatal(err)
			}
			cu.expect(signal.Start, "k1")
			cu.say(signal.Busy, "c1", "k1", nil)
			op.expect(signal.Busy, "k1")
			eventually(t, "the worker is ready again", func() bool { return k.Ready() == nil })
		})
	}
}

// fill leaves no room in the store for another message of some size; it returns
// the subject of what fills it.
func (w *world) fill(js jetstream.JetStream) string {
	w.t.Helper()
	subject := subjects.Rejected("filler", "nobody")
	for size := 256 << 10; size >= 128; {
		if _, err := js.Publish(w.t.Context(), subject, make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return subject
}

// TestNoPermission: a router with the credential of somebody else says what it
// cannot open, tries on, and stops when it is told to.
func TestNoPermission(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	k := w.worker(w.Backend(t, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})))
	eventually(t, "the log says what cannot be opened", func() bool {
		return len(k.log.lines("level=WARN", "bucket="+subjects.BucketIdentities, "router provision")) > 0
	})
	if k.Ready() == nil {
		t.Error("ready without permissions")
	}
}
