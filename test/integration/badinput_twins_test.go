package integration

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// twins sends messages that must be answered in the same words and at the same
// size: the answers differ in jti, times and what the sender itself wrote.
func (b *badWorld) twins(e *endpoint, message func(which int) signal.Message, n int, code signal.Code) {
	b.t.Helper()
	var first object
	var size int
	for which := range n {
		m := message(which)
		m.JTI = fmt.Sprintf("%032d", e.n) // of one size
		e.send(m)
		raw := e.raw()
		parsed, err := identity.ParseEnvelope(raw.Data)
		if err != nil {
			b.t.Fatal(err)
		}
		var claims object
		if err := json.Unmarshal(parsed.Payload, &claims); err != nil {
			b.t.Fatal(err)
		}
		data, ok := claims["data"].(map[string]any)
		if !ok || data["ref"] != m.JTI || data["code"] != string(code) || claims["cid"] != m.CID {
			b.t.Fatalf("%d: answer %s, want %s about %s", which, parsed.Payload, code, m.JTI)
		}
		delete(data, "ref")
		for _, name := range []string{"jti", "iat", "exp", "cid"} {
			delete(claims, name)
		}
		if which == 0 {
			first, size = claims, len(raw.Data)
			continue
		}
		if diff := cmp.Diff(first, claims); diff != "" {
			b.t.Errorf("%s: the first and number %d differ:\n%s", m.Type, which, diff)
		}
		if len(raw.Data) != size {
			b.t.Errorf("%s: the first has %d bytes, number %d %d", m.Type, size, which, len(raw.Data))
		}
	}
}

// TestUnknownCallLooksAlike: to somebody who is not on a route, a conversation
// that exists, in whatever state, looks like one that does not.
func TestUnknownCallLooksAlike(t *testing.T) {
	b := newBadWorld(t)
	const none, idle, ringing, active, ended = "c-none", "c-idle", "c-ring", "c-actv", "c-ende"
	for _, cid := range []string{idle, ringing, active, ended} {
		b.route(cid, nil)
	}
	for _, cid := range []string{ringing, active, ended} {
		b.op.say(signal.Start, cid, "k", nil)
		b.cu.expect(signal.Start, "k")
	}
	b.cu.say(signal.Accept, active, "k", nil)
	b.op.expect(signal.Accept, "k")
	b.op.say(signal.Stop, ended, "k", nil)
	b.cu.expect(signal.Stop, "k")

	x := b.endpoint(stranger)
	cids := []string{none, idle, ringing, active, ended}
	for _, typ := range []signal.Type{
		signal.Start, signal.Ringing, signal.Accept, signal.Busy, signal.Stop, signal.Candidate, signal.Update, signal.Summary,
	} {
		t.Run(string(typ), func(t *testing.T) {
			b.in(t, func() {
				b.twins(x, func(which int) signal.Message { return x.claims(typ, cids[which], "k") }, len(cids), signal.CodeUnknownCall)
				b.twins(x, func(which int) signal.Message { return x.claims(typ, cids[which], "other") }, len(cids), signal.CodeUnknownCall)
			})
		})
	}
	// Those who talk have heard nothing of it: what comes next is their own.
	b.op.say(signal.Stop, active, "k", nil)
	b.cu.expect(signal.Stop, "k")
	b.cu.say(signal.Busy, ringing, "k", nil)
	b.op.expect(signal.Busy, "k")
}

// TestForbiddenLooksAlike: a user cannot find out who exists by addressing them.
func TestForbiddenLooksAlike(t *testing.T) {
	b := newBadWorld(t)
	b.twins(b.clumsy, func(which int) signal.Message {
		m := b.clumsy.claims(signal.Start, "c1", "k1")
		m.Recipient = identity.MustID([]string{operator, unknown, revoked, garbled}[which])
		return m
	}, 4, signal.CodeForbidden)
}
