package doctor_test

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/doctor"
	"github.com/voicerouter/voicerouter/subjects"
)

// The tests of this file and of certificates_test.go, oldserver_test.go and
// cluster_test.go plant one mistake each in a sound installation, and demand that
// it is found, that nothing else is wrong, and that the mend is named.

func TestPlantedWrongPermission(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *brokertest.Options) { o.Memory = false })
	// A right is taken away and one is added, in the text of the configuration.
	conf := edited(t, b.ConfigFile(), func(text string) string {
		user, rest, _ := strings.Cut(text, "# router\n")
		return user + "# router\n" + strings.Replace(rest, `"call.*.state", `, `"call.>", "$JS.API.STREAM.PURGE.VOICE_OUT", `, 1)
	})
	conf = strings.Replace(conf, `"rejected.>", `, "", 1)
	o := sound(t, b)
	b.Shutdown()
	o.Servers = []string{runConf(t, conf)}
	o.Identity = nil // no auth callout service on this server
	r := examine(t, o)
	want(t, r, doctor.Wrong, "permissions", "user router", "1 of ", " needed permissions are missing: publish rejected.>", "router provision --server-config")
	want(t, r, doctor.Wrong, "permissions", "user router", "1 of ", " things that it must not do are permitted: publish $JS.API.STREAM.PURGE.VOICE_OUT")
	want(t, r, doctor.OK, "permissions", "user backend", "all ", " needed permissions are granted")
	want(t, r, doctor.Wrong, "callout", "a stranger with an nkey", "nobody decides who may connect", `start "router auth"`)
	onlyWrong(t, r, "permissions", "callout")
}

// TestPlantedWrongUser: a credential that is valid, but of another user. What it
// may do beyond what it should is found without being done.
func TestPlantedWrongUser(t *testing.T) {
	t.Parallel()
	b := start(t)
	o := sound(t, b)
	js := brokertest.JetStream(t, b.Admin(t))
	before := stored(t, js)
	o.Credential = credential(t, b, doctor.RoleAdmin)
	o.Credential.Role = doctor.RoleRouter
	r := examine(t, o)
	want(t, r, doctor.Wrong, "permissions", "user router", "18 of 18 things that it must not do are permitted", "that of another user: say which with --as")
	o.Credential = credential(t, b, doctor.RoleBackend)
	o.Credential.Role = doctor.RoleRouter
	r = examine(t, o)
	want(t, r, doctor.Wrong, "permissions", "user router", "needed permissions are missing")
	if after := stored(t, js); after != before {
		t.Errorf("want nothing stored by probes that are permitted, got %d messages more", after-before)
	}
	onlyWrong(t, examine(t, sound(t, b))) // nor anything deleted
}

func TestPlantedMissingStream(t *testing.T) {
	t.Parallel()
	b := start(t)
	if err := brokertest.JetStream(t, b.Admin(t)).DeleteStream(t.Context(), subjects.StreamOut); err != nil {
		t.Fatal(err)
	}
	r := examine(t, sound(t, b))
	want(t, r, doctor.Wrong, "assets", "stream VOICE_OUT does not exist", `"router provision" with the credential of the user admin`)
	want(t, r, doctor.Wrong, "assets", "consumer timeouts of VOICE_OUT does not exist, nor does its stream")
	want(t, r, doctor.Skipped, "commit", "stream VOICE_OUT does not exist")
	onlyWrong(t, r, "assets")
}

func TestPlantedWrongRetention(t *testing.T) {
	t.Parallel()
	b := start(t)
	js := brokertest.JetStream(t, b.Admin(t))
	s, err := js.Stream(t.Context(), subjects.StreamIn)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	if err := js.DeleteStream(t.Context(), cfg.Name); err != nil {
		t.Fatal(err)
	}
	cfg.Retention = jetstream.LimitsPolicy
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	r := examine(t, sound(t, b))
	want(t, r, doctor.Wrong, "assets", "stream VOICE_IN retention is Limits, want WorkQueue", "nats stream rm VOICE_IN", "router provision")
	want(t, r, doctor.Wrong, "assets", "consumer router of VOICE_IN does not exist")
	onlyWrong(t, r, "assets")
}

