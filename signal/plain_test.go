package signal

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/voicerouter/voicerouter/identity"
)

const plainSeed = `{"typ":"chat.voice.start","jti":"j","iss":"a","sub":"b","aud":"b","iat":"2026-03-01T09:00:00.120Z","exp":1772355600,` +
	`"cid":"c","call_id":"k","peer_info":"v=0\r\na=\"é\"","data":{"media":"audio","x":[1,{"y":"\""}]},"party":"p","reason":"hangup"}`

// FuzzPlainClaims: claims that are read the quick way, the full parser reads alike.
func FuzzPlainClaims(f *testing.F) {
	for _, change := range [][2]string{
		{"", ""},
		{`"iat":"2026-03-01T09:00:00.120Z"`, `"iat":"2026-03-01T09:00:00Z"`},
		{`"iat":"2026-03-01T09:00:00.120Z"`, `"iat":"2026-02-30T09:00:00Z"`},
		{`"iat":"2026-03-01T09:00:00.120Z"`, `"iat":"2026-03-01T24:00:00Z"`},
		{`"iat":"2026-03-01T09:00:00.120Z"`, `"iat":"2026-03-01T09:00:00+01:00"`},
		{`1772355600`, `0`},
		{`1772355600`, `99999999999999999`},
		{`"jti":"j"`, `"jti":"j","jti":"j"`},
		{`"jti":"j"`, `"other":"j"`},
		{`{"media":"audio","x":[1,{"y":"\""}]}`, `{"a":1,"a":2}`},
		{`{"media":"audio","x":[1,{"y":"\""}]}`, `null`},
		{`{"media":"audio","x":[1,{"y":"\""}]}`, `{]}`},
		{`"party":"p"`, `"party":null`},
	} {
		f.Add([]byte(strings.Replace(plainSeed, change[0], change[1], 1)))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, ok := plainClaims(payload)
		if !ok {
			return
		}
		var want claims
		if err := json.Unmarshal(payload, &want); err != nil {
			t.Fatalf("%s: read, the full parser says %v", payload, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-full parser +quick):\n%s", payload, diff)
		}
	})
}

// FuzzAppendClaims: claims are written as the full encoder writes them.
func FuzzAppendClaims(f *testing.F) {
	f.Add("j", "v=0\r\na=\"é\"", `{ "media" : "\u0061udio" }`, "p", int64(1772355600123))
	f.Add("", "\x7f\u2028<&>", ``, "", int64(0))
	f.Add("", "\xff", `{"a":1,"a":1}`, "", int64(-1))
	f.Fuzz(func(t *testing.T, jti, info, data, party string, ms int64) {
		at := time.UnixMilli(ms)
		if !plausible(at) {
			return
		}
		c := claims{Typ: "chat.voice.start", JTI: jti, Iss: "a", Sub: "b", Iat: stamp{at}, Exp: stamp{at}, PeerInfo: info, Party: party}
		if data != "" {
			c.Data = jsontext.Value(data)
		}
		want, wantErr := json.Marshal(c)
		got, err := c.appendJSON(nil)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, the full encoder says %v", err, wantErr)
		}
		if err == nil && !bytes.Equal(got, want) {
			t.Errorf("%s, the full encoder writes %s", got, want)
		}
		if c.Data != nil && string(c.Data) != data {
			t.Errorf("data changed to %s", c.Data)
		}
	})
}

// TestPlainWay: what this package and the SDKs that were there first write is read
// the quick way.
func TestPlainWay(t *testing.T) {
	if _, ok := plainClaims([]byte(plainSeed)); !ok {
		t.Errorf("not read: %s", plainSeed)
	}
}

// TestCodecAllocs bounds what a message of 2 KB allocates: its strings, and one
// buffer.
func TestCodecAllocs(t *testing.T) {
	now := time.Now()
	m := Message{
		Type: Start, JTI: "j", Issuer: identity.MustID("a"), Recipient: identity.MustID("b"), IssuedAt: now, ExpiresAt: now.Add(time.Hour),
		CID: "c", CallID: "k", PeerInfo: strings.Repeat("a=rtcp-mux\r\n", 160),
	}
	payload, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, want float64, do func() error) {
		if got := testing.AllocsPerRun(200, func() {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}); got > want {
			t.Errorf("%s: %.0f allocations, want at most %.0f", what, got, want)
		}
	}
	check("decode", 9, func() error { _, err := Decode(payload); return err })
	check("encode", 2, func() error { _, err := m.Encode(); return err })
}
