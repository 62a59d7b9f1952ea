package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/provision"
)

// provisioning holds the flags of "provision".
type provisioning struct {
	opts    provision.Options
	storage string
	proxies string
	verify  bool

	serverConfig, withIdentities bool
	operatorConfig               bool
	keys                         string
	server                       broker.Config
}

func newProvisionCommand() *cobra.Command {
	var t target
	var p provisioning
	c := &cobra.Command{
		Use: "provision", Short: "Create and verify streams, buckets and consumers", Args: arguments(),
		Long: `Creates what is missing of the streams VOICE_IN and VOICE_OUT, their consumers
and the buckets, and verifies what exists. What differs is reported, setting by
setting, and changed only with --update. Running it again changes nothing. It
needs a credential that may do everything in the account ROUTER (admin). With
--proxies it also adds the identities of the proxies that a fleet serves.

With --server-config it prints a nats-server configuration with the accounts and
permissions that the router needs. Its keys are taken from --keys, and made there
(mode 0600) if missing: the nkeys of its users, router.nk, backend.nk, admin.nk,
system.nk and auth.nk, and those of the auth callout service, callout-issuer.nk
and callout-xkey.nk. Which identities may connect is decided by "router auth".
With --with-identities there is no such service: the identities are asked for
now and stand in the configuration, which must be made anew when they change.

With --cluster-name the server is one of a cluster: run it once for each, with
the same --keys, another --server-name and the --route of the others. Streams of
three replicas need three servers; --sync-always belongs to them where a message
that was acknowledged must survive the death of all three at once.

With --accounts-only it prints only accounts, permissions and the auth callout, to
be included in a configuration that says the rest: that of the official nats Helm
chart, for example.

With --operator-config it is a configuration in operator mode: operator and
accounts are JWTs, and users bring theirs. The users' credentials are written to
--keys (router.creds, backend.creds, admin.creds, system.creds), together with
the signing keys for "router identity creds". The other flags are the same.`,
		Example: `  router provision --server-config --keys keys --store-dir /data > nats-server.conf
  router provision --server-config --keys keys --sync-always --server-name n1 --cluster-name voice \
      --route nats://n2:6222 --route nats://n3:6222 --cluster-cert n1.pem --cluster-key n1.key --cluster-ca ca.pem > n1.conf
  router provision --operator-config --keys keys --store-dir /data > nats-server.conf
  router provision --nkey keys/admin.nk --replicas 3 --proxies proxies
  router provision --nkey keys/admin.nk --verify
  router provision --nkey keys/admin.nk --server-config --with-identities --keys keys --store-dir /data`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkProvisionFlags(cmd.Flags()); err != nil {
				return err
			}
			if p.operatorConfig {
				return p.printOperatorConfig(cmd)
			}
			if p.serverConfig {
				return p.printServerConfig(cmd, &t)
			}
			if err := p.fromEnvironment(cmd.Flags()); err != nil {
				return err
			}
			return p.run(cmd, &t)
		},
	}
	t.flags(c.Flags())
	p.flags(c.Flags())
	return c
}

