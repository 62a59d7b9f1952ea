package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/monitor"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/subjects"
)

func newServeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Run one worker of the fleet", Args: arguments(),
		Long: `Runs one worker until SIGTERM or SIGINT, then drains and exits with 0. It is
configured from the environment; all mistakes are reported at once (exit 2):

` + configText(),
		Example: `  ROUTER_NATS_URL=nats://nats:4222 ROUTER_NATS_NKEY_FILE=/keys/router.nk ROUTER_PROXY_KEYS=/keys/proxies router serve`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig()
			keys, keyErr := loadFleetKeys(cfg.ProxyKeys)
			if keyErr != nil {
				keyErr = usagef("configuration:\nROUTER_PROXY_KEYS: %w", keyErr)
			}
			if err := errors.Join(err, keyErr); err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, keys, cmd.ErrOrStderr())
		},
	}
}

// serve runs one worker until ctx ends; anew when its keys have changed.
func serve(ctx context.Context, cfg config, keys fleetKeys, stderr io.Writer) error {
	tuneGC()
	log, stopLog := startLog(stderr, cfg)
	defer stopLog()
	for _, name := range unknownVariables() {
		log.Warn("variable is not known, perhaps misspelt", "variable", name)
	}
	if len(keys.proxies) == 0 {
		log.Warn("no proxy keys: only direct conversations are routed", "variable", "ROUTER_PROXY_KEYS")
	}
	traces, stopTraces, err := startTracing(ctx, log)
	if err != nil {
		return err
	}
	defer stopTraces()
	var worker atomic.Pointer[router.Router]
	conn := connection{credential: cfg.credentialName()}
	process := monitor.New("serve", buildVersion(), func() error {
		if w := worker.Load(); w != nil {
			return conn.reason(w.Ready())
		}
		return conn.reason(errors.New("starting"))
	})
	web, err := serveHTTP(process, cfg, log)
	if err != nil {
		return err
	}
	defer web.Stop()
	return rotation[fleetKeys]{
		files: cfg.secretFiles, load: cfg.fleetKeys, every: cfg.RotateEvery, log: log,
		run: func(ctx context.Context, keys fleetKeys) error {
			defer worker.Store(nil)
			return work(ctx, cfg, keys, log, process, &conn, traces, worker.Store)
		},
	}.keep(ctx)
}

// work runs one worker with these keys.
func work(ctx context.Context, cfg config, keys fleetKeys, log *slog.Logger, process *monitor.Process, conn *connection, traces trace.TracerProvider, started func(*router.Router)) error {
	nc, err := connectLasting(cfg, broker.UserRouter, "voice router", log, conn, process)
	if err != nil {
		return err
	}
	defer nc.Close()
	defer process.Watch(nc)()
	if err := verified(ctx, nc, cfg, log); err != nil || ctx.Err() != nil {
		return err
	}
	registered := &lease{Registerer: process.Registry}
	defer registered.giveBack()
	r, err := newRouter(nc, cfg, keys, log, registered, traces)
	if err != nil {
		return err
	}
	started(r)
	return runWorker(ctx, r, cfg.ShutdownTimeout, log)
}

func newRouter(nc *nats.Conn, cfg config, keys fleetKeys, log *slog.Logger, registry prometheus.Registerer, traces trace.TracerProvider) (*router.Router, error) {
	return router.New(router.Options{
		Conn: nc, Logger: log, Registerer: registry, TracerProvider: traces,
		Proxies: keys.proxies, RouterKey: keys.router, Unsigned: cfg.Signatures == signaturesOff,
		Policy:        call.Policy{RingTimeout: cfg.RingTimeout, MaxDuration: cfg.MaxCallDuration, KeepApplied: 3 * provision.DefaultAckWait},
		MaxMessageAge: cfg.MaxMessageAge, Batch: cfg.BatchSize, Cache: cfg.CacheSize,
		Limits: router.Limits{Messages: cfg.Limits.Messages, Starts: cfg.Limits.Starts, AppMessages: cfg.Limits.AppMessages},
	})
}

// connectLasting returns a connection as a user outside the account VOICE that
// goes on trying for ever, also at the start.
func connectLasting(cfg config, user, name string, log *slog.Logger, conn *connection, process *monitor.Process) (*nats.Conn, error) {
	opts, err := cfg.natsOptions()
	if err != nil {
		return nil, err
	}
	if host, err := os.Hostname(); err == nil {
		name += " on " + host
	}
	opts = append(opts, nats.Name(name), nats.CustomInboxPrefix(subjects.InboxPrefix(user)),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), // nothing is buffered: what is not sent comes again
		nats.ReconnectWait(time.Second), nats.IgnoreAuthErrorAbort(),
		// A connection on which nothing comes back is given up in half a minute: by
		// default it would be six, in which nobody is let in, say.
		nats.PingInterval(10*time.Second), nats.MaxPingsOutstanding(2))
	nc, err := nats.Connect(cfg.NATS.URL, append(append(opts, logConnection(log, process)...), conn.attempts(log))...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	conn.conn.Store(nc)
	return nc, nil
}

// verifyEvery is the pause between looks at streams that could not be verified.
const verifyEvery = 2 * time.Second

// verified returns nil when streams, buckets and consumers are as they must be,
// or when ctx has ended. While the server cannot be asked it waits; an answer
// that something is missing or wrong is an error.
func verified(ctx context.Context, nc *nats.Conn, cfg config, log *slog.Logger) error {
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	opts := provision.Options{Replicas: cfg.Replicas, MaxAge: cfg.StreamMaxAge, MaxCallDuration: cfg.MaxCallDuration}
	for {
		err := provision.Verify(ctx, js, opts)
		if err == nil || ctx.Err() == nil && !unanswered(err) {
			return err
		}
		log.Warn("streams cannot be verified yet, trying again", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(verifyEvery):
		}
	}
}

// unanswered reports whether err says that nobody answered, or that JetStream
// cannot now: while no server leads, say. Then waiting may help.
func unanswered(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.Code >= http.StatusInternalServerError {
		return true
	}
	for _, target := range []error{
		nats.ErrTimeout, nats.ErrNoResponders, nats.ErrConnectionClosed, nats.ErrConnectionReconnecting, nats.ErrDisconnected,
		nats.ErrReconnectBufExceeded, context.DeadlineExceeded, jetstream.ErrJetStreamNotEnabled,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// runWorker runs r until ctx ends and it has drained, for which it has the
// timeout.
func runWorker(ctx context.Context, r *router.Router, timeout time.Duration, log *slog.Logger) error {
	ended := make(chan error, 1)
	go func() {
		err := r.Run(ctx)
		if errors.Is(err, context.Canceled) {
			err = nil // told to end before it had begun
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	log.Info("draining", "timeout", timeout.String())
	select {
	case err := <-ended:
		log.Info("drained")
		return err
	case <-time.After(timeout):
		return fmt.Errorf("not drained within %s: what was not acknowledged will be delivered to another worker", timeout)
	}
}

// serveHTTP serves metrics and health where the environment says.
func serveHTTP(process *monitor.Process, cfg config, log *slog.Logger) (*monitor.Server, error) {
	web, err := process.Serve(monitor.Options{Addr: cfg.HTTPAddr, Profile: cfg.Pprof, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("%w: choose another address with ROUTER_HTTP_ADDR", err)
	}
	return web, nil
}
