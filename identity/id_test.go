package identity_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/identity"
)

func TestParseID(t *testing.T) {
	for s, want := range map[string]bool{
		"1112223334": true, "a": true, "A-b_9": true, strings.Repeat("a", 64): true,
		"": false, "*": false, ">": false, "a.b": false, "a b": false, "ä": false, "a\n": false, strings.Repeat("a", 65): false,
	} {
		id, err := identity.ParseID(s)
		if (err == nil) != want {
			t.Errorf("%q: error %v, want valid %v", s, err, want)
		}
		if want && (id.String() != s || id.IsZero()) || !want && !id.IsZero() {
			t.Errorf("%q: got %q, zero %v", s, id, id.IsZero())
		}
	}
}

func TestIDText(t *testing.T) {
	type record struct {
		A identity.ID         `json:"a"`
		M map[identity.ID]int `json:"m"`
	}
	in := record{identity.MustID("a1"), map[identity.ID]int{identity.MustID("b"): 1}}
	data, err := json.Marshal(in)
	if err != nil || string(data) != `{"a":"a1","m":{"b":1}}` {
		t.Fatalf("got %s, error %v", data, err)
	}
	var out record
	if err := json.Unmarshal(data, &out); err != nil || out.A != in.A || out.M[identity.MustID("b")] != 1 {
		t.Errorf("got %v, error %v, want %v", out, err, in)
	}
	if err := json.Unmarshal([]byte(`{"a":""}`), &out); err != nil || !out.A.IsZero() {
		t.Errorf("empty text: %q, error %v, want nobody", out.A, err)
	}
	if err := json.Unmarshal([]byte(`{"a":"x.y"}`), &out); err == nil {
		t.Errorf("x.y became %q", out.A)
	}
}

func TestMustIDPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic for a wildcard")
		}
	}()
	identity.MustID("*")
}

// TestStatic holds the directory in memory to the same terms.
func TestStatic(t *testing.T) {
	s := identity.Static{alice: {Role: identity.RoleUser}}
	if r, err := s.Lookup(t.Context(), alice); err != nil || r.Role != identity.RoleUser {
		t.Errorf("got %+v, error %v", r, err)
	}
	if _, err := s.Lookup(t.Context(), proxy); !errors.Is(err, identity.ErrUnknown) {
		t.Errorf("error %v, want ErrUnknown", err)
	}
}
