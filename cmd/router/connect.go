package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/doctor"
	"github.com/voicerouter/voicerouter/internal/monitor"
	"github.com/voicerouter/voicerouter/router"
)

// natsOptions returns how the environment says to connect. Files are read again
// for every connection that is made, so that credentials, passwords and
// certificates may be rotated under a process; an nkey is known to the connection
// for its life (see rotate).
func (c *config) natsOptions() ([]nats.Option, error) {
	n := c.NATS
	opts := []nats.Option{nats.SyncQueueLen(router.SyncQueueLen)}
	switch {
	case n.Creds != "":
		opts = append(opts, nats.UserCredentials(n.Creds))
	case n.NkeyFile != "":
		nkey, err := nats.NkeyOptionFromSeed(n.NkeyFile)
		if err != nil {
			// The cause may quote the file.
			return nil, usagef("ROUTER_NATS_NKEY_FILE does not contain the nkey seed of a user (SU...)")
		}
		opts = append(opts, nkey)
	case n.User != "":
		if _, err := os.ReadFile(n.PasswordFile); err != nil {
			return nil, usagef("ROUTER_NATS_PASSWORD_FILE cannot be read")
		}
		opts = append(opts, nats.UserInfoHandler(func() (user, password string) {
			text, err := os.ReadFile(n.PasswordFile)
			if err != nil {
				return n.User, "" // refused, and tried again
			}
			return n.User, strings.TrimSpace(string(text))
		}))
	}
	return append(opts, c.tlsOptions()...), nil
}

// tlsOptions is the part of natsOptions that does not say who connects.
func (c *config) tlsOptions() (opts []nats.Option) {
	n := c.NATS
	if n.TLS.CA != "" {
		opts = append(opts, nats.RootCAs(n.TLS.CA))
	}
	if n.TLS.Cert != "" {
		opts = append(opts, nats.ClientCert(n.TLS.Cert, n.TLS.Key))
	}
	if n.TLS.First {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	return opts
}

// logConnection reports what becomes of a connection that lasts.
func logConnection(log *slog.Logger, process *monitor.Process) []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("disconnected from NATS, reconnecting", "error", err)
			}
		}),
		nats.ConnectHandler(func(nc *nats.Conn) { log.Info("connected to NATS", "server", nc.ConnectedUrlRedacted()) }),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			process.Reconnected()
			log.Info("reconnected to NATS", "server", nc.ConnectedUrlRedacted())
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { log.Warn("NATS not reachable, trying again", "error", err) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Error("NATS reports an error", "subject", subject, "error", err)
		}),
	}
}

// target is how a client command reaches the server: its flags, else the
// variables ROUTER_NATS_*, else the selected context of the nats command line
// tool, else the local server.
type target struct {
	server, creds, nkey, context, inboxPrefix string
	ca, cert, key                             string
	tlsFirst                                  bool
	timeout                                   time.Duration
}

func (t *target) flags(f *pflag.FlagSet) {
	f.StringVarP(&t.server, "server", "s", "", "NATS servers, comma-separated (default ROUTER_NATS_URL, else the selected context)")
	f.StringVar(&t.creds, "creds", "", "file with NATS credentials (default ROUTER_NATS_CREDS)")
	f.StringVar(&t.nkey, "nkey", "", "file with an nkey seed (default ROUTER_NATS_NKEY_FILE)")
	f.StringVar(&t.context, "context", "", "context of the nats command line tool")
	f.StringVar(&t.ca, "tls-ca", "", "file with the certificates that the server's is checked against")
	f.StringVar(&t.cert, "tls-cert", "", "file with the client certificate")
	f.StringVar(&t.key, "tls-key", "", "file with the key of the client certificate")
	f.BoolVar(&t.tlsFirst, "tls-first", false, "begin with the TLS handshake")
	f.StringVar(&t.inboxPrefix, "inbox-prefix", "", "prefix of reply subjects, for credentials that allow no other")
	f.DurationVar(&t.timeout, "timeout", 10*time.Second, "how long to wait for an answer")
}

// reloadTime is longer than a server takes to reload its users.
const reloadTime = 250 * time.Millisecond

