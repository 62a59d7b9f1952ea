package identity_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/voicerouter/voicerouter/identity"
)

var eddsa = []jose.SignatureAlgorithm{jose.EdDSA}

// joseSign signs with go-jose, which serves here as a client in another
// language would.
func joseSign(t testing.TB, alg jose.SignatureAlgorithm, key any, payload string, opts *jose.SignerOptions) *jose.JSONWebSignature {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, opts)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return jws
}

func TestGoJoseVerifiesOurs(t *testing.T) {
	key := newKey(t, "1")
	for _, payload := range []string{"x", `{"typ":"chat.voice.start","peer_info":"v=0\r\n"}`} {
		jws, err := jose.ParseSignedJSON(string(key.Sign([]byte(payload))), eddsa)
		if err != nil {
			t.Fatalf("go-jose does not parse: %v", err)
		}
		got, err := jws.Verify(key.Public().Key)
		if err != nil || string(got) != payload {
			t.Errorf("go-jose verifies %q, error %v, want %q", got, err, payload)
		}
		if h := jws.Signatures[0].Protected; h.KeyID != "1" || h.Algorithm != string(jose.EdDSA) || len(h.ExtraHeaders) != 0 {
			t.Errorf("go-jose reads the header %+v", h)
		}
	}
	private, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := json.Marshal(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(private, &jwk); err != nil || jwk.IsPublic() || jwk.KeyID != "1" {
		t.Errorf("go-jose reads the private JWK as public %v, kid %q, error %v", jwk.IsPublic(), jwk.KeyID, err)
	}
	jws := joseSign(t, jose.EdDSA, jwk.Key, "x", nil)
	if err := json.Unmarshal(public, &jwk); err != nil || !jwk.IsPublic() {
		t.Errorf("go-jose reads the public JWK as public %v, error %v", jwk.IsPublic(), err)
	}
	if _, err := jws.Verify(jwk); err != nil {
		t.Errorf("go-jose with our two JWKs: %v", err)
	}
}

func TestVerifyGoJose(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := []identity.PublicKey{{KID: "1", Key: public}}
	for name, opts := range map[string]*jose.SignerOptions{
		"plain": nil,
		"typ":   (&jose.SignerOptions{}).WithType("JWT"),
	} {
		e, err := identity.ParseEnvelope([]byte(joseSign(t, jose.EdDSA, private, `{"a":1}`, opts).FullSerialize()))
		if err == nil {
			err = e.Verify(keys)
		}
		if err != nil || string(e.Payload) != `{"a":1}` {
			t.Errorf("%s: payload %s, error %v", name, e.Payload, err)
		}
	}
}

// TestGoJoseRefused: signatures that go-jose makes, and that this protocol does
// not take.
func TestGoJoseRefused(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewMultiSigner([]jose.SigningKey{{Algorithm: jose.EdDSA, Key: private}, {Algorithm: jose.ES256, Key: ec}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	general, err := signer.Sign([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := joseSign(t, jose.EdDSA, private, "{}", nil).CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, text string
		want       error
	}{
		{"ES256", joseSign(t, jose.ES256, ec, "{}", nil).FullSerialize(), identity.ErrAlgorithm},
		{"HS256 with the public key as secret", joseSign(t, jose.HS256, []byte(public), "{}", nil).FullSerialize(), identity.ErrAlgorithm},
		{"embedded key", joseSign(t, jose.EdDSA, private, "{}", &jose.SignerOptions{EmbedJWK: true}).FullSerialize(), identity.ErrHeader},
		{"b64 false", joseSign(t, jose.EdDSA, private, "{}", (&jose.SignerOptions{}).WithBase64(false)).FullSerialize(), identity.ErrHeader},
		{"crit", joseSign(t, jose.EdDSA, private, "{}", (&jose.SignerOptions{}).WithCritical("x").WithHeader("x", 1)).FullSerialize(), identity.ErrHeader},
		{"typ", joseSign(t, jose.EdDSA, private, "{}", (&jose.SignerOptions{}).WithType("at+jwt")).FullSerialize(), identity.ErrHeader},
		{"nonce", joseSign(t, jose.EdDSA, private, "{}", (&jose.SignerOptions{}).WithHeader("nonce", "n")).FullSerialize(), identity.ErrHeader},
		{"general", general.FullSerialize(), identity.ErrEnvelope},
		{"compact", compact, identity.ErrEnvelope},
	} {
		if _, err := identity.ParseEnvelope([]byte(tc.text)); !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
		}
	}
}
