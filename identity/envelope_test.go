package identity

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
)

// FuzzPlainEnvelope: what the quick parser accepts, the full one accepts and reads
// alike.
func FuzzPlainEnvelope(f *testing.F) {
	key := newPrivateKey("1", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)))
	good := string(key.Sign([]byte(`{"typ":"chat.voice.stop"}`)))
	other := string(newPrivateKey(`a"é`, key.key()).Sign([]byte("x")))
	for _, s := range []string{
		good, other, string(Unsigned([]byte("x"))),
		strings.Replace(good, `","protected"`, `=","protected"`, 1),
		strings.Replace(good, `","protected"`, `\n","protected"`, 1),
		strings.Replace(good, `","protected"`, "\n"+`","protected"`, 1),
		strings.Replace(good, `{"payload"`, `{"payload":"","payload"`, 1),
		strings.Replace(good, `{"payload"`, `{"header":"","payload"`, 1),
		strings.Replace(good, protectedOne, b64.EncodeToString([]byte(`{"alg":"EdDSA","kid":"1","typ":"jwt"}`)), 1),
		strings.Replace(good, protectedOne, b64.EncodeToString([]byte(`{"alg":"EdDSA","kid":"1","kid":"2"}`)), 1),
		strings.Replace(good, protectedOne, b64.EncodeToString([]byte(`{"alg":"EdDSA","kid":""}`)), 1),
		strings.Replace(good, protectedOne, b64.EncodeToString([]byte(`["alg"]`)), 1),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := plainEnvelope(data)
		if !ok {
			return
		}
		want, err := parseEnvelope(data)
		if err != nil {
			t.Fatalf("accepted, the full parser says %v", err)
		}
		if got.KID != want.KID || !bytes.Equal(got.Payload, want.Payload) || got.signature != want.signature ||
			!bytes.Equal(got.protected, want.protected) || !bytes.Equal(got.payload, want.payload) {
			t.Errorf("read as %+v, the full parser reads %+v", got, want)
		}
	})
}

// TestPlainEnvelope: what our own keys sign, and the envelopes of other clients,
// take the quick way.
func TestPlainEnvelope(t *testing.T) {
	key, err := GenerateKey("1")
	if err != nil {
		t.Fatal(err)
	}
	long, err := GenerateKey(strings.Repeat("k", MaxKID))
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{key.Sign([]byte("{}")), long.Sign(nil)} {
		if _, ok := plainEnvelope(data); !ok {
			t.Errorf("%s: not read", data)
		}
	}
}

// TestEnvelopeAllocs: the payload is all that an envelope allocates, and besides
// its key id.
func TestEnvelopeAllocs(t *testing.T) {
	key, err := GenerateKey("1")
	if err != nil {
		t.Fatal(err)
	}
	ready := []PublicKey{prepared(t, key.Public())}
	payload := bytes.Repeat([]byte("x"), 2000)
	data := key.Sign(payload)
	check := func(what string, want float64, do func()) {
		if got := testing.AllocsPerRun(200, do); got > want {
			t.Errorf("%s: %.0f allocations, want at most %.0f", what, got, want)
		}
	}
	check("parse and verify", 4, func() {
		e, err := ParseEnvelope(data)
		if err == nil {
			err = e.Verify(ready)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	check("sign", 3, func() { key.Sign(payload) })
}
