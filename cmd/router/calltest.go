package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/subjects"
)

// rehearsal is a call that is made to see whether a fleet works.
type rehearsal struct {
	out      io.Writer
	log      *slog.Logger
	js       jetstream.JetStream
	kv       jetstream.KeyValue
	url      string
	options  []nats.Option // of the identities' connections
	unsigned bool          // the fleet runs with ROUTER_SIGNATURES=off
	proxy    listed
	operator extra
	customer extra
	cid      string
}

// extra is an identity that exists for one rehearsal.
type extra struct {
	id   identity.ID
	key  identity.PrivateKey
	seed []byte
}

func newCallTestCommand(t *target) *cobra.Command {
	var proxy string
	var unsigned bool
	c := &cobra.Command{
		Use: "test", Short: "Relay one call through a running fleet", Args: arguments(),
		Long: `Adds two identities to the directory, connects as both of them, creates a
conversation, and has one call the other through a proxy that the fleet serves:
start, accept, stop. What arrives must be signed by the proxy, the record must say
how the call ended, and no stored message may name one side to the other. Then
everything that was made for it is removed. Exit code 1 says what did not work.

It needs a running "router serve" and "router auth", and a credential that may do
everything in the account ROUTER (admin). While they are starting it tries again,
until --timeout is over.`,
		Example: "  router call test\n  router call test --proxy proxy --nkey keys/admin.nk --timeout 1m",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.directory(cmd, func(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue) error {
				level := &slog.HandlerOptions{Level: slog.LevelWarn}
				r := &rehearsal{out: cmd.OutOrStdout(), log: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), level)), js: js, kv: kv}
				cfg, err := t.transport()
				if err != nil {
					return err
				}
				r.url, r.options, r.unsigned = cfg.NATS.URL, cfg.tlsOptions(), unsigned || cfg.Signatures == signaturesOff
				return r.run(ctx, proxy)
			})
		},
	}
	c.Flags().StringVar(&proxy, "proxy", "", "proxy of the call (default: the first app of the directory that the fleet serves)")
	c.Flags().BoolVar(&unsigned, "unsigned", false, "sign and verify nothing, for a fleet with ROUTER_SIGNATURES=off (default: what that variable says)")
	return c
}

// transport is how the endpoints of a rehearsal reach the server: as the command
// does, without its credential.
func (t *target) transport() (config, error) {
	if t.fromEnvironment() {
		return loadConfig()
	}
	var cfg config
	nctx, err := t.natsContext()
	if err != nil {
		return cfg, err
	}
	cfg.NATS.URL = nctx.ServerURL()
	cfg.NATS.TLS.CA, cfg.NATS.TLS.Cert, cfg.NATS.TLS.Key, cfg.NATS.TLS.First = nctx.CA(), nctx.Certificate(), nctx.Key(), nctx.TLSHandshakeFirst()
	return cfg, nil
}

