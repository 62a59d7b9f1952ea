package identity_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/voicerouter/voicerouter/identity"
)

// FuzzParseEnvelope: whatever is accepted, go-jose accepts and reads alike; what
// is refused carries one sentinel; signing the payload again gives an envelope
// with the same payload; and no mutation of a signed message verifies.
func FuzzParseEnvelope(f *testing.F) {
	key := rfcKey(f, "1")
	good := sign(f, plainHeader, `{"typ":"chat.voice.stop"}`)
	f.Add([]byte(good.String()))
	f.Add(key.Sign(nil))
	f.Add([]byte(sign(f, `{"alg":"EdDSA","kid":"é b","typ":"JWT"}`, "x").String()))
	f.Add([]byte(sign(f, `{"alg":"none","kid":"1"}`, "x").String()))
	f.Add([]byte(sign(f, `{"alg":"EdDSA","kid":"1","crit":["b64"],"b64":false}`, "x").String()))
	f.Add([]byte(strings.Replace(good.String(), good.Payload, good.Payload+`\n`, 1)))
	f.Add([]byte(`{"payload":null,"protected":null,"signature":null}`))
	keys := []identity.PublicKey{key.Public()}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := identity.ParseEnvelope(data)
		if err != nil {
			if !errors.Is(err, identity.ErrEnvelope) && !errors.Is(err, identity.ErrHeader) && !errors.Is(err, identity.ErrAlgorithm) {
				t.Errorf("error %v wraps no sentinel", err)
			}
			return
		}
		again, err := identity.ParseEnvelope(key.Sign(e.Payload))
		if err != nil || !bytes.Equal(again.Payload, e.Payload) || again.Verify(keys) != nil {
			t.Errorf("signed again: payload %q, error %v, want %q", again.Payload, err, e.Payload)
		}
		jws, err := jose.ParseSignedJSON(string(data), eddsa)
		if err != nil {
			t.Fatalf("accepted what go-jose refuses: %v", err)
		}
		if h := jws.Signatures[0].Protected; h.KeyID != e.KID || h.Algorithm != string(jose.EdDSA) {
			t.Errorf("kid %q, go-jose reads %q %q", e.KID, h.KeyID, h.Algorithm)
		}
		if got := jws.UnsafePayloadWithoutVerification(); !bytes.Equal(got, e.Payload) {
			t.Errorf("payload %q, go-jose reads %q", e.Payload, got)
		}
		_, joseErr := jws.Verify(key.Public().Key)
		if ours := e.Verify(keys); e.KID == "1" && (ours == nil) != (joseErr == nil) {
			t.Errorf("we verify with %v, go-jose with %v", ours, joseErr)
		}
	})
}

// FuzzDecodeRecord: what is accepted is valid, and encodes to something that
// decodes to the same.
func FuzzDecodeRecord(f *testing.F) {
	for _, s := range recordSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := identity.DecodeRecord(data)
		if err != nil {
			if !errors.Is(err, identity.ErrRecord) {
				t.Errorf("error %v does not wrap ErrRecord", err)
			}
			return
		}
		encoded, err := r.Encode()
		if err != nil {
			t.Fatalf("accepted %s, encoding it: %v", data, err)
		}
		again, err := identity.DecodeRecord(encoded)
		if err != nil {
			t.Fatalf("decoding %s: %v", encoded, err)
		}
		if r.Keys == nil {
			r.Keys = []identity.PublicKey{}
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Errorf("%s does not survive (-was +is):\n%s", data, diff)
		}
	})
}

// FuzzPrivateJWK: what is accepted signs what its public half verifies, and
// survives being written.
func FuzzPrivateJWK(f *testing.F) {
	good, err := json.Marshal(rfcKey(f, "1"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(recordKey))
	f.Fuzz(func(t *testing.T, data []byte) {
		var key identity.PrivateKey
		if key.UnmarshalJSON(data) != nil {
			return
		}
		e, err := identity.ParseEnvelope(key.Sign([]byte("x")))
		if err == nil {
			err = e.Verify([]identity.PublicKey{key.Public()})
		}
		if err != nil {
			t.Errorf("what %q signs: %v", key.KID, err)
		}
		if _, err := json.Marshal(key); err != nil {
			t.Errorf("writing it: %v", err)
		}
	})
}
