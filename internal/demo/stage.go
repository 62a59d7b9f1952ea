package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/subjects"
)

// The cast.
var (
	operator = identity.MustID("1112223334")
	customer = identity.MustID("1111111111")
	stranger = identity.MustID("9999999999")
	proxy    = identity.MustID("proxy")
)

// Clocks of the demo, shorter than anybody's in production.
const (
	ringTimeout = 2500 * time.Millisecond
	ackWait     = time.Second
)

// member is an identity with its two keys.
type member struct {
	id     identity.ID
	record identity.Record
	key    identity.PrivateKey
	seed   []byte
}

// stage is what a play needs: a broker with the two accounts, two workers, and
// identities that connect with keys of their own.
type stage struct {
	server  *broker.Server
	nc      *nats.Conn // as admin
	js      jetstream.JetStream
	cast    map[identity.ID]member
	roles   map[string]nkeys.KeyPair
	log     *slog.Logger
	workers []*worker
	keys    auth.Keys // of the auth callout service
	door    *worker   // the auth callout service
	dir     string
}

// worker is a router of the fleet, or the auth callout service, on a connection
// of its own.
type worker struct {
	nc   *nats.Conn
	stop context.CancelFunc
	done chan error
	once sync.Once
}

func newStage(ctx context.Context, log *slog.Logger) (s *stage, err error) {
	dir, err := os.MkdirTemp("", "voice-demo-")
	if err != nil {
		return nil, err
	}
	s = &stage{cast: map[identity.ID]member{}, roles: map[string]nkeys.KeyPair{}, log: log, dir: dir}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for id, role := range map[identity.ID]identity.Role{
		operator: identity.RoleUser, customer: identity.RoleUser, stranger: identity.RoleUser, proxy: identity.RoleApp,
	} {
		if err := s.enroll(id, role); err != nil {
			return s, err
		}
	}
	if err := s.startServer(ctx); err != nil {
		return s, err
	}
	if err := s.provision(ctx); err != nil {
		return s, err
	}
	if err := s.startAuth(ctx); err != nil {
		return s, err
	}
	for priority := 1; priority <= 2; priority++ {
		if err := s.startWorker(priority); err != nil {
			return s, err
		}
	}
	return s, s.ready(ctx)
}

func (s *stage) enroll(id identity.ID, role identity.Role) error {
	key, err := identity.GenerateKey("1")
	if err != nil {
		return err
	}
	pair, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	public, err := pair.PublicKey()
	if err != nil {
		return err
	}
	seed, err := pair.Seed()
	if err != nil {
		return err
	}
	s.cast[id] = member{id: id, key: key, seed: seed, record: identity.Record{
		Role: role, Keys: []identity.PublicKey{key.Public()}, NKey: public,
	}}
	return nil
}

// credential makes the nkey of a role of the account ROUTER.
func (s *stage) credential(name string) (broker.Credential, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return broker.Credential{}, err
	}
	public, err := pair.PublicKey()
	s.roles[name] = pair
	return broker.Credential{NKey: public}, err
}

func (s *stage) startServer(ctx context.Context) error {
	cfg := broker.Config{Port: -1, StoreDir: s.dir}
	var errs [5]error
	cfg.Router, errs[0] = s.credential(broker.UserRouter)
	cfg.Backend, errs[1] = s.credential(broker.UserBackend)
	cfg.Admin, errs[2] = s.credential(broker.UserAdmin)
	cfg.System, errs[3] = s.credential(broker.UserSystem)
	cfg.Auth, errs[4] = s.credential(broker.UserAuth)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	seeds, err := auth.GenerateSeeds()
	if err != nil {
		return err
	}
	if s.keys, err = auth.NewKeys(seeds.Issuer, seeds.XKey); err != nil {
		return err
	}
	cfg.Callout = broker.Callout{Issuer: s.keys.Issuer(), XKey: s.keys.XKey()}
	if s.server, err = broker.Start(ctx, broker.Options{Config: cfg, Dir: s.dir, Logger: s.log}); err != nil {
		return err
	}
	if s.nc, err = s.connect(broker.UserAdmin); err != nil {
		return err
	}
	s.js, err = jetstream.New(s.nc)
	return err
}

// connect opens a connection in the account ROUTER.
func (s *stage) connect(role string) (*nats.Conn, error) {
	pair := s.roles[role]
	public, err := pair.PublicKey()
	if err != nil {
		return nil, err
	}
	return s.server.Connect(nats.Name(role), nats.Nkey(public, pair.Sign), nats.CustomInboxPrefix(subjects.InboxPrefix(role)))
}

func (s *stage) provision(ctx context.Context) error {
	if _, err := provision.Ensure(ctx, s.js, provision.Options{Storage: provision.Memory, AckWait: ackWait}); err != nil {
		return err
	}
	kv, err := s.js.KeyValue(ctx, subjects.BucketIdentities)
	if err != nil {
		return err
	}
	for id, m := range s.cast {
		data, err := m.record.Encode()
		if err != nil {
			return err
		}
		if _, err := kv.Put(ctx, id.String(), data); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) startWorker(priority int) error {
	nc, err := s.connect(broker.UserRouter)
	if err != nil {
		return err
	}
	r, err := router.New(router.Options{
		Conn:     nc,
		Proxies:  map[identity.ID]identity.PrivateKey{proxy: s.cast[proxy].key},
		Policy:   call.Policy{RingTimeout: ringTimeout, KeepApplied: 3 * ackWait},
		Priority: priority,
		Logger:   s.log,
	})
	if err != nil {
		return err
	}
	s.workers = append(s.workers, start(nc, r.Run))
	return nil
}

func start(nc *nats.Conn, run func(context.Context) error) *worker {
	ctx, cancel := context.WithCancel(context.Background())
	w := &worker{nc: nc, stop: cancel, done: make(chan error, 1)}
	go func() { w.done <- run(ctx) }()
	return w
}

// startAuth starts the service that decides who may connect, and returns when it
// does.
func (s *stage) startAuth(ctx context.Context) error {
	nc, err := s.connect(broker.UserAuth)
	if err != nil {
		return err
	}
	service, err := auth.New(auth.Options{Conn: nc, Keys: s.keys, Logger: s.log})
	if err != nil {
		return err
	}
	s.door = start(nc, service.Run)
	for service.Ready() != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("auth callout service not ready: %w", ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// kill ends a worker as a power failure would: its connection is gone in the
// middle of whatever it does, nothing is finished, acknowledged or flushed.
func (w *worker) kill() {
	w.nc.Close()
	w.stop()
}

func (w *worker) wait() (err error) {
	w.once.Do(func() {
		w.stop()
		err = <-w.done
		w.nc.Close()
	})
	return err
}

// ready waits until the services answer.
func (s *stage) ready(ctx context.Context) error {
	for {
		err := s.request(ctx, subjects.ServiceCallList, router.ListRequest{})
		if !errors.Is(err, nats.ErrNoResponders) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("routers not ready: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *stage) close() {
	for _, w := range append(s.workers, s.door) {
		if w == nil {
			continue
		}
		if err := w.wait(); err != nil {
			s.log.Warn("worker", "error", err)
		}
	}
	if s.nc != nil {
		s.nc.Close()
	}
	if s.server != nil {
		s.server.Shutdown()
	}
	_ = os.RemoveAll(s.dir)
}
