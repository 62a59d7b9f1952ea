package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// badMessage is one way to get it wrong.
type badMessage struct {
	name string
	// typ is the type in the subject; default start.
	typ string
	// from is the identity in the subject, default clumsy; anybody else's message
	// is stored by the administrator.
	from string
	// make returns the bytes; m is a valid start with a secret offer.
	make func(b *badWorld, m signal.Message) []byte
	code signal.Code
	// answered: the signature is good, the sender hears about it, with the jti of
	// the message unless noRef. stopped: and, for clients that know no errors, a
	// stop.
	answered, noRef, stopped bool
}

// change makes the bytes of a well signed message with changed claims.
func change(changes object) func(*badWorld, signal.Message) []byte {
	return func(b *badWorld, m signal.Message) []byte { return b.clumsy.bytes(m, changes) }
}

// text makes the same bytes for everybody.
func text(s string) func(*badWorld, signal.Message) []byte {
	return func(*badWorld, signal.Message) []byte { return []byte(s) }
}

// signed makes a JWS over any payload, signed well.
func signed(payload func(m signal.Message) string) func(*badWorld, signal.Message) []byte {
	return func(b *badWorld, m signal.Message) []byte { return b.clumsy.id.Key.Sign([]byte(payload(m))) }
}

// envelope makes a good message and changes the members of its JWS.
func envelope(change func(members map[string]string)) func(*badWorld, signal.Message) []byte {
	return func(b *badWorld, m signal.Message) []byte {
		b.t.Helper()
		members := map[string]string{}
		err := json.Unmarshal(b.clumsy.bytes(m, nil), &members)
		change(members)
		data, err2 := json.Marshal(members)
		if err != nil || err2 != nil {
			b.t.Fatal(err, err2)
		}
		return data
	}
}

func protected(header string) func(*badWorld, signal.Message) []byte {
	return envelope(func(members map[string]string) {
		members["protected"] = base64.RawURLEncoding.EncodeToString([]byte(header))
	})
}

func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }

var badMessages = []badMessage{
	{name: "nothing", make: text(""), code: signal.CodeMalformed},
	{name: "text", make: text(secret), code: signal.CodeMalformed},
	{name: "bytes", make: text("\x00\xff\xfe\x80"), code: signal.CodeMalformed},
	{name: "null", make: text("null"), code: signal.CodeMalformed},
	{name: "deep JSON", make: text(strings.Repeat("[", 60000)), code: signal.CodeMalformed},
	{name: "as large as the stream takes", make: text(strings.Repeat("x", 65200)), code: signal.CodeMalformed},
	{name: "compact JWS", make: text("e30.e30.e30"), code: signal.CodeMalformed},
	{name: "unsigned claims", make: func(b *badWorld, m signal.Message) []byte {
		payload, err := m.Encode()
		if err != nil {
			b.t.Fatal(err)
		}
		return payload
	}, code: signal.CodeMalformed},
	{name: "cut off", make: func(b *badWorld, m signal.Message) []byte { d := b.clumsy.bytes(m, nil); return d[:len(d)-1] }, code: signal.CodeMalformed},
	{name: "trailing", make: func(b *badWorld, m signal.Message) []byte { return append(b.clumsy.bytes(m, nil), '0') }, code: signal.CodeMalformed},
	{name: "invalid UTF-8 in the JWS", make: func(b *badWorld, m signal.Message) []byte {
		return bytes.Replace(b.clumsy.bytes(m, nil), []byte(`"payload":"`), []byte("\"payload\":\"\xff"), 1)
	}, code: signal.CodeMalformed},
	{name: "unprotected header", make: envelope(func(m map[string]string) { m["header"] = "{}" }), code: signal.CodeMalformed},
	{name: "duplicate member", make: func(b *badWorld, m signal.Message) []byte {
		return bytes.Replace(b.clumsy.bytes(m, nil), []byte(`{`), []byte(`{"payload":"e30",`), 1)
	}, code: signal.CodeMalformed},

	{name: "crit", make: protected(`{"alg":"EdDSA","kid":"1","crit":["exp"]}`), code: signal.CodeBadHeader},
	{name: "b64", make: protected(`{"alg":"EdDSA","kid":"1","b64":false}`), code: signal.CodeBadHeader},
	{name: "no kid", make: protected(`{"alg":"EdDSA"}`), code: signal.CodeBadHeader},
	{name: "alg none", make: protected(`{"alg":"none","kid":"1"}`), code: signal.CodeBadAlgorithm},
	{name: "alg ES256", make: protected(`{"alg":"ES256","kid":"1"}`), code: signal.CodeBadAlgorithm},
	{name: "hostile alg", make: protected(`{"alg":"\r\nNats-Rollup: all","kid":"1"}`), code: signal.CodeBadAlgorithm},

	{name: "unknown identity", from: unknown, make: change(nil), code: signal.CodeUnknownIdentity},
	{name: "broken record", from: garbled, make: change(nil), code: signal.CodeUnknownIdentity},
	{name: "revoked", from: revoked, make: func(b *badWorld, m signal.Message) []byte {
		return b.Get(b.t, revoked).Key.Sign([]byte("{}"))
	}, code: signal.CodeRevoked},
	{name: "unknown kid", make: protected(`{"alg":"EdDSA","kid":"2"}`), code: signal.CodeUnknownKey},
	{name: "signature of another", make: func(b *badWorld, m signal.Message) []byte { return b.patient.bytes(m, nil) }, code: signal.CodeBadSignature},
	{name: "other payload", make: envelope(func(m map[string]string) { m["payload"] = "e30" }), code: signal.CodeBadSignature},
	{name: "message of the other side", from: patient, make: change(nil), code: signal.CodeBadSignature},

	{name: "unknown type", typ: "dance", make: change(object{"typ": "chat.voice.dance"}), code: signal.CodeUnknownType, answered: true},
	{name: "type with a capital", typ: "Start", make: change(nil), code: signal.CodeUnknownType, answered: true},
	{name: "long type", typ: strings.Repeat("t", 200), make: change(nil), code: signal.CodeUnknownType, answered: true},
	{name: "other type", typ: "stop", make: change(nil), code: signal.CodeTypeMismatch, answered: true},
	{name: "other type, start", make: change(object{"typ": "chat.voice.busy"}), code: signal.CodeTypeMismatch, answered: true, stopped: true},

	{name: "payload empty", make: signed(func(signal.Message) string { return "" }), code: signal.CodeBadClaims, answered: true, noRef: true},
	{name: "payload text", make: signed(func(signal.Message) string { return secret }), code: signal.CodeBadClaims, answered: true, noRef: true},
	{name: "payload array", make: signed(func(signal.Message) string { return "[]" }), code: signal.CodeBadClaims, answered: true, noRef: true},
	{name: "payload deep", make: signed(func(signal.Message) string { return strings.Repeat(`{"data":`, 5000) }), code: signal.CodeBadClaims, answered: true, noRef: true},
	{name: "payload invalid UTF-8", make: signed(func(m signal.Message) string { return `{"jti":"` + m.JTI + "\xff" + `"}` }), code: signal.CodeBadClaims, answered: true, noRef: true},
	{name: "payload duplicate", make: signed(func(m signal.Message) string { return `{"jti":"` + m.JTI + `","jti":"x"}` }), code: signal.CodeBadClaims, answered: true, noRef: true},
	{name: "typ missing", make: change(object{"typ": absent}), code: signal.CodeBadClaims, answered: true, stopped: true},
	{name: "typ foreign", make: change(object{"typ": "chat.message"}), code: signal.CodeBadClaims, answered: true, stopped: true},
	{name: "jti number", make: change(object{"jti": 5}), code: signal.CodeBadClaims, answered: true, noRef: true, stopped: true},
	{name: "jti oversized", make: change(object{"jti": strings.Repeat("j", 129)}), code: signal.CodeOversized, answered: true, noRef: true, stopped: true},
	{name: "iss of another", make: change(object{"iss": operator}), code: signal.CodeWrongIssuer, answered: true, stopped: true},
	{name: "iss missing", make: change(object{"iss": absent}), code: signal.CodeBadClaims, answered: true, stopped: true},
	{name: "sub number", make: change(object{"sub": 1}), code: signal.CodeBadClaims, answered: true},
	{name: "sub wildcard", make: change(object{"sub": ">", "aud": ">"}), code: signal.CodeBadClaims, answered: true},
	{name: "sub nobody", make: change(object{"sub": unknown, "aud": unknown}), code: signal.CodeForbidden, answered: true},
	{name: "sub another user", make: change(object{"sub": operator, "aud": operator}), code: signal.CodeForbidden, answered: true},
	{name: "sub oneself", make: change(object{"sub": clumsy, "aud": clumsy}), code: signal.CodeForbidden, answered: true},
	{name: "aud of another", make: change(object{"aud": app}), code: signal.CodeBadAudience, answered: true, stopped: true},
	{name: "aud array", make: change(object{"aud": []string{proxy}}), code: signal.CodeBadClaims, answered: true, stopped: true},
	{name: "cid number", make: change(object{"cid": 5}), code: signal.CodeBadClaims, answered: true},
	{name: "cid of two tokens", make: change(object{"cid": "a.state"}), code: signal.CodeBadClaims, answered: true},
	{name: "cid oversized", make: change(object{"cid": strings.Repeat("c", 129)}), code: signal.CodeBadClaims, answered: true},
	{name: "call_id missing", make: change(object{"call_id": absent}), code: signal.CodeBadClaims, answered: true},
	{name: "call_id oversized", make: change(object{"call_id": strings.Repeat("c", 129)}), code: signal.CodeBadClaims, answered: true},
	{name: "peer_info object", make: change(object{"peer_info": object{"sdp": secret}}), code: signal.CodeBadClaims, answered: true, stopped: true},
	{name: "peer_info oversized", make: change(object{"peer_info": strings.Repeat("p", signal.MaxPeerInfo+1)}), code: signal.CodeOversized, answered: true, stopped: true},
	{name: "data text", make: change(object{"data": secret}), code: signal.CodeBadClaims, answered: true, stopped: true},
	{name: "data oversized", make: change(object{"data": object{"media": strings.Repeat("d", signal.MaxData)}}), code: signal.CodeOversized, answered: true, stopped: true},
	{name: "data deep", make: change(object{"data": json.RawMessage(`{"media":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`)}), code: signal.CodeOversized, answered: true, stopped: true},
	{name: "party with a space", make: change(object{"party": "front desk"}), code: signal.CodeBadClaims, answered: true, stopped: true},
	{name: "reason oversized", make: change(object{"reason": strings.Repeat("r", 65)}), code: signal.CodeOversized, answered: true, stopped: true},
	{name: "iat text", make: change(object{"iat": "noon"}), code: signal.CodeBadClaims, answered: true, stopped: true},
	{name: "iat fraction", make: change(object{"iat": 1.5}), code: signal.CodeBadClaims, answered: true, stopped: true},
	{name: "exp missing", make: change(object{"exp": absent}), code: signal.CodeBadClaims, answered: true, stopped: true},
	{name: "accept, exp missing", typ: "accept", make: change(object{"typ": "chat.voice.accept", "exp": absent}), code: signal.CodeBadClaims, answered: true, stopped: true},
	{name: "stop, exp missing", typ: "stop", make: change(object{"typ": "chat.voice.stop", "exp": absent}), code: signal.CodeBadClaims, answered: true},
	{name: "stale", make: func(b *badWorld, m signal.Message) []byte {
		return b.clumsy.bytes(m, object{"iat": ago(7 * time.Minute)})
	}, code: signal.CodeStale, answered: true, stopped: true},
	{name: "from the future", make: func(b *badWorld, m signal.Message) []byte {
		return b.clumsy.bytes(m, object{"iat": ago(-2 * time.Minute)})
	}, code: signal.CodeFuture, answered: true, stopped: true},
	{name: "expired", make: func(b *badWorld, m signal.Message) []byte {
		return b.clumsy.bytes(m, object{"exp": ago(2 * time.Minute)})
	}, code: signal.CodeExpired, answered: true, stopped: true},
	{name: "call unknown", typ: "ringing", make: change(object{"typ": "chat.voice.ringing"}), code: signal.CodeUnknownCall, answered: true},
	{name: "not yours to say", typ: "error", make: change(object{"typ": "chat.voice.error"}), code: signal.CodeWrongRole, answered: true},
}