// patiently does something once more if it was refused in a way in which a
// server refuses while it reloads its configuration: it turns away whoever is
// just connecting, and for a moment nobody answers requests.
func patiently(ctx context.Context, do func() error) error {
	err := do()
	if !errors.Is(err, nats.ErrAuthorization) && !errors.Is(err, nats.ErrNoResponders) {
		return err
	}
	select {
	case <-ctx.Done():
		return err
	case <-time.After(reloadTime):
		return do()
	}
}

// session runs do with a connection and a context that ends with the timeout, or
// when the server refuses something to this credential: a request that is not
// permitted is never answered.
func (t *target) session(cmd *cobra.Command, do func(context.Context, *nats.Conn) error) error {
	if t.timeout <= 0 {
		return usagef("--timeout %s: want a positive duration", t.timeout)
	}
	url, opts, err := t.resolve()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), t.timeout)
	defer cancel()
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	opts = append(opts, nats.Name("router command line"), nats.Timeout(t.timeout), nats.MaxReconnects(3),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				refuse(err)
			}
		}))
	if t.inboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(t.inboxPrefix))
	}
	var nc *nats.Conn
	err = patiently(ctx, func() (err error) {
		nc, err = nats.Connect(url, opts...)
		return err
	})
	if err != nil {
		_, mend := doctor.Explain(err, t.credential())
		return fmt.Errorf("connect to NATS at %s with %s: %w: %s", redacted(url), t.credential(), err, mend)
	}
	defer nc.Close()
	return t.advised(do(ctx, nc), context.Cause(ctx))
}

func (t *target) resolve() (string, []nats.Option, error) {
	if t.fromEnvironment() {
		cfg, err := loadConfig()
		if err != nil {
			return "", nil, err
		}
		opts, err := cfg.natsOptions()
		return cfg.NATS.URL, opts, err
	}
	nctx, err := t.natsContext()
	if err != nil {
		return "", nil, err
	}
	opts, err := nctx.NATSOptions()
	if err != nil {
		return "", nil, usagef("NATS credentials: %w", err)
	}
	return nctx.ServerURL(), opts, nil
}

// natsContext is what the flags and a context of the nats command line tool say.
func (t *target) natsContext() (*natscontext.Context, error) {
	name := t.context
	if name == "" && t.server == "" {
		name = natscontext.SelectedContext()
	}
	for _, file := range []string{t.creds, t.nkey, t.key} {
		if file == "" {
			continue
		}
		if err := identity.CheckKeyFile(file); err != nil {
			return nil, usageError{err}
		}
	}
	with := []natscontext.Option{
		natscontext.WithServerURL(t.server), natscontext.WithCreds(t.creds), natscontext.WithNKey(t.nkey),
		natscontext.WithCA(t.ca), natscontext.WithCertificate(t.cert), natscontext.WithKey(t.key),
	}
	if t.tlsFirst {
		with = append(with, natscontext.WithTLSHandshakeFirst())
	}
	nctx, err := natscontext.New(name, name != "", with...)
	if err != nil {
		return nil, usagef("NATS context %q: %w", name, err)
	}
	return nctx, nil
}

// named is what the flags say of server and credentials, "" if they say nothing.
func (t *target) named() string { return t.server + t.creds + t.nkey + t.ca + t.cert + t.key }

// fromEnvironment reports whether the variables ROUTER_NATS_* count: one of them is
// set, and no flag says otherwise.
func (t *target) fromEnvironment() bool {
	if t.named() != "" || t.context != "" || t.tlsFirst {
		return false
	}
	for _, env := range os.Environ() {
		if strings.HasPrefix(env, envPrefix+"_NATS_") {
			return true
		}
	}
	return false
}

// redacted removes passwords from a list of server URLs.
func redacted(urls string) string {
	servers := strings.Split(urls, ",")
	for i, s := range servers {
		if scheme, rest, ok := strings.Cut(s, "://"); ok {
			if at := strings.LastIndex(rest, "@"); at >= 0 {
				servers[i] = scheme + "://" + rest[at+1:]
			}
		}
	}
	return strings.Join(servers, ",")
}

// withJetStream is session with the JetStream of the connection.
func (t *target) withJetStream(cmd *cobra.Command, do func(context.Context, jetstream.JetStream) error) error {
	return t.session(cmd, func(ctx context.Context, nc *nats.Conn) error {
		js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(t.timeout))
		if err != nil {
			return err
		}
		return do(ctx, js)
	})
}
