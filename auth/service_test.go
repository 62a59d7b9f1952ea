package auth_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/subjects"
)

const (
	alice   = "1112223334"
	mallory = "1111111111"
	proxy   = "proxy"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// door is a broker whose callout service counts.
type door struct {
	*brokertest.Broker
	t        testing.TB
	registry *prometheus.Registry
}

func newDoor(t testing.TB, change func(*brokertest.Options)) *door {
	t.Helper()
	d := &door{t: t, registry: prometheus.NewRegistry()}
	opts := brokertest.Options{
		Memory: true, Callout: true, Users: []string{alice, mallory}, Apps: []string{proxy},
		Auth: func(o *auth.Options) { o.Registerer = d.registry },
	}
	if change != nil {
		change(&opts)
	}
	d.Broker = brokertest.Start(t, opts)
	return d
}

// count returns how many connections had this result.
func (d *door) count(result auth.Result) int {
	d.t.Helper()
	families, err := d.registry.Gather()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "voicerouter_auth_decisions_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == string(result) {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	d.t.Fatalf("no metric of decisions %q", result)
	return 0
}

// refused expects the server to refuse a connection, in its only words, for this
// reason.
func (d *door) refused(t *testing.T, want auth.Result, opts ...nats.Option) {
	t.Helper()
	before := d.count(want)
	nc, err := d.Connect(append(opts, nats.NoReconnect())...)
	if err == nil {
		nc.Close()
		t.Fatal("want the connection refused, it was opened")
	}
	if !errors.Is(err, nats.ErrAuthorization) || err.Error() != "nats: Authorization Violation" {
		t.Errorf("want %q and no more, got %q", nats.ErrAuthorization, err)
	}
	if got := d.count(want); got != before+1 {
		t.Errorf("want one more refusal %q, got %d after %d", want, got, before)
	}
}

func user(t testing.TB) (nkeys.KeyPair, string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return pair, public
}

func TestIdentityConnectsWithItsPermissions(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	violations := make(chan error, 8)
	nc := d.Identity(t, alice, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- err }))
	if _, err := nc.Request(subjects.Voice(alice, "stop"), []byte("{}"), 5*time.Second); err != nil {
		t.Errorf("publish as itself: want a PubAck, got %v", err)
	}
	live, err := nc.SubscribeSync(subjects.LiveAll(alice))
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	admin := brokertest.JetStream(t, d.Admin(t))
	if _, err := admin.Publish(t.Context(), subjects.Inbox(alice, "start"), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if m, err := live.NextMsg(5 * time.Second); err != nil || string(m.Data) != "hello" {
		t.Errorf("want the live message, got %v, %v", m, err)
	}
	for _, subject := range []string{subjects.Voice(mallory, "stop"), subjects.Voice(alice, "invented"), subjects.Inbox(alice, "start")} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-violations:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: want a permissions violation, got %v", subject, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s: want a permissions violation, got none", subject)
		}
	}
	if got := d.count(auth.Allowed); got != 1 {
		t.Errorf("want 1 connection allowed, got %d", got)
	}
}

