package identity_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/voicerouter/voicerouter/identity"
)

var b64 = base64.RawURLEncoding

// flat is a flattened JWS made by hand.
type flat struct{ Payload, Protected, Signature string }

func (f flat) String() string {
	return fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, f.Payload, f.Protected, f.Signature)
}

// sign makes a flattened JWS with any protected header, correctly signed.
func sign(t testing.TB, header, payload string) flat {
	t.Helper()
	seed, err := b64.DecodeString(rfcD)
	if err != nil {
		t.Fatal(err)
	}
	f := flat{Payload: b64.EncodeToString([]byte(payload)), Protected: b64.EncodeToString([]byte(header))}
	f.Signature = b64.EncodeToString(ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte(f.Protected+"."+f.Payload)))
	return f
}

const plainHeader = `{"alg":"EdDSA","kid":"1"}`

func TestSignVerify(t *testing.T) {
	key := newKey(t, "1")
	for _, payload := range []string{"", "x", `{"typ":"chat.voice.start"}`, strings.Repeat("é\x00", 20000)} {
		signed := key.Sign([]byte(payload))
		e, err := identity.ParseEnvelope(signed)
		if err != nil {
			t.Fatalf("parse what was signed: %v", err)
		}
		if e.KID != "1" || string(e.Payload) != payload {
			t.Errorf("kid %q, payload of %d bytes, want 1 and %d", e.KID, len(e.Payload), len(payload))
		}
		if err := e.Verify([]identity.PublicKey{newKey(t, "0").Public(), key.Public()}); err != nil {
			t.Errorf("verify: %v", err)
		}
		if again := key.Sign([]byte(payload)); !bytes.Equal(again, signed) {
			t.Error("signing twice gives different bytes")
		}
	}
}

