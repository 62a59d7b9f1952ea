package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/voice"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin runs a task until the test ends, which fails if the task does.
func begin(t *testing.T, what string, task func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- task(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	})
}

// files writes the keys of an identity as a deployment has them.
func files(t *testing.T, id brokertest.Identity) (key, nkey string) {
	t.Helper()
	dir := t.TempDir()
	key, nkey = filepath.Join(dir, "proxy.jwk"), filepath.Join(dir, "proxy.nk")
	jwk, err := json.Marshal(id.Key)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := id.NKey.Seed()
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{key: jwk, nkey: seed} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return key, nkey
}

// side is one of the two who talk.
type side struct {
	*voice.Voice
	t   *testing.T
	got chan voice.Message
}

func newSide(t *testing.T, b *brokertest.Broker, name string) side {
	t.Helper()
	i := b.Get(t, name)
	client, err := voice.Connect(t.Context(), voice.Options{URL: b.URL(), SelfID: name, SigningKey: i.Key, NATSOptions: i.Options()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	s := side{client.Voice(), t, make(chan voice.Message, 100)}
	s.OnMessage(func(_ context.Context, m voice.Message) error {
		s.got <- m
		return nil
	})
	return s
}

// hears waits for the next message, which must be from the proxy.
func (s side) hears(typ, callID, peerInfo, data string) {
	s.t.Helper()
	select {
	case m := <-s.got:
		if string(m.Type) != typ || m.CallID != callID || m.PeerInfo != peerInfo || string(m.Data) != data || m.Issuer.String() != "proxy" {
			s.t.Fatalf("got %s %s peer_info %q data %s from %s, want %s %s %q %s from proxy",
				m.Type, m.CallID, m.PeerInfo, m.Data, m.Issuer, typ, callID, peerInfo, data)
		}
	case <-time.After(10 * time.Second):
		s.t.Fatalf("got nothing in 10 s, want %s %s", typ, callID)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCallsThroughTheHandWrittenProxy(t *testing.T) {
	b := brokertest.Start(t, brokertest.Options{Memory: true, Users: []string{operator, customer}, Apps: []string{"proxy"}})
	r, err := router.New(router.Options{Conn: b.Router(t), Directory: b.Directory()})
	must(t, err)
	begin(t, "router", r.Run)
	key, nkey := files(t, b.Get(t, "proxy"))
	begin(t, "proxy", func(ctx context.Context) error {
		return run(ctx, []string{"-url", b.URL(), "-key", key, "-nkey", nkey}, testWriter{t})
	})
	op, cu := newSide(t, b, operator), newSide(t, b, customer)

	rings := func(callID string) {
		t.Helper()
		must(t, op.Start("proxy", "cid", callID, "offer", nil))
		cu.hears("start", callID, "offer", `{"operator_name":"Bob"}`)
	}
	answered := func(callID string) {
		t.Helper()
		rings(callID)
		must(t, cu.Accept("proxy", "cid", callID, "answer", nil))
		op.hears("accept", callID, "answer", `{}`)
	}

	answered("hung-up-by-operator")
	must(t, op.Stop("proxy", "cid", "hung-up-by-operator"))
	cu.hears("stop", "hung-up-by-operator", "", "")

	answered("hung-up-by-customer")
	must(t, cu.Stop("proxy", "cid", "hung-up-by-customer"))
	op.hears("stop", "hung-up-by-customer", "", "")

	rings("customer-busy")
	must(t, cu.Busy("proxy", "cid", "customer-busy"))
	op.hears("busy", "customer-busy", "", "")

	rings("operator-busy")
	must(t, op.Busy("proxy", "cid", "operator-busy"))
	cu.hears("busy", "operator-busy", "", "")
}

func TestMissingFlagsAreNamed(t *testing.T) {
	t.Setenv("VOICE_KEY", "")
	t.Setenv("VOICE_NKEY", "")
	for want, args := range map[string][]string{
		"-key is missing":  {"-nkey", "proxy2.nk"},
		"-nkey is missing": {"-key", "proxy2.jwk"},
	} {
		err := run(t.Context(), args, testWriter{t})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want an error that says %q", args, err, want)
		}
	}
	err := run(t.Context(), nil, testWriter{t})
	if err == nil || !strings.Contains(err.Error(), "-key is missing") || !strings.Contains(err.Error(), "-nkey is missing") {
		t.Errorf("got %v, want an error that names both", err)
	}
}

func TestMissingKeyIsNamed(t *testing.T) {
	err := run(t.Context(), []string{"-key", "/nonexistent/key.jwk", "-nkey", "/nonexistent/key.nk"}, testWriter{t})
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/key.jwk") {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil { // not after the test
		w.t.Logf("%s", p)
	}
	return len(p), nil
}
