package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
)

// TestErrorsSayInputAndRemedy: what was asked for, with which input, and what to do.
func TestErrorsSayInputAndRemedy(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t, brokertest.Options{Memory: true, Users: []string{"alice"}})
	bare := brokertest.Start(t, brokertest.Options{Bare: true})
	dir := t.TempDir()
	stranger := filepath.Join(dir, "stranger.nk")
	if _, err := generateSeed(stranger, nkeys.CreateUser); err != nil {
		t.Fatal(err)
	}
	rubbish := filepath.Join(dir, "rubbish.nk")
	if err := os.WriteFile(rubbish, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(b *brokertest.Broker, user string) []string {
		return []string{"-s", b.URL(), "--nkey", b.SeedFile(t, user), "--timeout", "5s"}
	}
	admin, backend := at(b, broker.UserAdmin), at(b, broker.UserBackend)
	for name, tc := range map[string]struct {
		args, with []string
		parts      []string
	}{
		"nobody listens": {
			[]string{"call", "list"},
			[]string{"-s", "nats://127.0.0.1:1"},
			[]string{"nats://127.0.0.1:1", "no credential (see --creds and --nkey)", "start the server"},
		},
		"no such name": {
			[]string{"call", "list"},
			[]string{"-s", "nats://no-such-host.invalid:4222", "--timeout", "5s"},
			[]string{"no-such-host.invalid", "correct"},
		},
		"refused": {
			[]string{"call", "list"},
			[]string{"-s", b.URL(), "--nkey", stranger},
			[]string{b.URL(), stranger, "Authorization Violation", "router provision --server-config"},
		},
		"no router runs":    {[]string{"call", "list"}, backend, []string{"router.call.list", b.URL(), "is one running"}},
		"not permitted":     {[]string{"identity", "list"}, backend, []string{"may not do that", "backend.nk", "use the user admin"}},
		"unknown identity":  {[]string{"identity", "show", "nobody"}, admin, []string{"identity nobody", "router identity list"}},
		"identity exists":   {[]string{"identity", "add", "alice", "--generate", "--dir", dir}, admin, []string{"identity alice exists already", "--replace"}},
		"nothing exists":    {[]string{"identity", "list"}, at(bare, broker.UserAdmin), []string{"voice_identities", "router provision"}},
		"nothing to verify": {[]string{"provision", "--verify"}, at(bare, broker.UserAdmin), []string{"stream VOICE_IN does not exist", "run provision"}},
		"no refusals":       {[]string{"rejected", "show", "7"}, admin, []string{"sequence 7", "router rejected list"}},
		"not the account": {
			[]string{"provision"}, at(b, broker.UserSystem), []string{"JetStream", "account ROUTER"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFailure(t, cli(t, append(tc.args, tc.with...)...), exitFailure, tc.parts...)
		})
	}
	wantFailure(t, cli(t, "provision", "--server-config", "--keys", rubbishDir(t, rubbish)), exitFailure, "does not contain the seed of an nkey", "remove it")
}

// rubbishDir is a directory of keys one of which is none.
func rubbishDir(t *testing.T, file string) string {
	t.Helper()
	dir := t.TempDir()
	for _, user := range []string{broker.UserRouter, broker.UserBackend, broker.UserAdmin, broker.UserSystem} {
		if err := os.Link(file, filepath.Join(dir, user+seedEnding)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
