package voice_test

import (
	"bytes"
	"context"
	"errors"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/voice"
)

// journal is a log that a test reads while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func TestConnectIsRefusedWhatItMayNotDo(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	for name, change := range map[string]func(*voice.Options){
		"another user's nkey": func(o *voice.Options) { o.NATSOptions = r.options(operator).NATSOptions },
		"a user as an app":    func(o *voice.Options) { o.Role = identity.RoleApp },
		"an app's nkey":       func(o *voice.Options) { o.NATSOptions = r.options(proxy).NATSOptions },
		"another app": func(o *voice.Options) {
			o.Role, o.NATSOptions = identity.RoleApp, r.options(proxy).NATSOptions
		},
	} {
		options := r.options(customer)
		change(&options)
		began := time.Now()
		client, err := voice.Connect(t.Context(), options)
		if !errors.Is(err, voice.ErrNotPermitted) || client != nil {
			t.Errorf("%s: got %v, want ErrNotPermitted", name, err)
		}
		if err != nil && !contains(err.Error(), customer) {
			t.Errorf("%s: got %q, want it to name the identity", name, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: refused after %v, want at once", name, took)
		}
	}
}

func TestConnectIsTakenAsWhatItIs(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	for _, name := range []string{customer, proxy} {
		var log journal
		options := r.options(name)
		options.Logger = slog.New(slog.NewTextHandler(&log, nil))
		connect(t, options)
		if log.String() != "" {
			t.Errorf("%s: got log %s, want none", name, log.String())
		}
	}
}

func TestConnectNeedsNoRouter(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Bare: true, Users: []string{customer}, Apps: []string{proxy}})
	for _, name := range []string{customer, proxy} {
		i := b.Get(t, name)
		var log journal
		began := time.Now()
		connect(t, voice.Options{
			URL: b.URL(), SelfID: name, Role: i.Record.Role, SigningKey: i.Key, NATSOptions: i.Options(),
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if !contains(log.String(), "nothing can be received yet") {
			t.Errorf("%s: got log %q, want it to say that nobody answers", name, log.String())
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: connected after %v, want at once: the broker says that nobody answers", name, took)
		}
	}
}

func TestConnectObeysItsContextWhenNobodyAnswers(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	r.setDeaf(true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-r.asked
		cancel()
	}()
	if _, err := voice.Connect(ctx, r.options(customer)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the error of the context", err)
	}

	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	client, err := voice.Connect(ctx, r.options(customer))
	if err != nil {
		t.Fatalf("got %v at the deadline, want the connection that stands", err)
	}
	_ = client.Close(done())
}

// sparing starts a server where a user may ask the sync service and not send.
func sparing(t *testing.T) string {
	t.Helper()
	inbox := subjects.InboxPrefix(customer) + ".>"
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, Users: []*server.User{{
		Username: customer, Password: "p",
		Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{subjects.Sync(customer)}},
			Subscribe: &server.SubjectPermission{Allow: []string{inbox}},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready in 10 s")
	}
	return srv.ClientURL()
}

func TestSendNotPermitted(t *testing.T) {
	t.Parallel()
	client := connect(t, voice.Options{
		URL: sparing(t), SelfID: customer, SigningKey: newKey(t), NATSOptions: []nats.Option{nats.UserInfo(customer, "p")},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err := client.Voice().Stop(proxy, "cid", "c1"); !errors.Is(err, voice.ErrNotPermitted) {
		t.Errorf("got %v, want ErrNotPermitted", err)
	}
}

func newKey(t *testing.T) identity.PrivateKey {
	t.Helper()
	key, err := identity.GenerateKey("1")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestConnectSaysThatTheNKeyIsMissing(t *testing.T) {
	t.Parallel()
	const missing = "neither NKeySeed nor NKeyFile is set"
	url := brokertest.Start(t, brokertest.Options{Bare: true, Users: []string{customer}}).URL()
	host := strings.TrimPrefix(url, "nats://")
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	strange, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.nk")
	if err := os.WriteFile(file, strange, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		options voice.Options
		hint    bool
	}{
		"nothing":            {voice.Options{}, true},
		"options of another": {voice.Options{NATSOptions: []nats.Option{nats.Name("x")}}, true},
		"unknown seed":       {voice.Options{NKeySeed: strange}, false},
		"unknown file":       {voice.Options{NKeyFile: file}, false},
		"unknown user":       {voice.Options{NATSOptions: []nats.Option{nats.UserInfo("u", "p")}}, false},
		"user in the URL":    {voice.Options{URL: "nats://u:p@" + host}, false},
	} {
		o := test.options
		o.SelfID, o.SigningKey = customer, newKey(t)
		if o.URL == "" {
			o.URL = url
		}
		_, err := voice.Connect(t.Context(), o)
		if !errors.Is(err, nats.ErrAuthorization) || contains(err.Error(), missing) != test.hint {
			t.Errorf("%s: got %v, want an authorization error that speaks of a missing nkey: %v", name, err, test.hint)
		}
	}
}

func TestLifetimeIsBounded(t *testing.T) {
	t.Parallel()
	_, err := voice.Connect(t.Context(), voice.Options{SelfID: customer, SigningKey: newKey(t), Lifetime: 24*time.Hour + 1})
	if err == nil || !contains(err.Error(), "Lifetime") || !contains(err.Error(), "24h") {
		t.Errorf("got %v, want an error that names Lifetime and its limit", err)
	}
	r := newRelay(t)
	options := r.options(customer)
	options.Lifetime = 24 * time.Hour
	connect(t, options)
}

// TestErrorsAreLoggedByDefault: who registers no OnError and sets no Logger is
// told all the same.
func TestErrorsAreLoggedByDefault(t *testing.T) { //nolint:paralleltest // it changes the default logger
	var logged journal
	before, out, flags := slog.Default(), log.Writer(), log.Flags()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	t.Cleanup(func() {
		slog.SetDefault(before)
		log.SetOutput(out)
		log.SetFlags(flags)
	})
	r := newRelay(t)
	options := r.options(customer)
	options.Logger = nil
	connect(t, options).Voice().OnStop(func(string, string, string) {})
	m := message(signal.Error, customer, "cid", "c1")
	m.Data = []byte(`{"code":"too_early","detail":"wait","ref":"j"}`)
	r.commit(m)
	eventually(t, "the error is logged", func() bool {
		return contains(logged.String(), "code=too_early") && contains(logged.String(), "ref=j")
	})
}
