package identity_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/identity"
)

// The key of RFC 8037, appendices A.1 and A.2.
const (
	rfcD = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
	rfcX = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
)

// rfcKey returns the private key of RFC 8037 under this kid.
func rfcKey(t testing.TB, kid string) identity.PrivateKey {
	t.Helper()
	var key identity.PrivateKey
	jwk := fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q,"d":%q}`, kid, rfcX, rfcD)
	if err := json.Unmarshal([]byte(jwk), &key); err != nil {
		t.Fatalf("key of RFC 8037: %v", err)
	}
	return key
}

func newKey(t testing.TB, kid string) identity.PrivateKey {
	t.Helper()
	key, err := identity.GenerateKey(kid)
	if err != nil {
		t.Fatalf("generate key %q: %v", kid, err)
	}
	return key
}

func TestPrivateJWKRoundTrip(t *testing.T) {
	key := newKey(t, "2026-11")
	file := filepath.Join(t.TempDir(), "key.jwk")
	data, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	var back identity.PrivateKey
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatalf("parse %s: %v", file, err)
	}
	if got, want := back.Sign([]byte("x")), key.Sign([]byte("x")); back.KID != key.KID || !bytes.Equal(got, want) {
		t.Errorf("key %q signs %s, want as %q: %s", back.KID, got, key.KID, want)
	}
}

func TestPublicJWKRoundTrip(t *testing.T) {
	public := newKey(t, "1").Public()
	data, err := json.Marshal(public)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"kty":"OKP","crv":"Ed25519","kid":"1","x":"` + base64.RawURLEncoding.EncodeToString(public.Key) + `"}`
	if string(data) != want {
		t.Errorf("got %s, want %s", data, want)
	}
	var back identity.PublicKey
	if err := json.Unmarshal(data, &back); err != nil || back.KID != "1" || !back.Key.Equal(public.Key) {
		t.Errorf("parsed %v, error %v, want %v", back, err, public)
	}
}

func TestJWKRefused(t *testing.T) {
	const good = `{"kty":"OKP","crv":"Ed25519","kid":"1","x":"` + rfcX + `","d":"` + rfcD + `"}`
	var key identity.PrivateKey
	if err := json.Unmarshal([]byte(good), &key); err != nil {
		t.Fatalf("the good key is refused: %v", err)
	}
	other := base64.RawURLEncoding.EncodeToString(newKey(t, "1").Public().Key)
	for _, tc := range []struct{ name, old, new string }{
		{"not an object", good, `[]`},
		{"null", good, `null`},
		{"other kty", `"OKP"`, `"EC"`},
		{"other crv", `"Ed25519"`, `"X25519"`},
		{"no kid", `"kid":"1",`, ``},
		{"empty kid", `"kid":"1"`, `"kid":""`},
		{"long kid", `"kid":"1"`, `"kid":"` + strings.Repeat("k", identity.MaxKID+1) + `"`},
		{"numeric kid", `"kid":"1"`, `"kid":1`},
		{"duplicate member", `"kid":"1"`, `"kid":"1","kid":"1"`},
		{"x of another key", rfcX, other},
		{"short x", rfcX, rfcX[4:]},
		{"padded x", rfcX, rfcX + "="},
		{"x with a line break", rfcX, rfcX[:10] + `\n` + rfcX[10:]},
		{"short d", rfcD, rfcD[4:]},
		{"no d", `,"d":"` + rfcD + `"`, ``},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(good, tc.old, tc.new, 1)
			if text == good {
				t.Fatalf("%q does not occur", tc.old)
			}
			var key identity.PrivateKey
			err := json.Unmarshal([]byte(text), &key)
			if err == nil {
				t.Fatalf("accepted %s", text)
			}
			if strings.Contains(err.Error(), rfcD) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
	if err := json.Unmarshal([]byte(good), new(identity.PublicKey)); err == nil || strings.Contains(err.Error(), rfcD) {
		t.Errorf("a private JWK as public key: error %v, want one that shows no secret", err)
	}
}

// TestPrivateKeyShowsNothing prints and logs a key in every way that may happen
// by accident, inside other values too.
func TestPrivateKeyShowsNothing(t *testing.T) {
	key := rfcKey(t, "1")
	seed, err := base64.RawURLEncoding.DecodeString(rfcD)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{
		rfcD, hex.EncodeToString(seed), strings.ToUpper(hex.EncodeToString(seed)), string(seed),
		strings.Trim(fmt.Sprint(string(seed[:8])), "[]"), base64.StdEncoding.EncodeToString(seed)[:40],
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", seed[:8]), "[]byte{"), "}"),
	}
	values := map[string]any{
		"value": key, "pointer": &key, "field": struct{ Key identity.PrivateKey }{key},
		"unexported field": struct{ key identity.PrivateKey }{key},
		"map":              map[identity.ID]identity.PrivateKey{identity.MustID("proxy"): key},
		"slice":            []identity.PrivateKey{key},
		"in a map in an unexported field": struct {
			m map[string]identity.PrivateKey
		}{map[string]identity.PrivateKey{"a": key}},
	}
	check := func(t *testing.T, how, text string) {
		t.Helper()
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows the secret: %s", how, text)
			}
		}
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				check(t, verb, fmt.Sprintf(verb, v))
			}
			var out bytes.Buffer
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", v)
			check(t, "slog text", out.String())
		})
	}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "key", key, "pointer", &key, slog.Group("g", "key", key))
	check(t, "slog JSON", out.String())
	if !strings.Contains(out.String(), `"key":"private key 1"`) {
		t.Errorf("slog JSON does not name the key: %s", out.String())
	}
	public, err := json.Marshal(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	check(t, "JSON of the public key", string(public))
	if got := fmt.Sprint(key); got != "private key 1" {
		t.Errorf("prints as %q, want \"private key 1\"", got)
	}
}

func TestGenerateKey(t *testing.T) {
	for _, kid := range []string{"", strings.Repeat("k", identity.MaxKID+1), "\xff"} {
		if key, err := identity.GenerateKey(kid); err == nil || !key.IsZero() {
			t.Errorf("kid %q: key %v, error %v, want an error", kid, key, err)
		}
	}
	a, b := newKey(t, "1"), newKey(t, "1")
	if a.Public().Key.Equal(b.Public().Key) {
		t.Error("two generated keys are the same")
	}
	if a.IsZero() || len(a.Public().Key) != ed25519.PublicKeySize {
		t.Errorf("zero %v, public key of %d bytes", a.IsZero(), len(a.Public().Key))
	}
	var zero identity.PrivateKey
	if _, err := json.Marshal(zero); err == nil || !zero.IsZero() {
		t.Errorf("zero key: zero %v, error %v, want an error", zero.IsZero(), err)
	}
}
