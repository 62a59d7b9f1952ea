package identity

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestVerifyAll: together or alone, the verdict is the same, whatever is among the
// signatures: wrong ones, unknown keys, keys that are not prepared.
func TestVerifyAll(t *testing.T) {
	keys := make([]PrivateKey, 3)
	public := make([]PublicKey, len(keys))
	for i := range keys {
		key, err := GenerateKey(fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		keys[i], public[i] = key, prepared(t, key.Public())
	}
	plain := []PublicKey{keys[0].Public(), keys[1].Public(), keys[2].Public()}
	rapid.Check(t, func(t *rapid.T) {
		checks := make([]Check, rapid.IntRange(0, 2*maxTogether+3).Draw(t, "checks"))
		for i := range checks {
			envelope, err := ParseEnvelope(keys[rapid.IntRange(0, 2).Draw(t, "key")].Sign([]byte{byte(i)}))
			if err != nil {
				t.Fatal(err)
			}
			checks[i] = Check{Envelope: &envelope, Keys: public, Err: errors.New("of another time")}
			switch rapid.IntRange(0, 40).Draw(t, "fault") {
			case 0:
				envelope.signature[rapid.IntRange(0, 63).Draw(t, "at")] ^= 4
			case 1:
				checks[i].Keys = public[:1]
			case 2:
				checks[i].Keys = plain
			case 3:
				checks[i].Keys = nil
			}
		}
		VerifyAll(checks)
		for i, c := range checks {
			want := c.Envelope.Verify(c.Keys)
			if fmt.Sprint(c.Err) != fmt.Sprint(want) || errors.Is(c.Err, ErrSignature) != errors.Is(want, ErrSignature) ||
				errors.Is(c.Err, ErrUnknownKey) != errors.Is(want, ErrUnknownKey) {
				t.Errorf("check %d of %d: got %v, alone %v", i, len(checks), c.Err, want)
			}
		}
	})
}