func TestPlantedMissingRouteBucket(t *testing.T) {
	t.Parallel()
	b := start(t)
	if err := brokertest.JetStream(t, b.Admin(t)).DeleteKeyValue(t.Context(), subjects.BucketRoutes); err != nil {
		t.Fatal(err)
	}
	r := examine(t, sound(t, b))
	want(t, r, doctor.Wrong, "assets", "bucket voice_routes does not exist", `"router provision"`)
	onlyWrong(t, r, "assets")
}

// TestCountingConsumerIsMissing: a fleet that an older version has provisioned.
func TestCountingConsumerIsMissing(t *testing.T) {
	t.Parallel()
	b := start(t)
	if err := brokertest.JetStream(t, b.Admin(t)).DeleteConsumer(t.Context(), subjects.StreamOut, subjects.ConsumerCalls); err != nil {
		t.Fatal(err)
	}
	r := examine(t, sound(t, b))
	want(t, r, doctor.Warn, "assets", "consumer calls of VOICE_OUT does not exist: routers work without it", "router provision")
	onlyWrong(t, r)
}

func TestPlantedUnreadableKey(t *testing.T) {
	t.Parallel()
	b := start(t)
	o := sound(t, b)
	o.Keys = append(o.Keys,
		doctor.KeyFile{Name: "proxies/open.jwk", ID: identity.MustID("open"), Err: identity.ErrKeyFileMode},
		doctor.KeyFile{Name: "proxies/gone.jwk", ID: identity.MustID("gone"), Err: errors.Join(fs.ErrPermission)})
	r := examine(t, o)
	want(t, r, doctor.Wrong, "keys", "proxies/open.jwk", "chmod 600 proxies/open.jwk")
	want(t, r, doctor.Wrong, "keys", "proxies/gone.jwk", "permission denied", "read proxies/gone.jwk")
	want(t, r, doctor.OK, "keys", "proxies/proxy.jwk")
	onlyWrong(t, r, "keys")
}

func TestPlantedUnknownProxy(t *testing.T) {
	t.Parallel()
	b := start(t)
	o := sound(t, b)
	key, err := identity.GenerateKey("1")
	if err != nil {
		t.Fatal(err)
	}
	o.Keys = []doctor.KeyFile{
		{Name: "p/nobody.jwk", ID: identity.MustID("nobody"), Key: key},
		{Name: "p/alice.jwk", ID: identity.MustID("alice"), Key: b.Get(t, "alice").Key},
		{Name: "p/proxy.jwk", ID: identity.MustID("proxy"), Key: key},
	}
	r := examine(t, o)
	want(t, r, doctor.Wrong, "proxies", "proxy nobody is not in the directory",
		"jq 'del(.d)' p/nobody.jwk > public.jwk && router identity add nobody --role app --jwk public.jwk")
	want(t, r, doctor.Wrong, "proxies", "proxy alice has the role user: a proxy must be an app")
	want(t, r, doctor.Wrong, "proxies", "proxy proxy has another key in the directory", "--replace")
	b.Revoke(t, "proxy")
	want(t, examine(t, o), doctor.Wrong, "proxies", "proxy proxy is revoked", "remove p/proxy.jwk")
	onlyWrong(t, r, "proxies")
}

func TestPlantedClockOff(t *testing.T) {
	t.Parallel()
	b := start(t)
	o := sound(t, b)
	for _, tc := range []struct {
		off    time.Duration
		status doctor.Status
		seen   string
	}{
		{90 * time.Second, doctor.Wrong, "ahead of the broker's clock"},
		{-90 * time.Second, doctor.Wrong, "behind the broker's clock"},
		{5 * time.Second, doctor.Warn, "ahead of the broker's clock"},
	} {
		o.Now = func() time.Time { return time.Now().Add(tc.off) }
		r := examine(t, o)
		want(t, r, tc.status, "clock", tc.seen, "timedatectl set-ntp true")
		want(t, r, tc.status, "fleet", tc.seen)
		onlyWrong(t, r, "clock", "fleet")
	}
}