// TestSignRFC8037 reproduces the example of RFC 8037, appendix A.4, in the
// serialization of the protocol: its header has no kid, so that only the
// verification can be held against it, with the same key.
func TestSignRFC8037(t *testing.T) {
	const (
		payload   = "Example of Ed25519 signing"
		protected = "eyJhbGciOiJFZERTQSJ9"
		signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
	)
	if got := sign(t, `{"alg":"EdDSA"}`, payload); got != (flat{b64.EncodeToString([]byte(payload)), protected, signature}) {
		t.Errorf("the way these tests sign gives %s", got)
	}
	want := sign(t, plainHeader, payload)
	if got := string(rfcKey(t, "1").Sign([]byte(payload))); got != want.String() {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestEnvelopeRefused: everything but the one form of the protocol is refused,
// each with its sentinel, although the signatures are good.
func TestEnvelopeRefused(t *testing.T) {
	good := sign(t, plainHeader, `{"a":1}`)
	if _, err := identity.ParseEnvelope([]byte(good.String())); err != nil {
		t.Fatalf("the good one is refused: %v", err)
	}
	header := func(h string) string { return sign(t, h, `{"a":1}`).String() }
	with := func(change func(f *flat)) string {
		f := good
		change(&f)
		return f.String()
	}
	member := func(m string) string { return strings.Replace(good.String(), "{", "{"+m+",", 1) }
	long := strings.Repeat("k", identity.MaxKID+1)
	for _, tc := range []struct {
		name, text string
		want       error
	}{
		{"empty", "", identity.ErrEnvelope},
		{"null", "null", identity.ErrEnvelope},
		{"array", "[]", identity.ErrEnvelope},
		{"string", `"x"`, identity.ErrEnvelope},
		{"no members", "{}", identity.ErrEnvelope},
		{"bytes", "\x00\xff\xfe", identity.ErrEnvelope},
		{"deep", strings.Repeat("[", 60000), identity.ErrEnvelope},
		{"deep member", `{"payload":` + strings.Repeat(`{"a":`, 10000), identity.ErrEnvelope},
		{"compact", good.Protected + "." + good.Payload + "." + good.Signature, identity.ErrEnvelope},
		{"general serialization", fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, good.Payload, good.Protected, good.Signature), identity.ErrEnvelope},
		{"both serializations", member(`"signatures":[]`), identity.ErrEnvelope},
		{"unprotected header", member(`"header":{"alg":"EdDSA","kid":"1"}`), identity.ErrEnvelope},
		{"empty unprotected header", member(`"header":{}`), identity.ErrEnvelope},
		{"kid only unprotected", fmt.Sprintf(`{"payload":%q,"protected":%q,"header":{"kid":"1"},"signature":%q}`, good.Payload, good.Protected, good.Signature), identity.ErrEnvelope},
		{"unknown member", member(`"x":1`), identity.ErrEnvelope},
		{"upper case member", strings.Replace(good.String(), `"payload"`, `"Payload"`, 1), identity.ErrEnvelope},
		{"duplicate payload", member(`"payload":"e30"`), identity.ErrEnvelope},
		{"duplicate protected", member(fmt.Sprintf(`"protected":%q`, good.Protected)), identity.ErrEnvelope},
		{"escaped duplicate", member(`"p\u0061yload":"e30"`), identity.ErrEnvelope},
		{"no payload", fmt.Sprintf(`{"protected":%q,"signature":%q}`, good.Protected, good.Signature), identity.ErrEnvelope},
		{"null payload", strings.Replace(good.String(), `"`+good.Payload+`"`, "null", 1), identity.ErrEnvelope},
		{"object payload", strings.Replace(good.String(), `"`+good.Payload+`"`, "{}", 1), identity.ErrEnvelope},
		{"no protected", fmt.Sprintf(`{"payload":%q,"signature":%q}`, good.Payload, good.Signature), identity.ErrEnvelope},
		{"no signature", fmt.Sprintf(`{"payload":%q,"protected":%q}`, good.Payload, good.Protected), identity.ErrEnvelope},
		{"empty signature", with(func(f *flat) { f.Signature = "" }), identity.ErrEnvelope},
		{"truncated signature", with(func(f *flat) { f.Signature = f.Signature[:84] }), identity.ErrEnvelope},
		{"long signature", with(func(f *flat) { f.Signature += "AA" }), identity.ErrEnvelope},
		{"padded signature", with(func(f *flat) { f.Signature += "==" }), identity.ErrEnvelope},
		{"signature not canonical", with(func(f *flat) { f.Signature = f.Signature[:85] + next(f.Signature[85]) }), identity.ErrEnvelope},
		{"line break in signature", with(func(f *flat) { f.Signature = f.Signature[:40] + "\n" + f.Signature[40:] }), identity.ErrEnvelope},
		{"padded payload", with(func(f *flat) { f.Payload = "e30=" }), identity.ErrEnvelope},
		{"payload not canonical", with(func(f *flat) { f.Payload = "e31" }), identity.ErrEnvelope},
		{"standard base64", with(func(f *flat) { f.Payload = base64.RawStdEncoding.EncodeToString([]byte("???>>>")) }), identity.ErrEnvelope},
		{"line break in payload", with(func(f *flat) { f.Payload = "e3\r\n0" }), identity.ErrEnvelope},
		{"line break in protected", with(func(f *flat) { f.Protected = f.Protected[:4] + "\n" + f.Protected[4:] }), identity.ErrEnvelope},
		{"padded protected", with(func(f *flat) { f.Protected += "=" }), identity.ErrEnvelope},
		{"trailing bytes", good.String() + "x", identity.ErrEnvelope},
		{"second object", good.String() + good.String(), identity.ErrEnvelope},
		{"byte order mark", "\ufeff" + good.String(), identity.ErrEnvelope},
		{"invalid UTF-8", strings.Replace(good.String(), good.Payload, "\xff", 1), identity.ErrEnvelope},
		{"unpaired surrogate", strings.Replace(good.String(), good.Payload, `\ud800`, 1), identity.ErrEnvelope},

		{"empty protected", with(func(f *flat) { f.Protected = "" }), identity.ErrHeader},
		{"header null", header(`null`), identity.ErrHeader},
		{"header array", header(`["EdDSA"]`), identity.ErrHeader},
		{"header trailing bytes", header(plainHeader + "{}"), identity.ErrHeader},
		{"header invalid UTF-8", header("{\"alg\":\"EdDSA\",\"kid\":\"\xff\"}"), identity.ErrHeader},
		{"duplicate alg", header(`{"alg":"none","alg":"EdDSA","kid":"1"}`), identity.ErrHeader},
		{"duplicate kid", header(`{"alg":"EdDSA","kid":"2","kid":"1"}`), identity.ErrHeader},
		{"upper case alg", header(`{"Alg":"EdDSA","kid":"1"}`), identity.ErrHeader},
		{"crit", header(`{"alg":"EdDSA","kid":"1","crit":["exp"],"exp":1}`), identity.ErrHeader},
		{"empty crit", header(`{"alg":"EdDSA","kid":"1","crit":[]}`), identity.ErrHeader},
		{"b64", header(`{"alg":"EdDSA","kid":"1","b64":true}`), identity.ErrHeader},
		{"b64 false with crit", header(`{"alg":"EdDSA","kid":"1","b64":false,"crit":["b64"]}`), identity.ErrHeader},
		{"jwk", header(`{"alg":"EdDSA","kid":"1","jwk":{"kty":"OKP","crv":"Ed25519","x":"` + rfcX + `"}}`), identity.ErrHeader},
		{"jku", header(`{"alg":"EdDSA","kid":"1","jku":"https://example.com/keys"}`), identity.ErrHeader},
		{"x5c", header(`{"alg":"EdDSA","kid":"1","x5c":["MIIB"]}`), identity.ErrHeader},
		{"x5u", header(`{"alg":"EdDSA","kid":"1","x5u":"https://example.com/cert"}`), identity.ErrHeader},
		{"zip", header(`{"alg":"EdDSA","kid":"1","zip":"DEF"}`), identity.ErrHeader},
		{"typ JOSE", header(`{"alg":"EdDSA","kid":"1","typ":"JOSE"}`), identity.ErrHeader},
		{"typ JWTx", header(`{"alg":"EdDSA","kid":"1","typ":"JWTx"}`), identity.ErrHeader},
		{"typ number", header(`{"alg":"EdDSA","kid":"1","typ":1}`), identity.ErrHeader},
		{"no kid", header(`{"alg":"EdDSA"}`), identity.ErrHeader},
		{"empty kid", header(`{"alg":"EdDSA","kid":""}`), identity.ErrHeader},
		{"long kid", header(`{"alg":"EdDSA","kid":"` + long + `"}`), identity.ErrHeader},
		{"numeric kid", header(`{"alg":"EdDSA","kid":1}`), identity.ErrHeader},

		{"no alg", header(`{"kid":"1"}`), identity.ErrAlgorithm},
		{"none", header(`{"alg":"none","kid":"1"}`), identity.ErrAlgorithm},
		{"none without signature", flat{good.Payload, b64.EncodeToString([]byte(`{"alg":"none","kid":"1"}`)), ""}.String(), identity.ErrAlgorithm},
		{"ES256", header(`{"alg":"ES256","kid":"1"}`), identity.ErrAlgorithm},
		{"HS256", header(`{"alg":"HS256","kid":"1"}`), identity.ErrAlgorithm},
		{"Ed25519", header(`{"alg":"Ed25519","kid":"1"}`), identity.ErrAlgorithm}, // RFC 9864; not this protocol's
		{"lower case alg", header(`{"alg":"eddsa","kid":"1"}`), identity.ErrAlgorithm},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, err := identity.ParseEnvelope([]byte(tc.text))
			for _, sentinel := range []error{identity.ErrEnvelope, identity.ErrHeader, identity.ErrAlgorithm} {
				if errors.Is(err, sentinel) != errors.Is(tc.want, sentinel) {
					t.Errorf("error %v; wraps %q: %v", err, sentinel, errors.Is(err, sentinel))
				}
			}
			if !cmp.Equal(e, identity.Envelope{}, cmp.AllowUnexported(identity.Envelope{})) {
				t.Errorf("an envelope came with the error: %+v", e)
			}
		})
	}
}

