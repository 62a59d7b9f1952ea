// Package brokertest runs a provisioned broker for a test, with identities ready
// to connect.
package brokertest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/subjects"
)

// Options configures [Start]. The zero value is a broker on a free port of
// 127.0.0.1 with streams in files and no identities.
type Options struct {
	// Memory keeps the streams in memory.
	Memory bool
	// InProcess opens no port, as testing/synctest needs it; streams in memory
	// belong to it. Such a test registers nats-server's access time service once,
	// in TestMain, outside the bubble: ats.Register of nats-server/v2/server/ats.
	InProcess bool
	// Users and Apps are identities to generate keys for and to put into the
	// directory.
	Users, Apps []string
	// Provision adds to what is provisioned; Storage and Apps are filled in.
	Provision provision.Options
	// Bare skips streams, buckets and consumers.
	Bare bool
	// Configure changes the server's configuration before it starts.
	Configure func(*broker.Config)
	// Dir keeps the files of the broker; default a new directory of the test.
	Dir string
	// Logger receives the server's log; nil discards it.
	Logger *slog.Logger
	// Callout has an auth callout service decide who connects, as it is in
	// production. Without it the identities stand in the server's configuration.
	Callout bool
	// Auth changes the options of the service before it starts.
	Auth func(*auth.Options)
	// NoAuth starts no service: see [Broker.StartAuth].
	NoAuth bool
}

// Broker is a running broker. Every connection that it opens is closed with the
// test.
type Broker struct {
	*broker.Server
	// Identities are the generated identities by name.
	Identities map[identity.ID]Identity

	roles map[string]nkeys.KeyPair
	keys  auth.Keys // of the callout service; zero without one
}

// Identity is a generated identity: what it signs with and what it connects
// with.
type Identity struct {
	ID     identity.ID
	Record identity.Record
	Key    identity.PrivateKey
	NKey   nkeys.KeyPair
}

// Options returns the options with which the identity connects.
func (i Identity) Options() []nats.Option {
	return append(nkeyOptions(i.NKey), nats.Name(i.ID.String()), nats.CustomInboxPrefix(subjects.InboxPrefix(i.ID.String())))
}

// Start runs a broker until the test ends.
func Start(tb testing.TB, opts Options) *Broker {
	tb.Helper()
	if opts.Dir == "" {
		opts.Dir = tb.TempDir()
	}
	b := &Broker{Identities: map[identity.ID]Identity{}, roles: map[string]nkeys.KeyPair{}}
	cfg := broker.Config{
		Port: -1, StoreDir: filepath.Join(opts.Dir, "jetstream"),
		Router: b.role(tb, broker.UserRouter), Backend: b.role(tb, broker.UserBackend),
		Admin: b.role(tb, broker.UserAdmin), System: b.role(tb, broker.UserSystem),
	}
	for _, name := range opts.Users {
		cfg.Identities = append(cfg.Identities, b.generate(tb, name, identity.RoleUser))
	}
	for _, name := range opts.Apps {
		e := b.generate(tb, name, identity.RoleApp)
		cfg.Identities = append(cfg.Identities, e)
		opts.Provision.Apps = append(opts.Provision.Apps, e.ID)
	}
	if opts.Callout {
		b.callout(tb, &cfg)
	}
	if opts.Configure != nil {
		opts.Configure(&cfg)
	}
	server, err := broker.Start(tb.Context(), broker.Options{
		Config: cfg, Dir: opts.Dir, InProcess: opts.InProcess, Logger: opts.Logger,
	})
	if err != nil {
		tb.Fatalf("start broker: %v", err)
	}
	tb.Cleanup(server.Shutdown)
	b.Server = server
	if !opts.Bare {
		b.provision(tb, opts)
	}
	if opts.Callout && !opts.NoAuth {
		b.StartAuth(tb, opts.Auth)
	}
	return b
}

