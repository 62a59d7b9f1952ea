package plainjson_test

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/internal/plainjson"
)

// FuzzReader: an object of strings that is read to its end is one that the full
// parser accepts, with the same names and values.
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":"b"}`, `{"a":"b","c":"\r\n\t\"\\\/\b\f"}`, `{"a":"é"}`, "{\"a\":\"\xff\"}", `{"a":"b",}`, `{,}`, `{"a":"A"}`,
		`{"a":"b" }`, ` {}`, `{}x`, `{"a"}`, `{"a":}`, `{"a":"`, "{\"a\":\"\n\"}", `{"a":"\`, `{"a":"\q"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := map[string]string{}
		r := plainjson.Object(text)
		n := 0
		for name := r.Next(); name != nil; name = r.Next() {
			got[string(name)] = r.String()
			n++
		}
		if !r.OK() || len(got) != n {
			return // given up, or a name twice, which its user has to see
		}
		var want map[string]string
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatalf("%q: read as %q, the parser says %v", text, got, err)
		}
		if len(got) != len(want) {
			t.Fatalf("%q: read as %q, the parser reads %q", text, got, want)
		}
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%q: %q is %q, the parser reads %q", text, name, got[name], value)
			}
		}
	})
}

// FuzzNumberAndExtent: numbers and objects end where the parser says.
func FuzzNumberAndExtent(f *testing.F) {
	for _, s := range []string{
		`{"n":12,"o":{"a":[1,"}"]}}`, `{"n":012,"o":{}}`, `{"n":1.5,"o":{}}`, `{"n":1e3,"o":{}}`, `{"n":9999999999999999999,"o":{}}`, `{"n":0,"o":{"a":"\""}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := plainjson.Object(text)
		var n int64
		var o []byte
		for _, want := range []string{"n", "o"} {
			if string(r.Next()) != want {
				return
			}
			if want == "n" {
				n = r.Integer()
			} else {
				o = r.Extent()
			}
		}
		if r.Next() != nil || !r.OK() || !jsontext.Value(o).IsValid() {
			return
		}
		var full struct {
			N int64          `json:"n"`
			O jsontext.Value `json:"o"`
		}
		if err := json.Unmarshal(text, &full); err != nil || full.N != n || !bytes.Equal(full.O, o) {
			t.Errorf("%q: read as %d and %q, the parser reads %d and %q, %v", text, n, o, full.N, full.O, err)
		}
	})
}

// FuzzAppendString: what is written is what the full encoder writes.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "line\r\nline\t", `"\`, "é", "\x00", "\x7f", "\u2028", "a\xff", "a\n\xff", "<&>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, wantErr := json.Marshal(s)
		got, err := plainjson.AppendString([]byte("x"), s)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: error %v, the encoder says %v", s, err, wantErr)
		}
		if err == nil && string(got) != "x"+string(want) {
			t.Errorf("%q: %s, the encoder writes %s", s, got, want)
		}
	})
}
