package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	curve "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// b64 is the only base64 of the protocol: URL alphabet, no padding. Decode with
// decode64, which leaves no second spelling of the same bytes.
var b64 = base64.RawURLEncoding.Strict()

var errLineBreak = errors.New("line break in base64")

// decode64 decodes what b64 encodes, and nothing else: encoding/base64 skips
// line breaks, even where it is strict.
func decode64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errLineBreak
	}
	return b64.DecodeString(s)
}

// MaxKID is the longest key id in bytes.
const MaxKID = 64

// PublicKey verifies the messages of one identity. In JSON it is a JWK (RFC
// 8037 section 2): {"kty":"OKP","crv":"Ed25519","kid":"1","x":"..."}.
type PublicKey struct {
	KID string
	Key ed25519.PublicKey

	// ready is Key prepared for verification, which halves its cost; nil in a key
	// that did not come from JSON.
	ready *curve.ExpandedPublicKey
}

// PrivateKey signs messages. It prints and logs as its key id only; its JSON, a
// JWK with the member d, contains the secret and belongs in a file of mode 0600.
type PrivateKey struct {
	KID string
	// key returns the secret. It is a function because package fmt calls no
	// String method of a value in an unexported field: it would print the bytes,
	// also those behind a pointer, but of a function it prints the address.
	key func() ed25519.PrivateKey
}

type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	KID string `json:"kid"`
	X   string `json:"x"`
	D   string `json:"d,omitzero"`
}

// GenerateKey returns a new private key with this key id, which must be 1 to
// [MaxKID] bytes long.
func GenerateKey(kid string) (PrivateKey, error) {
	if err := checkKID(kid); err != nil {
		return PrivateKey{}, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("identity: generate key: %w", err)
	}
	return newPrivateKey(kid, key), nil
}

func newPrivateKey(kid string, key ed25519.PrivateKey) PrivateKey {
	return PrivateKey{KID: kid, key: func() ed25519.PrivateKey { return key }}
}

// Public returns the key that verifies what k signs.
func (k PrivateKey) Public() PublicKey {
	return PublicKey{KID: k.KID, Key: k.key().Public().(ed25519.PublicKey)}
}

// IsZero reports whether k is no key.
func (k PrivateKey) IsZero() bool { return k.key == nil }

// String returns the key id; it never shows the secret.
func (k PrivateKey) String() string { return "private key " + k.KID }

// GoString is String, so that %#v shows no secret either.
func (k PrivateKey) GoString() string { return k.String() }

// LogValue implements [slog.LogValuer] with String: a handler that logs JSON
// would call MarshalJSON.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON returns the private JWK. Write it to a file of mode 0600 and
// nowhere else.
func (k PrivateKey) MarshalJSON() ([]byte, error) {
	if k.IsZero() {
		return nil, errors.New("identity: the zero private key has no JWK")
	}
	return json.Marshal(jwk{
		Kty: "OKP", Crv: "Ed25519", KID: k.KID,
		X: b64.EncodeToString(k.Public().Key),
		D: b64.EncodeToString(k.key().Seed()),
	})
}

// UnmarshalJSON accepts a private JWK for Ed25519 whose public half fits.
func (k *PrivateKey) UnmarshalJSON(data []byte) error {
	raw, public, err := parseJWK(data)
	if err != nil {
		return err
	}
	seed, err := decode64(raw.D)
	if err != nil || len(seed) != ed25519.SeedSize {
		return fmt.Errorf("identity: JWK %q: member d is not the base64url of %d bytes", raw.KID, ed25519.SeedSize)
	}
	key := ed25519.NewKeyFromSeed(seed)
	if !public.Key.Equal(key.Public()) {
		return fmt.Errorf("identity: JWK %q: members x and d do not belong together", raw.KID)
	}
	*k = newPrivateKey(raw.KID, key)
	return nil
}

// MarshalJSON returns the JWK.
func (k PublicKey) MarshalJSON() ([]byte, error) {
	return json.Marshal(jwk{Kty: "OKP", Crv: "Ed25519", KID: k.KID, X: b64.EncodeToString(k.Key)})
}

// UnmarshalJSON accepts a public JWK for Ed25519 and refuses one that contains
// a private member.
func (k *PublicKey) UnmarshalJSON(data []byte) error {
	raw, public, err := parseJWK(data)
	if err != nil {
		return err
	}
	if raw.D != "" {
		return fmt.Errorf("identity: JWK %q contains the private member d where a public key is wanted", raw.KID)
	}
	*k = public
	return nil
}

func parseJWK(data []byte) (jwk, PublicKey, error) {
	var raw jwk
	if err := json.Unmarshal(data, &raw); err != nil {
		// The cause may quote the input, which may be a secret.
		return raw, PublicKey{}, errors.New("identity: not a JWK: want a JSON object with the string members kty, crv, kid and x")
	}
	if raw.Kty != "OKP" || raw.Crv != "Ed25519" {
		return raw, PublicKey{}, fmt.Errorf("identity: JWK %.64q: kty %.16q crv %.16q is not supported: want OKP and Ed25519", raw.KID, raw.Kty, raw.Crv)
	}
	if err := checkKID(raw.KID); err != nil {
		return raw, PublicKey{}, err
	}
	x, err := decode64(raw.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return raw, PublicKey{}, fmt.Errorf("identity: JWK %q: member x is not the base64url of %d bytes", raw.KID, ed25519.PublicKeySize)
	}
	ready, err := curve.NewExpandedPublicKey(x)
	if err != nil {
		return raw, PublicKey{}, fmt.Errorf("identity: JWK %q: member x is no point of the curve", raw.KID)
	}
	return raw, PublicKey{KID: raw.KID, Key: x, ready: ready}, nil
}

func checkKID(kid string) error {
	if kid == "" || len(kid) > MaxKID {
		return fmt.Errorf("identity: key id of %d bytes: want 1 to %d", len(kid), MaxKID)
	}
	if !utf8.ValidString(kid) {
		return fmt.Errorf("identity: key id %q is not UTF-8", kid)
	}
	return nil
}
