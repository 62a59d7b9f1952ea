package signal_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/voicerouter/voicerouter/signal"
)

// FuzzDecode: what is accepted encodes, and decodes from that to the same
// message; what is refused has a code of the list.
func FuzzDecode(f *testing.F) {
	for _, changes := range []object{
		nil,
		{"aud": "proxy"},
		{"iat": 1790000000},
		{"data": nil},
		{"data": object{"a": []any{1.5, "é\u2028", nil}}},
		{"exp": "9999-12-31T23:59:59-01:00"},
		{"iat": "1970-01-01T00:00:00.0009+01:00"},
		{"typ": "chat.voice.error", "cid": absent, "call_id": absent},
		{"party": "p", "reason": "x y"},
		{"jti": 1},
	} {
		f.Add(payload(f, changes))
	}
	f.Add([]byte(`{"data":{"a":"\u0041\/"},"data":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := signal.Decode(data)
		if err != nil {
			var refusal *signal.Refusal
			if !errors.As(err, &refusal) || refusal.Detail == "" ||
				refusal.Code != signal.CodeBadClaims && refusal.Code != signal.CodeOversized && refusal.Code != signal.CodeBadAudience {
				t.Errorf("error %#v is not a refusal of the decoder", err)
			}
			return
		}
		encoded, err := m.Encode()
		if err != nil {
			t.Fatalf("decoded %s, encoding it: %v", data, err)
		}
		again, err := signal.Decode(encoded)
		if err != nil {
			t.Fatalf("decoding %s: %v", encoded, err)
		}
		if diff := cmp.Diff(canonical(t, m), canonical(t, again), equal); diff != "" {
			t.Errorf("%s does not survive (-was +is):\n%s", data, diff)
		}
	})
}

// canonical brings the data of a message into the one form of RFC 8785: encoding
// may spell white space, strings and numbers differently.
func canonical(t *testing.T, m signal.Message) signal.Message {
	t.Helper()
	if m.Data != nil {
		m.Data = m.Data.Clone()
		if err := m.Data.Canonicalize(); err != nil {
			t.Fatalf("data %s: %v", m.Data, err)
		}
	}
	return m
}
