package identity_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/identity"
)

func TestUnsigned(t *testing.T) {
	key := rfcKey(t, "1")
	signed := string(key.Sign([]byte("content")))
	unsigned := string(identity.Unsigned([]byte("content")))
	if want := `{"payload":"Y29udGVudA","protected":"eyJhbGciOiJub25lIn0","signature":""}`; unsigned != want {
		t.Errorf("unsigned envelope %s, want %s", unsigned, want)
	}
	if _, err := identity.ParseEnvelope([]byte(unsigned)); !errors.Is(err, identity.ErrAlgorithm) {
		t.Errorf("parsed as if it were signed: %v, want ErrAlgorithm", err)
	}
	for _, text := range []string{signed, unsigned, " " + unsigned, strings.Replace(signed, `"protected":"`, `"protected":"x`, 1)} {
		e, err := identity.ParseUnverified([]byte(text))
		if err != nil || string(e.Payload) != "content" {
			t.Errorf("%s: payload %q, %v", text, e.Payload, err)
		}
		if err := e.Verify([]identity.PublicKey{key.Public()}); !errors.Is(err, identity.ErrUnknownKey) {
			t.Errorf("%s: verifies: %v", text, err)
		}
	}
	for _, text := range []string{
		"", "{}", `{"payload":"Y29udGVudA","protected":""}`, `{"payload":"Y29udGVudA=","protected":"","signature":""}`,
		`{"payload":"Y29u\ndGVudA","protected":"","signature":""}`, "{\"payload\":\"Y29u\ndGVudA\",\"protected\":\"\",\"signature\":\"\"}",
		`{"payload":"Y29udGVudB","protected":"","signature":""}`, `{"payload":"Y29udGVudA","protected":"","signature":"","header":{}}`,
		// No JSON, whatever stands in the members that do not count: what is passed on
		// as it is must not break the parser of the next.
		`{"payload":"Y29udGVudA","protected":"\","signature":""}`, `{"payload":"Y29udGVudA","protected":"","signature":"\q"}`,
		"{\"payload\":\"Y29udGVudA\",\"protected\":\"\xff\",\"signature\":\"\"}", "{\"payload\":\"Y29udGVudA\",\"protected\":\"\",\"signature\":\"\n\"}",
	} {
		if _, err := identity.ParseUnverified([]byte(text)); !errors.Is(err, identity.ErrEnvelope) {
			t.Errorf("%s: error %v, want ErrEnvelope", text, err)
		}
	}
}

// FuzzParseUnverified: nothing is accepted that is no JSON.
func FuzzParseUnverified(f *testing.F) {
	for _, s := range []string{
		string(identity.Unsigned([]byte("content"))), `{"payload":"Y29udGVudA","protected":"\","signature":""}`,
		"{\"payload\":\"\",\"protected\":\"\xff\",\"signature\":\"\"}", `{"payload":"","protected":"\u00e9","signature":"é"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := identity.ParseUnverified(text); err == nil && !jsontext.Value(text).IsValid() {
			t.Errorf("%q: accepted, the full parser refuses it", text)
		}
	})
}