func (p *provisioning) flags(f *pflag.FlagSet) {
	f.IntVar(&p.opts.Replicas, "replicas", 0, "replicas of streams and buckets (default ROUTER_REPLICAS, else 1)")
	f.StringVar(&p.storage, "storage", "", "file or memory (default file)")
	f.DurationVar(&p.opts.MaxAge, "max-age", 0, "how long VOICE_OUT keeps messages (default ROUTER_STREAM_MAX_AGE, else 12h)")
	f.DurationVar(&p.opts.MaxCallDuration, "max-call-duration", 0, "longest call (default ROUTER_MAX_CALL_DURATION, else 4h)")
	f.BoolVar(&p.opts.Update, "update", false, "change settings that differ, where nothing stored is lost")
	f.StringVar(&p.proxies, "proxies", "", "directory of signing keys (<selfid>.jwk): add the proxies that the directory of identities does not know")
	f.BoolVar(&p.verify, "verify", false, "change nothing")
	f.BoolVar(&p.serverConfig, "server-config", false, "print a nats-server configuration instead")
	f.BoolVar(&p.operatorConfig, "operator-config", false, "print a nats-server configuration in operator mode instead")
	f.StringVar(&p.keys, "keys", "", "with --server-config: directory of the users' nkey seeds")
	f.BoolVar(&p.server.Fragment, "accounts-only", false, "with --server-config: leave out addresses, TLS and JetStream, for a configuration that includes this one")
	f.BoolVar(&p.withIdentities, "with-identities", false, "with --server-config: include the identities of the directory")
	f.StringVar(&p.server.StoreDir, "store-dir", "/data", "with --server-config: directory of JetStream on the server")
	f.StringVar(&p.server.Host, "host", "0.0.0.0", "with --server-config: address to listen on")
	f.IntVar(&p.server.Port, "port", 4222, "with --server-config: port to listen on")
	f.BoolVar(&p.server.SyncAlways, "sync-always", false, "with --server-config: fsync every write before it is acknowledged")
	f.DurationVar(&p.server.SyncInterval, "sync-interval", 0, "with --server-config: how often to fsync (default the server's)")
	f.StringVar(&p.server.TLS.CertFile, "server-cert", "", "with --server-config: certificate file (PEM) on the server")
	f.StringVar(&p.server.TLS.KeyFile, "server-key", "", "with --server-config: key file (PEM) on the server")
	f.StringVar(&p.server.TLS.CAFile, "server-ca", "", "with --server-config: clients need a certificate that this file (PEM) vouches for")
	f.BoolVar(&p.server.TLS.HandshakeFirst, "handshake-first", false, "with --server-config: TLS before the server says anything")
	f.IntVar(&p.server.WebSocket.Port, "websocket-port", 0, "with --server-config: port for browsers (default none)")
	f.StringSliceVar(&p.server.WebSocket.Origins, "websocket-origin", nil, "with --server-config: origin that browsers may come from (default any)")
	f.BoolVar(&p.server.WebSocket.NoTLS, "websocket-no-tls", false, "with --server-config: a proxy in front terminates TLS")
	f.Int64Var(&p.server.MaxFile, "max-file", 0, "with --server-config: most bytes of streams on disk (default the server's)")
	f.Int64Var(&p.server.MaxMemory, "max-memory", 0, "with --server-config: most bytes of streams in memory (default the server's)")
	f.StringVar(&p.server.Name, "server-name", "", "with --server-config: name of the server; in a cluster each has its own")
	p.clusterFlags(f)
}

func (p *provisioning) clusterFlags(f *pflag.FlagSet) {
	c := &p.server.Cluster
	f.StringVar(&c.Name, "cluster-name", "", "with --server-config: name of the cluster (default none: a server by itself)")
	f.StringVar(&c.Host, "cluster-host", "", "with --server-config: address for routes from the other servers (default --host)")
	f.IntVar(&c.Port, "cluster-port", 0, "with --server-config: port for routes (default 6222)")
	f.StringSliceVar(&c.Routes, "route", nil, "with --server-config: address of another server, nats://host:6222; once for each")
	f.StringVar(&c.Advertise, "cluster-advertise", "", "with --server-config: host:port that the servers tell each other of this one (default where it listens)")
	f.BoolVar(&c.NoAdvertise, "no-advertise", false, "with --server-config: clients are not told of the other servers")
	f.StringVar(&c.TLS.CertFile, "cluster-cert", "", "with --server-config: certificate file (PEM) for routes, both ways")
	f.StringVar(&c.TLS.KeyFile, "cluster-key", "", "with --server-config: its key file (PEM)")
	f.StringVar(&c.TLS.CAFile, "cluster-ca", "", "with --server-config: file (PEM) that the other servers' certificates are checked against")
	f.BoolVar(&c.NoTLS, "cluster-no-tls", false, "with --server-config: the network protects routes, without TLS")
}

// fromEnvironment fills in what the flags left open, so that provision and serve
// agree when they run with the same variables.
func (p *provisioning) fromEnvironment(f *pflag.FlagSet) error {
	cfg, err := loadConfig()
	if err != nil {
		return err
	}
	if !f.Changed("replicas") {
		p.opts.Replicas = cfg.Replicas
	}
	if !f.Changed("max-age") {
		p.opts.MaxAge = cfg.StreamMaxAge
	}
	if !f.Changed("max-call-duration") {
		p.opts.MaxCallDuration = cfg.MaxCallDuration
	}
	p.opts.Storage = provision.Storage(p.storage)
	if err := p.opts.Validate(); err != nil {
		return usageError{err}
	}
	return nil
}