// TestBadInput sends everything that can be wrong, each in the middle of an
// honest call on the same router: it is kept as it came, under its code; its
// sender hears of it if and only if the signature is good; the other side hears
// nothing; the honest call goes on.
func TestBadInput(t *testing.T) {
	b := newBadWorld(t)
	codes := map[signal.Code]float64{}
	for i, bad := range badMessages {
		t.Run(bad.name, func(t *testing.T) {
			codes[bad.code]++
			b.in(t, func() { b.try(bad, fmt.Sprintf("honest-%d", i), fmt.Sprintf("bad-%d", i)) })
		})
	}
	for code, want := range codes {
		eventually(t, fmt.Sprintf("%v refusals counted as %s", want, code), func() bool { return b.count(code) == want })
	}
	for _, line := range b.log.lines(secret) {
		t.Errorf("the log shows the content of a message: %.300s", line)
	}
	if lines := b.log.lines("bucket="+subjects.BucketIdentities, "key="+garbled); len(lines) == 0 && codes[signal.CodeUnknownIdentity] > 0 {
		t.Error("the log does not name the identity whose record is broken")
	}
	if lines := b.log.lines("level=ERROR", "put aside"); len(lines) > 0 {
		t.Errorf("messages that could not be committed: %s", lines)
	}
}

