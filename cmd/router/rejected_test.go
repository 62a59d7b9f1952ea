package main

import (
	"bytes"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestRejected: what is refused can be looked at, and what it says only when it is
// asked for.
func TestRejected(t *testing.T) {
	t.Parallel()
	d := startDev(t, t.TempDir())
	keys := filepath.Join(d.dir, "keys")
	nc, err := d.voice(keys, devOperator)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	send := func(typ signal.Type, data []byte) {
		t.Helper()
		if _, err := nc.Request(subjects.Voice(devOperator, string(typ)), data, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	key, err := identity.ReadPrivateKey(filepath.Join(keys, devOperator+jwkEnding))
	if err != nil {
		t.Fatal(err)
	}
	m := signal.Message{
		Type: signal.Accept, JTI: "j1", Issuer: identity.MustID(devOperator), Recipient: identity.MustID(devProxy),
		IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute), CID: "nowhere", CallID: "k1", PeerInfo: "whispered",
	}
	claims, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	send(signal.Accept, key.Sign(claims))
	send(signal.Stop, []byte("\x1b[2J rubbish"))

	var list []rejection
	for end := time.Now().Add(30 * time.Second); len(list) < 2; {
		out := mustSucceed(t, d.as(broker.UserAdmin, "rejected", "list", "--json")...).stdout
		list = nil
		for line := range strings.Lines(out) {
			var r rejection
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			list = append(list, r)
		}
		if time.Now().After(end) {
			t.Fatalf("want two refused messages, got %s", out)
		}
	}
	of := map[string]rejection{}
	for _, r := range list {
		of[r.Reason] = r
	}
	if r := of["unknown_call"]; r.From != devOperator || r.Type != "accept" || r.CID != "nowhere" || r.CallID != "k1" || r.Detail == "" || r.Content != nil {
		t.Errorf("want whose it was and why, and no content, got %+v", r)
	}
	rubbish := of["malformed"]
	if rubbish.From != devOperator || rubbish.Type != "" || rubbish.Size == 0 {
		t.Errorf("want the rubbish too, got %+v", list)
	}

	text := mustSucceed(t, d.as(broker.UserAdmin, "rejected", "list", "--reason", "unknown_call", "--identity", devOperator)...).stdout
	if !strings.Contains(text, "unknown_call") || strings.Contains(text, "malformed") || strings.Contains(text, "whispered") {
		t.Errorf("want only what was asked for, without content, got\n%s", text)
	}
	r := cli(t, d.as(broker.UserAdmin, "rejected", "list", "--limit", "1")...)
	if !strings.Contains(r.stderr, "1 earlier ones are left out") || strings.Count(r.stdout, "\n") != 2 {
		t.Errorf("want the last one, and to be told of the other, got %s%s", r.stdout, r.stderr)
	}
	seq := func(r rejection) string { return strconv.FormatUint(r.Seq, 10) }
	if out := mustSucceed(t, d.as(broker.UserAdmin, "rejected", "show", seq(rubbish))...).stdout; strings.Contains(out, "rubbish") || !strings.Contains(out, "malformed") {
		t.Errorf("want no content, got\n%s", out)
	}
	out := mustSucceed(t, d.as(broker.UserAdmin, "rejected", "show", seq(rubbish), "--content")...).stdout
	if !strings.Contains(out, `\x1b[2J rubbish`) || bytes.ContainsRune([]byte(out), '\x1b') {
		t.Errorf("want the content, escaped, got\n%q", out)
	}
	wantFailure(t, cli(t, d.as(broker.UserAdmin, "rejected", "show", "999999")...), exitFailure, "no refused message has the sequence 999999", "rejected list")
	wantFailure(t, cli(t, d.as(broker.UserBackend, "rejected", "list", "--timeout", "5s")...), exitFailure, "this credential may not do that")
	d.stop(t)
}
