package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/monitor"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/subjects"
)

// Identities that are ready in "router dev".
const (
	devOperator = "1112223334"
	devCustomer = "1111111111"
	devProxy    = "proxy"
)

// development holds the flags of "dev".
type development struct {
	dir      string
	port     int
	httpAddr string
	logLevel slog.Level
	ring     time.Duration
	insecure bool
	// ready is set once the parts are there whose readiness counts.
	ready atomic.Pointer[func() error]
}

// devHTTP is where "router dev" serves HTTP unless told otherwise.
const devHTTP = "127.0.0.1:9090"

func newDevCommand() *cobra.Command {
	var d development
	c := &cobra.Command{
		Use: "dev", Short: "Run a server and a router on this machine, ready to use", Args: arguments(),
		Long: `Runs an embedded nats-server with JetStream on 127.0.0.1 and a router in one
process, with two identities (operator ` + devOperator + `, customer ` + devCustomer + `) and
the app "` + devProxy + `", for which the router acts. Key files are written to the directory with
mode 0600. Identities connect as they do in production, through the auth callout
service; those that are added while it runs ("router identity add") can connect
at once. It runs until it is interrupted.

With --insecure a client without a credential may speak and listen as any
identity. Messages must be signed all the same.`,
		Example: "  router dev\n  router dev --dir ./dev --port 4333",
		RunE:    func(cmd *cobra.Command, _ []string) error { return d.run(cmd) },
	}
	f := c.Flags()
	f.StringVar(&d.dir, "dir", "", "directory of keys, configuration and streams (default: a temporary one, removed at the end)")
	f.IntVar(&d.port, "port", 4222, "port of the server, 0 for any")
	f.StringVar(&d.httpAddr, "http", devHTTP, "address of /metrics, /livez, /readyz and /version, \"\" for none (default also: ROUTER_HTTP_ADDR)")
	f.TextVar(&d.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	f.BoolVar(&d.insecure, "insecure", false, "let clients without a credential in, as anybody (127.0.0.1 only)")
	f.DurationVar(&d.ring, "ring-timeout", 60*time.Second, "how long a call rings")
	return c
}

func (d *development) run(cmd *cobra.Command) error {
	if d.port < 0 || d.port > 65535 {
		return usagef("--port %d: want 0 to 65535", d.port)
	}
	if d.port == 0 {
		d.port = -1
	}
	if d.dir == "" {
		dir, err := os.MkdirTemp("", "voicerouter-dev-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		d.dir = dir
	}
	dir, err := filepath.Abs(d.dir)
	if err != nil {
		return err
	}
	d.dir = dir
	log, stopLog := startLog(cmd.ErrOrStderr(), config{LogLevel: d.logLevel, LogFormat: formatText})
	defer stopLog()
	if d.insecure {
		log.Warn("INSECURE: whoever reaches this server on 127.0.0.1 may speak and listen as any identity, without a credential")
	}
	process := monitor.New("dev", buildVersion(), d.isReady)
	web, err := d.serveHTTP(cmd.Flags().Changed("http"), process, log)
	if err != nil {
		return err
	}
	if web != nil {
		defer web.Stop()
		d.httpAddr = web.Addr()
	}
	box, err := startSandbox(cmd.Context(), d, process, log)
	if err != nil {
		return err
	}
	defer box.stop()
	return d.work(cmd, box, process.Registry, log)
}

func (d *development) isReady() error {
	if ready := d.ready.Load(); ready != nil {
		return (*ready)()
	}
	return errors.New("starting")
}

// serveHTTP serves the process where the flag or the environment say. At the
// default address, which a Prometheus on the same machine takes as well, it does
// without if it must; the server is nil then.
func (d *development) serveHTTP(chosen bool, process *monitor.Process, log *slog.Logger) (*monitor.Server, error) {
	if addr, set := os.LookupEnv(envPrefix + "_HTTP_ADDR"); set && !chosen {
		d.httpAddr, chosen = addr, true
	}
	if d.httpAddr == "" {
		return nil, nil
	}
	web, err := process.Serve(monitor.Options{Addr: d.httpAddr, Logger: log})
	if err != nil && !chosen {
		log.Warn("no metrics are served: the address is taken, choose another with --http", "error", err)
		d.httpAddr = ""
		return nil, nil
	}
	return web, err
}

// work runs the router until the context ends.
func (d *development) work(cmd *cobra.Command, box *sandbox, registry prometheus.Registerer, log *slog.Logger) error {
	ctx := cmd.Context()
	traces, stopTraces, err := startTracing(ctx, log)
	if err != nil {
		return err
	}
	defer stopTraces()
	r, err := box.newRouter(d.ring, log, registry, traces)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()
	doorkeeper, err := box.newAuth(log, registry)
	if err != nil {
		return err
	}
	ready := func() error { return errors.Join(r.Ready(), doorkeeper.Ready()) }
	d.ready.Store(&ready)
	helpers.Go(func() {
		if err := doorkeeper.Run(ctx); err != nil {
			log.Error("auth callout service ended, nobody can connect", "error", err)
		}
	})
	helpers.Go(func() {
		if awaitReady(ctx, ready) {
			fmt.Fprint(cmd.OutOrStdout(), box.guide(d.httpAddr))
		}
	})
	return runWorker(ctx, r, 25*time.Second, log)
}

// awaitReady waits until ready says so; false means that ctx ended first.
func awaitReady(ctx context.Context, ready func() error) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ready() != nil {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// sandbox is a provisioned embedded server with keys for everybody.
type sandbox struct {
	dir     string
	process *monitor.Process
	server  *broker.Server
	admin   *nats.Conn
	worker  *nats.Conn
	auth    *nats.Conn
	kv      jetstream.KeyValue
	keys    fleetKeys
}

func startSandbox(ctx context.Context, d *development, process *monitor.Process, log *slog.Logger) (_ *sandbox, err error) {
	s := &sandbox{dir: d.dir, process: process}
	cfg := broker.Config{Port: d.port, Insecure: d.insecure}
	if err := errors.Join(userCredentials(s.path("users"), &cfg), calloutKeys(s.path("users"), &cfg)); err != nil {
		return nil, err
	}
	serverDir := s.path("server")
	if err := os.MkdirAll(serverDir, 0o700); err != nil {
		return nil, err
	}
	s.server, err = broker.Start(ctx, broker.Options{Config: cfg, Dir: serverDir, Logger: log.With("from", "nats-server")})
	if err != nil {
		return nil, fmt.Errorf("%w (is another one running? see --port)", err)
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.admin, err = s.connect(broker.UserAdmin, log); err != nil {
		return nil, err
	}
	if s.worker, err = s.connect(broker.UserRouter, log); err != nil {
		return nil, err
	}
	if s.auth, err = s.connect(broker.UserAuth, log); err != nil {
		return nil, err
	}
	return s, s.prepare(ctx)
}

func (s *sandbox) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

func (s *sandbox) connect(user string, log *slog.Logger) (*nats.Conn, error) {
	nkey, err := nats.NkeyOptionFromSeed(s.path("users", user+seedEnding))
	if err != nil {
		return nil, err
	}
	nc, err := s.server.Connect(append(logConnection(log, s.process), nkey, nats.Name(user), nats.MaxReconnects(-1),
		nats.CustomInboxPrefix(subjects.InboxPrefix(user)))...)
	if err == nil {
		s.process.Watch(nc)
	}
	return nc, err
}

func (s *sandbox) stop() {
	for _, nc := range []*nats.Conn{s.worker, s.auth, s.admin} {
		if nc != nil {
			nc.Close()
		}
	}
	s.server.Shutdown()
}

// prepare provisions the server and makes what is missing of the identities.
func (s *sandbox) prepare(ctx context.Context) error {
	js, err := jetstream.New(s.admin)
	if err != nil {
		return err
	}
	if _, err := provision.Ensure(ctx, js, provision.Options{Update: true}); err != nil {
		return err
	}
	if s.kv, err = js.KeyValue(ctx, subjects.BucketIdentities); err != nil {
		return err
	}
	for name, role := range map[string]identity.Role{
		devOperator: identity.RoleUser, devCustomer: identity.RoleUser,
		devProxy: identity.RoleApp, identity.Router.String(): identity.RoleApp,
	} {
		if err := s.ensureIdentity(ctx, identity.MustID(name), role); err != nil {
			return fmt.Errorf("identity %s: %w", name, err)
		}
	}
	s.keys, err = loadFleetKeys(s.path("fleet"))
	return err
}

// ensureIdentity makes an identity with its keys unless it exists. The fleet
// acts for apps: they have a signing key and no connection.
func (s *sandbox) ensureIdentity(ctx context.Context, id identity.ID, role identity.Role) error {
	if _, err := s.kv.Get(ctx, id.String()); !errors.Is(err, jetstream.ErrKeyNotFound) {
		return err
	}
	var record identity.Record
	var err error
	if role == identity.RoleApp {
		var key identity.PublicKey
		key, err = generateKey(s.path("fleet", id.String()+jwkEnding))
		record = identity.Record{Role: role, Keys: []identity.PublicKey{key}}
	} else {
		record, _, err = generateIdentity(s.path("keys"), id, role)
	}
	if err != nil {
		return err
	}
	value, err := record.Encode()
	if err != nil {
		return err
	}
	_, err = s.kv.Create(ctx, id.String(), value)
	return err
}

func (s *sandbox) newRouter(ring time.Duration, log *slog.Logger, registry prometheus.Registerer, traces trace.TracerProvider) (*router.Router, error) {
	cfg := config{RingTimeout: ring, MaxCallDuration: provision.DefaultMaxCallDuration}
	return newRouter(s.worker, cfg, s.keys, log, registry, traces)
}

func (s *sandbox) newAuth(log *slog.Logger, registry prometheus.Registerer) (*auth.Service, error) {
	keys, err := auth.LoadKeys(s.path("users", issuerFile), s.path("users", xkeyFile))
	if err != nil {
		return nil, err
	}
	return newAuthService(s.auth, config{}, keys, log, registry)
}