// in runs part of a test with helpers that report to t.
func (b *badWorld) in(t *testing.T, do func()) {
	outer := b.t
	b.t = t
	defer func() { b.t = outer }()
	do()
}

func (b *badWorld) try(bad badMessage, honest, cid string) {
	b.t.Helper()
	b.route(honest, nil)
	b.badRoute(cid)
	b.op.say(signal.Start, honest, "k", nil)

	m := b.clumsy.claims(signal.Start, cid, "bad")
	m.PeerInfo = secret
	data := bad.make(b, m)
	from, typ := bad.from, bad.typ
	if from == "" {
		from = clumsy
	}
	if typ == "" {
		typ = string(signal.Start)
	}
	if sent, ok := signal.ParseType(typ); ok && from == clumsy && sent != signal.Error {
		b.clumsy.publish(typ, m.JTI, data)
	} else {
		b.store(subjects.Voice(from, typ), data)
	}

	b.cu.expect(signal.Start, "k")
	b.cu.say(signal.Accept, honest, "k", nil)
	b.op.expect(signal.Accept, "k")

	b.rejected(bad.code, from, data)
	if bad.answered {
		ref := m.JTI
		if bad.noRef {
			ref = ""
		}
		b.clumsy.refused(bad.code, ref)
	}
	if bad.stopped {
		b.clumsy.stopped("bad")
	}
	b.quiet(cid)
	b.op.say(signal.Stop, honest, "k", nil)
	b.cu.expect(signal.Stop, "k")
}

// TestBadSubject: an administrator, or a broker without permissions, lets
// subjects in that name nobody.
func TestBadSubject(t *testing.T) {
	b := newBadWorld(t)
	for _, subject := range []string{"voice.ä.start", "voice." + strings.Repeat("a", 65) + ".start", "voice.a~b.stop", "voice.a,b.\x01"} {
		data := b.clumsy.bytes(b.clumsy.claims(signal.Start, "c1", "k1"), nil)
		b.store(subject, data)
		b.rejected(signal.CodeUnknownIdentity, "_", data)
	}
	b.badRoute("c1")
	b.quiet("c1")
}

// TestTooLarge: what is larger than the stream takes is refused by the broker,
// to the sender's face.
func TestTooLarge(t *testing.T) {
	b := newBadWorld(t)
	reply, err := b.clumsy.nc.Request(subjects.Voice(clumsy, "start"), make([]byte, 64<<10+1), 10*time.Second)
	if err != nil || !strings.Contains(string(reply.Data), "10054") {
		t.Errorf("answer %v, error %v, want the API error 10054", reply, err)
	}
	b.badRoute("c1")
	b.quiet("c1")
}

// TestRejectsAreCapped: a flood of rubbish is counted, not stored.
func TestRejectsAreCapped(t *testing.T) {
	b := newBadWorld(t)
	const flood = 300
	for range flood {
		b.store(subjects.Voice(clumsy, "start"), []byte("rubbish"))
	}
	eventually(t, "all are counted", func() bool { return b.count(signal.CodeMalformed) == flood })
	var info struct {
		State struct {
			Subjects map[string]int `json:"subjects"`
		} `json:"state"`
	}
	subject := subjects.Rejected(string(signal.CodeMalformed), clumsy)
	reply, err := b.nc.Request(subjects.RequestStreamInfo(subjects.StreamOut), []byte(`{"subjects_filter":"`+subject+`"}`), 10*time.Second)
	if err == nil {
		err = json.Unmarshal(reply.Data, &info)
	}
	if n := info.State.Subjects[subject]; err != nil || n == 0 || n >= flood {
		t.Errorf("%d of %d are kept, error %v; want some, but not all", n, flood, err)
	}
	b.badRoute("c1")
	b.quiet("c1")
}
