package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/internal/monitor"
)

func newAuthCommand() *cobra.Command {
	return &cobra.Command{
		Use: "auth", Short: "Run one auth callout service: it decides who may connect", Args: arguments(),
		Long: `Runs one auth callout service until SIGTERM or SIGINT. The server asks it about
every connection that is not one of its own users; it verifies the identity's
nkey against the directory and answers with permissions. Several share the work,
and nobody connects while none runs. Connections of an identity that is revoked
are closed within a second, and its calls are ended.

It is configured from the environment, as "router serve" is, and connects as the
user auth; ROUTER_NATS_*, ROUTER_HTTP_ADDR, ROUTER_LOG_* and ROUTER_AUTH_* count.`,
		Example: `  ROUTER_NATS_URL=nats://nats:4222 ROUTER_NATS_NKEY_FILE=/keys/auth.nk \
  ROUTER_AUTH_ISSUER_FILE=/keys/callout-issuer.nk ROUTER_AUTH_XKEY_FILE=/keys/callout-xkey.nk router auth`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig()
			_, keyErr := cfg.authKeys()
			if err := errors.Join(err, keyErr); err != nil {
				return err
			}
			return serveAuth(cmd.Context(), cfg, cmd.ErrOrStderr())
		},
	}
}

// authKeys reads the key material of the auth callout service.
func (c *config) authKeys() (auth.Keys, error) {
	if c.Auth.IssuerFile == "" || c.Auth.XkeyFile == "" {
		return auth.Keys{}, usagef("configuration:\nROUTER_AUTH_ISSUER_FILE and ROUTER_AUTH_XKEY_FILE: both are needed; \"router provision --server-config\" makes the files")
	}
	keys, err := auth.LoadKeys(c.Auth.IssuerFile, c.Auth.XkeyFile)
	if err != nil {
		return keys, usagef("configuration:\nROUTER_AUTH_ISSUER_FILE, ROUTER_AUTH_XKEY_FILE: %w", err)
	}
	return keys, nil
}

// serveAuth runs one auth callout service until ctx ends.
func serveAuth(ctx context.Context, cfg config, stderr io.Writer) error {
	log, stopLog := startLog(stderr, cfg)
	defer stopLog()
	var service atomic.Pointer[auth.Service]
	conn := connection{credential: cfg.credentialName()}
	process := monitor.New("auth", buildVersion(), func() error {
		if s := service.Load(); s != nil {
			return conn.reason(s.Ready())
		}
		return conn.reason(errors.New("starting"))
	})
	web, err := serveHTTP(process, cfg, log)
	if err != nil {
		return err
	}
	defer web.Stop()
	return rotation[auth.Keys]{
		files: cfg.secretFiles, every: cfg.RotateEvery, log: log,
		load: func() (auth.Keys, error) {
			keys, err := cfg.authKeys()
			return keys, errors.Join(append(cfg.checkNATS(), err)...)
		},
		run: func(ctx context.Context, keys auth.Keys) error {
			nc, err := connectLasting(cfg, auth.User, "voice auth", log, &conn, process)
			if err != nil {
				return err
			}
			defer nc.Close()
			defer process.Watch(nc)()
			registered := &lease{Registerer: process.Registry}
			defer registered.giveBack()
			s, err := newAuthService(nc, cfg, keys, log, registered)
			if err != nil {
				return err
			}
			defer service.Store(nil)
			service.Store(s)
			return s.Run(ctx)
		},
	}.keep(ctx)
}

func newAuthService(nc *nats.Conn, cfg config, keys auth.Keys, log *slog.Logger, registry prometheus.Registerer) (*auth.Service, error) {
	delay := cfg.Auth.RefusalDelay
	if delay == 0 {
		delay = -1
	}
	s, err := auth.New(auth.Options{
		Conn: nc, Keys: keys, TTL: cfg.Auth.TTL, Parallel: cfg.Auth.Parallel, RefusalDelay: delay,
		Logger: log, Registerer: registry,
	})
	if err != nil {
		return nil, fmt.Errorf("auth callout service: %w", err)
	}
	return s, nil
}