func (r *rehearsal) run(ctx context.Context, proxy string) (err error) {
	candidates, err := r.proxies(ctx, proxy)
	if err != nil {
		return err
	}
	r.cid = "test-" + strings.ToLower(rand.Text()[:12])
	defer func() {
		if cleanupErr := r.cleanUp(ctx); cleanupErr != nil {
			err = errors.Join(err, fmt.Errorf("what was made for the call is not removed: %w", cleanupErr))
		}
	}()
	for role, e := range map[string]*extra{"-operator": &r.operator, "-customer": &r.customer} {
		if *e, err = r.enroll(ctx, identity.MustID(r.cid+role)); err != nil {
			return err
		}
	}
	r.say("identities", "%s, %s", r.operator.id, r.customer.id)
	if err := r.createConversation(ctx, candidates); err != nil {
		return err
	}
	if err := r.play(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintln(r.out, "one call was relayed")
	return err
}

func (r *rehearsal) say(what, format string, args ...any) {
	fmt.Fprintf(r.out, "%-13s%s\n", what, fmt.Sprintf(format, args...))
}

// proxies are the apps that the fleet may serve, or the one that was asked for.
func (r *rehearsal) proxies(ctx context.Context, name string) ([]listed, error) {
	all, err := readIdentities(ctx, r.kv, func(key string, err error) {
		r.log.Warn("skipped an identity", "key", key, "error", err)
	})
	if err != nil {
		return nil, err
	}
	var apps []listed
	for _, i := range all {
		if i.Role == identity.RoleApp && !i.Revoked && i.ID != identity.Router && (name == "" || i.ID.String() == name) {
			apps = append(apps, i)
		}
	}
	if len(apps) > 0 {
		return apps, nil
	}
	if name != "" {
		return nil, fmt.Errorf("proxy %s is not an app of the directory: \"router provision --proxies\" adds it", printable(name))
	}
	return nil, errors.New("there is no app in the directory: \"router provision --proxies\" adds the proxies")
}

// enroll adds an identity that may connect at once.
func (r *rehearsal) enroll(ctx context.Context, id identity.ID) (extra, error) {
	e := extra{id: id}
	key, err := identity.GenerateKey(keyID)
	if err != nil {
		return e, err
	}
	pair, err := nkeys.CreateUser()
	if err != nil {
		return e, err
	}
	public, err := pair.PublicKey()
	if err != nil {
		return e, err
	}
	if e.seed, err = pair.Seed(); err != nil {
		return e, err
	}
	e.key = key
	value, err := identity.Record{Role: identity.RoleUser, Keys: []identity.PublicKey{key.Public()}, NKey: public}.Encode()
	if err != nil {
		return e, err
	}
	if _, err := r.kv.Create(ctx, id.String(), value); err != nil {
		return e, fmt.Errorf("store identity %s: %w", id, err)
	}
	return e, nil
}

// createConversation creates it with the first proxy that the fleet serves: it
// refuses to announce one whose key it does not hold.
func (r *rehearsal) createConversation(ctx context.Context, proxies []listed) error {
	var errs []error
	for _, proxy := range proxies {
		request := router.CreateRequest{CID: r.cid, TTL: 600, Route: call.Route{
			Proxy: proxy.ID, Operator: r.operator.id, Customer: r.customer.id, Start: call.StartOperator,
		}}
		err := repeatedly(ctx, nats.ErrNoResponders, func() error {
			_, err := askOn[router.CreateRequest, router.CreateResponse](ctx, r.js.Conn(), subjects.ServiceCallCreate, request)
			return err
		})
		refusal, refused := errors.AsType[*serviceError](err)
		switch {
		case err == nil:
			r.proxy = proxy
			r.say("conversation", "%s, through %s", r.cid, proxy.ID)
			return nil
		case refused && refusal.code == router.ServiceBadRequest:
			errs = append(errs, fmt.Errorf("proxy %s: %w", proxy.ID, err))
		default:
			return fmt.Errorf("create a conversation: %w", err)
		}
	}
	return fmt.Errorf("no proxy of the directory is served by this fleet:\n%w", errors.Join(errs...))
}

// repeatedly does something until it does not fail with this error any more, or
// ctx ends.
func repeatedly(ctx context.Context, unless error, do func() error) error {
	for {
		err := do()
		if !errors.Is(err, unless) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(reloadTime):
		}
	}
}

// cleanUp removes identities and route; the call's record ages away.
func (r *rehearsal) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var errs []error
	// A call that is still alive is ended for its record's sake; mostly there is none.
	_, _ = askOn[router.EndRequest, router.EndResponse](ctx, r.js.Conn(), subjects.ServiceCallEnd, router.EndRequest{CID: r.cid})
	routes, err := r.js.KeyValue(ctx, subjects.BucketRoutes)
	if err != nil {
		errs = append(errs, err)
	} else if r.proxy.ID != (identity.ID{}) {
		errs = append(errs, routes.Purge(ctx, r.cid, jetstream.PurgeTTL(time.Minute)))
	}
	for _, e := range []extra{r.operator, r.customer} {
		if e.seed != nil {
			errs = append(errs, r.kv.Purge(ctx, e.id.String(), jetstream.PurgeTTL(time.Minute)))
		}
	}
	return errors.Join(errs...)
}