// next returns the character behind c in the alphabet of base64url: the same
// bytes, spelled differently, where the last bits are not used.
func next(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)+1])
}

func TestEnvelopeTolerated(t *testing.T) {
	keys := []identity.PublicKey{rfcKey(t, "1").Public()}
	for name, text := range map[string]string{
		"typ JWT":       sign(t, `{"alg":"EdDSA","kid":"1","typ":"JWT"}`, "{}").String(),
		"typ jwt":       sign(t, `{"alg":"EdDSA","kid":"1","typ":"jwt"}`, "{}").String(),
		"other order":   sign(t, `{"typ":"JWT", "kid":"1", "alg":"EdDSA"}`, "{}").String(),
		"white space":   " \n\t" + sign(t, plainHeader, "{}").String() + "\r\n",
		"escaped names": strings.Replace(sign(t, plainHeader, "{}").String(), "payload", `p\u0061yload`, 1),
	} {
		e, err := identity.ParseEnvelope([]byte(text))
		if err == nil {
			err = e.Verify(keys)
		}
		if err != nil || string(e.Payload) != "{}" {
			t.Errorf("%s: payload %q, error %v", name, e.Payload, err)
		}
	}
}

func TestVerifyRefused(t *testing.T) {
	key, other := newKey(t, "1"), newKey(t, "1")
	parse := func(data []byte) identity.Envelope {
		t.Helper()
		e, err := identity.ParseEnvelope(data)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	var parts struct{ Payload, Protected, Signature string }
	if err := json.Unmarshal(key.Sign([]byte(`{"a":1}`)), &parts); err != nil {
		t.Fatal(err)
	}
	good := flat(parts)
	otherPayload, otherHeader, flipped := good, good, good
	otherPayload.Payload = b64.EncodeToString([]byte(`{"a":2}`))
	otherHeader.Protected = b64.EncodeToString([]byte(`{"kid":"1","alg":"EdDSA"}`))
	flipped.Signature = map[bool]string{true: "B", false: "A"}[good.Signature[0] == 'A'] + good.Signature[1:]
	twoLow := identity.PublicKey{KID: "1", Key: make(ed25519.PublicKey, 31)}
	for _, tc := range []struct {
		name string
		e    identity.Envelope
		keys []identity.PublicKey
		want error
	}{
		{"no keys", parse([]byte(good.String())), nil, identity.ErrUnknownKey},
		{"wrong kid", parse([]byte(good.String())), []identity.PublicKey{{KID: "2", Key: key.Public().Key}}, identity.ErrUnknownKey},
		{"wrong key", parse([]byte(good.String())), []identity.PublicKey{other.Public()}, identity.ErrSignature},
		{"key of a wrong length", parse([]byte(good.String())), []identity.PublicKey{twoLow}, identity.ErrSignature},
		{"other payload", parse([]byte(otherPayload.String())), []identity.PublicKey{key.Public()}, identity.ErrSignature},
		{"other header", parse([]byte(otherHeader.String())), []identity.PublicKey{key.Public()}, identity.ErrSignature},
		{"flipped bit", parse([]byte(flipped.String())), []identity.PublicKey{key.Public()}, identity.ErrSignature},
		{"zero envelope", identity.Envelope{KID: "1"}, []identity.PublicKey{key.Public()}, identity.ErrSignature},
	} {
		if err := tc.e.Verify(tc.keys); !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
		}
	}
}

// TestEnvelopeErrorsQuoteNothing: what is refused may be private.
func TestEnvelopeErrorsQuoteNothing(t *testing.T) {
	const secret = "SECRETSECRET"
	for _, text := range []string{
		`{"payload":"` + secret, `{"` + secret + `":1}`, `{"payload":{"` + secret + `":1}}`, secret,
		sign(t, `{"alg":"EdDSA","kid":"1","`+secret+`":1}`, "{}").String(),
		sign(t, `{"alg":"EdDSA","kid":"1","typ":"`+secret+`"}`, "{}").String(),
	} {
		_, err := identity.ParseEnvelope([]byte(text))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("error %v, want one without %s", err, secret)
		}
	}
}