func (p *provisioning) run(cmd *cobra.Command, t *target) error {
	return t.withJetStream(cmd, func(ctx context.Context, js jetstream.JetStream) error {
		out := cmd.OutOrStdout()
		var report provision.Report
		if p.verify {
			err := provision.Verify(ctx, js, p.opts)
			if err == nil && p.proxies != "" {
				err = proxyIdentities(ctx, js, p.proxies, true, &report)
			}
			if err == nil {
				_, err = fmt.Fprintln(out, "everything exists and is right")
			}
			return err
		}
		report, err := provision.Ensure(ctx, js, p.opts)
		if err == nil && p.proxies != "" {
			err = proxyIdentities(ctx, js, p.proxies, false, &report)
		}
		printReport(out, "created", report.Created)
		printReport(out, "updated", report.Updated)
		printReport(out, "unchanged", report.Unchanged)
		return err
	})
}

func printReport(out io.Writer, what string, assets []string) {
	for _, a := range assets {
		fmt.Fprintf(out, "%-9s  %s\n", what, a)
	}
}

func (p *provisioning) printServerConfig(cmd *cobra.Command, t *target) error {
	if p.keys == "" {
		return usagef("--server-config needs --keys: the directory of its nkey seeds")
	}
	if err := userCredentials(p.keys, &p.server); err != nil {
		return err
	}
	if !p.withIdentities {
		if err := calloutKeys(p.keys, &p.server); err != nil {
			return err
		}
	} else {
		err := t.directory(cmd, func(ctx context.Context, _ jetstream.JetStream, kv jetstream.KeyValue) error {
			identities, err := readIdentities(ctx, kv, func(key string, err error) {
				fmt.Fprintf(cmd.ErrOrStderr(), "router: skipped %q: %s\n", key, err)
			})
			p.server.Identities = endpoints(identities)
			return err
		})
		if err != nil {
			return err
		}
	}
	text, err := p.server.Render()
	if err != nil {
		return usageError{err}
	}
	_, err = cmd.OutOrStdout().Write(text)
	return err
}

// userCredentials sets the users of the accounts ROUTER and SYS to nkeys whose
// seeds are in dir.
func userCredentials(dir string, cfg *broker.Config) error {
	for name, credential := range map[string]*broker.Credential{
		broker.UserRouter: &cfg.Router, broker.UserBackend: &cfg.Backend, broker.UserAdmin: &cfg.Admin, broker.UserSystem: &cfg.System,
	} {
		public, err := ensureSeed(filepath.Join(dir, name+seedEnding), nkeys.CreateUser)
		if err != nil {
			return fmt.Errorf("nkey of the user %s: %w", name, err)
		}
		credential.NKey = public
	}
	return nil
}

// Files of the auth callout service in the directory of keys, beside the nkey
// seed of its user.
const (
	issuerFile = "callout-issuer" + seedEnding
	xkeyFile   = "callout-xkey" + seedEnding
)

// calloutKeys has the server ask the auth callout service whose seeds are in dir.
func calloutKeys(dir string, cfg *broker.Config) error {
	for _, key := range []struct {
		name   string
		create func() (nkeys.KeyPair, error)
		public *string
	}{
		{broker.UserAuth + seedEnding, nkeys.CreateUser, &cfg.Auth.NKey},
		{issuerFile, nkeys.CreateAccount, &cfg.Callout.Issuer},
		{xkeyFile, nkeys.CreateCurveKeys, &cfg.Callout.XKey},
	} {
		public, err := ensureSeed(filepath.Join(dir, key.name), key.create)
		if err != nil {
			return fmt.Errorf("key of the auth callout service: %w", err)
		}
		*key.public = public
	}
	return nil
}

// endpoints returns the users of the account VOICE that the directory stands for.
func endpoints(identities []listed) []broker.Endpoint {
	var list []broker.Endpoint
	for _, i := range identities {
		if e, ok := broker.EndpointOf(i.ID, i.Record); ok {
			list = append(list, e)
		}
	}
	return list
}