// TestNobodyIsHome: without a connection there are useful lines.
func TestNobodyIsHome(t *testing.T) {
	t.Parallel()
	b := start(t)
	o := sound(t, b)
	o.Servers = []string{"nats://127.0.0.1:1", "nats://no-such-host.invalid:4222"}
	o.Timeout = 2 * time.Second
	r := examine(t, o)
	want(t, r, doctor.Wrong, "server", "nats://127.0.0.1:1 connection refused", "start the server")
	want(t, r, doctor.Wrong, "server", "no-such-host.invalid", "cannot be resolved", "correct ROUTER_NATS_URL")
	want(t, r, doctor.Skipped, "assets", "no server can be reached")
	want(t, r, doctor.OK, "keys", "proxies/proxy.jwk")
	onlyWrong(t, r, "server")
}

func TestCredentialIsRefused(t *testing.T) {
	t.Parallel()
	b, other := start(t), start(t)
	o := sound(t, b)
	o.Credential = credential(t, other, doctor.RoleRouter)
	o.Credential.Name = "the nkey UABC"
	o.Others = nil
	r := examine(t, o)
	want(t, r, doctor.Wrong, "connection", "user router the server refuses the nkey UABC: nats: Authorization Violation", "router provision --server-config")
	want(t, r, doctor.OK, "server", "nats-server "+server.VERSION)
	want(t, r, doctor.Skipped, "permissions", "there is no connection")
	want(t, r, doctor.OK, "callout", "identity alice is let in")
	onlyWrong(t, r, "connection")
}

// TestAuthCannotAsk: exports and imports that the auth callout service needs are
// not in the configuration.
func TestAuthCannotAsk(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *brokertest.Options) { o.Memory = false })
	conf := edited(t, b.ConfigFile(), func(text string) string {
		for _, subject := range []string{subjects.RequestVoiceConnections, subjects.RequestMessage(subjects.KV(subjects.BucketIdentities))} {
			text = regexp.MustCompile(`(?m)^ *\{service: .*"`+regexp.QuoteMeta(subject)+`".*$`).ReplaceAllString(text, "")
		}
		return text
	})
	o := sound(t, b)
	b.Shutdown()
	o.Servers, o.Identity = []string{runConf(t, conf)}, nil
	r := examine(t, o)
	want(t, r, doctor.Wrong, "callout", "user auth cannot read the directory", "router provision --server-config")
	want(t, r, doctor.Wrong, "callout", "user auth is not told of connections", "router provision --server-config")
	onlyWrong(t, r, "callout")
}

// TestStrangerIsLetIn: an insecure server.
func TestStrangerIsLetIn(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *brokertest.Options) {
		o.Callout, o.Configure = false, func(c *broker.Config) { c.Insecure = true }
	})
	r := examine(t, sound(t, b))
	want(t, r, doctor.OK, "callout", "a stranger with an nkey is refused")
	want(t, r, doctor.Wrong, "callout", "a stranger without credentials is let in", "remove no_auth_user")
	want(t, r, doctor.OK, "callout", "identity alice is let in")
	onlyWrong(t, r, "callout")
}

// edited returns the text of a configuration file, changed; the change must
// change something.
func edited(t *testing.T, file string, change func(string) string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	after := change(string(text))
	if after == string(text) {
		t.Fatal("the configuration was not changed")
	}
	return after
}

// runConf runs a server from the text of a configuration until the test ends.
func runConf(t *testing.T, conf string) string {
	t.Helper()
	file := t.TempDir() + "/nats-server.conf"
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	opts.NoSigs, opts.NoLog = true, true
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("want the server ready, it is not")
	}
	return s.ClientURL()
}