func TestAppReachesItsDurableOnly(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	js := brokertest.JetStream(t, d.Identity(t, proxy))
	if _, err := js.Consumer(t.Context(), subjects.StreamOut, subjects.AppConsumer(proxy)); err != nil {
		t.Errorf("app: want its durable described, got %v", err)
	}
	violation := make(chan error, 8)
	nc := d.Identity(t, alice, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violation <- err }))
	if err := nc.Publish(subjects.RequestNext(subjects.StreamOut, subjects.AppConsumer(alice)), nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-violation:
	case <-time.After(5 * time.Second):
		t.Error("user: want a permissions violation for an app's subject, got none")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	me := d.Get(t, mallory)
	stranger, strangerPublic := user(t)
	mine, err := me.NKey.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	alicePublic := d.Get(t, alice).Record.NKey
	sign := nats.Nkey(mine, me.NKey.Sign)
	name := func(s string) nats.Option { return nats.Name(s) }
	unsigned := func([]byte) ([]byte, error) { return make([]byte, 64), nil }

	keyless := d.Get(t, alice).Record
	keyless.NKey = ""
	d.Put(t, "keyless", keyless)
	for _, tc := range []struct {
		what string
		want auth.Result
		opts []nats.Option
	}{
		{"another's name", auth.WrongKey, []nats.Option{name(alice), sign}},
		{"no name", auth.BadName, []nats.Option{sign}},
		{"a wildcard for a name", auth.BadName, []nats.Option{name("*"), sign}},
		{"the full wildcard", auth.BadName, []nats.Option{name(">"), sign}},
		{"a name with a wildcard", auth.BadName, []nats.Option{name(mallory + ".*"), sign}},
		{"a name with a dot", auth.BadName, []nats.Option{name(mallory + ".inbox"), sign}},
		{"a name with a blank", auth.BadName, []nats.Option{name(mallory + " "), sign}},
		{"a template for a name", auth.BadName, []nats.Option{name("{{name()}}"), sign}},
		{"a name with a zero byte", auth.BadName, []nats.Option{name(mallory + "\x00"), sign}},
		{"a long name", auth.BadName, []nats.Option{name(fmt.Sprintf("%065d", 1)), sign}},
		{"the wrong nonce signed", auth.BadSignature, []nats.Option{name(mallory), nats.Nkey(mine, func([]byte) ([]byte, error) {
			return me.NKey.Sign([]byte("another nonce"))
		})}},
		{"the right nonce signed by another key", auth.BadSignature, []nats.Option{name(mallory), nats.Nkey(mine, stranger.Sign)}},
		{"another's nkey, signed by one's own", auth.BadSignature, []nats.Option{name(alice), nats.Nkey(alicePublic, me.NKey.Sign)}},
		{"zeros for a signature", auth.BadSignature, []nats.Option{name(mallory), nats.Nkey(mine, unsigned)}},
		{"an unregistered key under a registered name", auth.WrongKey, []nats.Option{name(mallory), nats.Nkey(strangerPublic, stranger.Sign)}},
		{"an unregistered name", auth.Unknown, []nats.Option{name("nobody"), nats.Nkey(strangerPublic, stranger.Sign)}},
		{"an identity without an nkey", auth.WrongKey, []nats.Option{name("keyless"), sign}},
		{"no credential", auth.NoKey, []nats.Option{name(mallory)}},
		{"a password", auth.NoKey, []nats.Option{name(mallory), nats.UserInfo(mallory, "guess")}},
		{"a user name like a service's", auth.NoKey, []nats.Option{name(mallory), nats.UserInfo("router", "router")}},
		{"a token", auth.NoKey, []nats.Option{name(mallory), nats.Token("guess")}},
		{"the worker's nkey without its seed", auth.BadSignature, []nats.Option{name("router"), nats.Nkey(d.PublicNKey(t, "router"), me.NKey.Sign)}},
	} {
		t.Run(tc.what, func(t *testing.T) { d.refused(t, tc.want, tc.opts...) })
	}
}

// TestBrokenAndUnreadableEntries: what cannot be judged is refused.
func TestBrokenAndUnreadableEntries(t *testing.T) {
	t.Parallel()
	d := newDoor(t, func(o *brokertest.Options) {
		old := o.Auth
		o.Auth = func(o *auth.Options) {
			old(o)
			o.Directory = identity.Static{}
		}
	})
	d.refused(t, auth.Unknown, d.Get(t, alice).Options()...)
}

func TestRevokedIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	d.Identity(t, alice).Close()
	d.Revoke(t, alice)
	d.refused(t, auth.Revoked, d.Get(t, alice).Options()...)
	d.Put(t, alice, d.Get(t, alice).Record)
	d.Identity(t, alice).Close()
}

func TestMetricsAreClean(t *testing.T) {
	t.Parallel()
	d := newDoor(t, nil)
	families, err := d.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("want clean metrics, got %v, %v", problems, err)
	}
}