func (b *Broker) provision(tb testing.TB, opts Options) {
	tb.Helper()
	if opts.Memory && opts.Provision.Storage == "" {
		opts.Provision.Storage = provision.Memory
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
	defer cancel()
	nc := b.Admin(tb)
	defer nc.Close()
	js := JetStream(tb, nc)
	if _, err := provision.Ensure(ctx, js, opts.Provision); err != nil {
		tb.Fatalf("provision: %v", err)
	}
	kv, err := js.KeyValue(ctx, subjects.BucketIdentities)
	if err != nil {
		tb.Fatalf("open bucket: %v", err)
	}
	for id, i := range b.Identities {
		put(ctx, tb, kv, id, i.Record)
	}
}

func put(ctx context.Context, tb testing.TB, kv jetstream.KeyValue, id identity.ID, record identity.Record) {
	tb.Helper()
	value, err := record.Encode()
	if err != nil {
		tb.Fatalf("record of %s: %v", id, err)
	}
	if _, err := kv.Put(ctx, id.String(), value); err != nil {
		tb.Fatalf("put %s: %v", id, err)
	}
}

// Router returns a connection with the workers' permissions.
func (b *Broker) Router(tb testing.TB, opts ...nats.Option) *nats.Conn {
	tb.Helper()
	return b.connect(tb, append(b.RouterOptions(), opts...))
}

// RouterOptions returns the options with which a worker connects.
func (b *Broker) RouterOptions() []nats.Option {
	return append(nkeyOptions(b.roles[broker.UserRouter]), nats.Name(broker.UserRouter),
		nats.CustomInboxPrefix(subjects.InboxPrefix(broker.UserRouter)))
}

// Backend returns a connection with the permissions of a customer's backend.
func (b *Broker) Backend(tb testing.TB, opts ...nats.Option) *nats.Conn {
	tb.Helper()
	return b.connect(tb, append(append(nkeyOptions(b.roles[broker.UserBackend]), nats.Name(broker.UserBackend)), opts...))
}

// Admin returns a connection that may do everything in the account ROUTER.
func (b *Broker) Admin(tb testing.TB, opts ...nats.Option) *nats.Conn {
	tb.Helper()
	return b.connect(tb, append(append(nkeyOptions(b.roles[broker.UserAdmin]), nats.Name(broker.UserAdmin),
		nats.CustomInboxPrefix(subjects.InboxPrefix(broker.UserAdmin))), opts...))
}

// Identity returns a connection of the identity with this name.
func (b *Broker) Identity(tb testing.TB, name string, opts ...nats.Option) *nats.Conn {
	tb.Helper()
	return b.connect(tb, append(b.Get(tb, name).Options(), opts...))
}

// SeedFile returns a file with the nkey seed of a user of the account ROUTER
// (broker.UserRouter and so on), for programs that read one.
func (b *Broker) SeedFile(tb testing.TB, user string) string {
	tb.Helper()
	seed, err := b.roles[user].Seed()
	if err != nil {
		tb.Fatalf("seed of %s: %v", user, err)
	}
	name := filepath.Join(tb.TempDir(), user+".nk")
	if err := os.WriteFile(name, seed, 0o600); err != nil {
		tb.Fatalf("seed of %s: %v", user, err)
	}
	return name
}

// Get returns the generated identity with this name.
func (b *Broker) Get(tb testing.TB, name string) Identity {
	tb.Helper()
	i, ok := b.Identities[identity.MustID(name)]
	if !ok {
		tb.Fatalf("identity %q was not among the options of Start", name)
	}
	return i
}

// Add generates one more identity, lets it connect and puts it into the
// directory. Apps get their durable.
func (b *Broker) Add(tb testing.TB, name string, role identity.Role) Identity {
	tb.Helper()
	b.generate(tb, name, role)
	var endpoints []broker.Endpoint
	for id, i := range b.Identities {
		e, _ := broker.EndpointOf(id, i.Record)
		endpoints = append(endpoints, e)
	}
	if b.keys.IsZero() {
		if err := b.SetIdentities(endpoints); err != nil {
			tb.Fatalf("add identity %s: %v", name, err)
		}
	}
	opts := Options{}
	if role == identity.RoleApp {
		opts.Provision.Apps = []identity.ID{identity.MustID(name)}
	}
	b.provision(tb, opts)
	return b.Get(tb, name)
}

// Directory returns the generated identities as a directory in memory.
func (b *Broker) Directory() identity.Static {
	d := identity.Static{}
	for id, i := range b.Identities {
		d[id] = i.Record
	}
	return d
}

// JetStream returns the JetStream of a connection.
func JetStream(tb testing.TB, nc *nats.Conn) jetstream.JetStream {
	tb.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatalf("jetstream: %v", err)
	}
	return js
}

func (b *Broker) connect(tb testing.TB, opts []nats.Option) *nats.Conn {
	tb.Helper()
	nc, err := b.Connect(opts...)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(nc.Close)
	return nc
}

func (b *Broker) role(tb testing.TB, name string) broker.Credential {
	tb.Helper()
	kp, public := newUser(tb)
	b.roles[name] = kp
	return broker.Credential{NKey: public}
}

func (b *Broker) generate(tb testing.TB, name string, role identity.Role) broker.Endpoint {
	tb.Helper()
	id := identity.MustID(name)
	key, err := identity.GenerateKey("1")
	if err != nil {
		tb.Fatalf("generate key: %v", err)
	}
	kp, public := newUser(tb)
	record := identity.Record{Role: role, Keys: []identity.PublicKey{key.Public()}, NKey: public}
	b.Identities[id] = Identity{ID: id, Record: record, Key: key, NKey: kp}
	return broker.Endpoint{ID: id, Role: role, NKey: public}
}

func newUser(tb testing.TB) (nkeys.KeyPair, string) {
	tb.Helper()
	kp, err := nkeys.CreateUser()
	if err != nil {
		tb.Fatalf("generate nkey: %v", err)
	}
	public, err := kp.PublicKey()
	if err != nil {
		tb.Fatalf("generate nkey: %v", err)
	}
	return kp, public
}

// nkeyOptions has room for no more: what is appended must not share an array.
func nkeyOptions(kp nkeys.KeyPair) []nats.Option {
	public, err := kp.PublicKey()
	if err != nil {
		panic(err) // the pair was generated here
	}
	return []nats.Option{nats.Nkey(public, kp.Sign)}
}
