package identity_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/voicerouter/voicerouter/identity"
)

const (
	recordKey  = `{"kty":"OKP","crv":"Ed25519","kid":"1","x":"` + rfcX + `"}`
	recordNKey = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
	record     = `{"role":"user","keys":[` + recordKey + `],"nkey":"` + recordNKey + `","revoked":false}`
)

// recordSeeds are records, good and broken.
var recordSeeds = []string{
	record, `{"role":"app","keys":[]}`, `{"role":"app"}`, `{"role":"user","keys":null,"revoked":true,"later":{"x":[1]}}`,
	`{"role":"admin"}`, `{"role":"user","keys":[` + recordKey + `,` + recordKey + `]}`, `{`, `null`, ``,
}

func TestRecord(t *testing.T) {
	r, err := identity.DecodeRecord([]byte(record))
	if err != nil {
		t.Fatal(err)
	}
	want := identity.Record{Role: identity.RoleUser, NKey: recordNKey, Keys: []identity.PublicKey{rfcKey(t, "1").Public()}}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
	data, err := r.Encode()
	if err != nil || string(data) != record {
		t.Errorf("encoded %s, error %v, want %s", data, err, record)
	}
	if data, err := (identity.Record{Role: identity.RoleApp}).Encode(); err != nil || string(data) != `{"role":"app","keys":[],"revoked":false}` {
		t.Errorf("without keys: %s, error %v", data, err)
	}
}

func TestRecordRefused(t *testing.T) {
	nine := make([]string, identity.MaxKeys+1)
	for i := range nine {
		nine[i] = strings.Replace(recordKey, `"kid":"1"`, `"kid":"`+string(rune('a'+i))+`"`, 1)
	}
	for name, text := range map[string]string{
		"empty":            ``,
		"null":             `null`,
		"array":            `[]`,
		"cut off":          record[:len(record)-1],
		"trailing":         record + `x`,
		"duplicate member": strings.Replace(record, `{"role"`, `{"revoked":true,"role"`, 1),
		"no role":          `{"keys":[]}`,
		"unknown role":     `{"role":"admin"}`,
		"role in capitals": `{"role":"User"}`,
		"keys no array":    `{"role":"user","keys":{}}`,
		"broken key":       strings.Replace(record, rfcX, "AAAA", 1),
		"private key":      strings.Replace(record, `"x":`, `"d":"`+rfcD+`","x":`, 1),
		"two of a kid":     `{"role":"user","keys":[` + recordKey + `,` + recordKey + `]}`,
		"too many keys":    `{"role":"user","keys":[` + strings.Join(nine, ",") + `]}`,
		"account nkey":     strings.Replace(record, recordNKey, "A"+recordNKey[1:], 1),
		"revoked a string": strings.Replace(record, `false`, `"no"`, 1),
	} {
		r, err := identity.DecodeRecord([]byte(text))
		if !errors.Is(err, identity.ErrRecord) || !cmp.Equal(r, identity.Record{}) {
			t.Errorf("%s: record %v, error %v, want ErrRecord", name, r, err)
		}
		if err != nil && strings.Contains(err.Error(), rfcD) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
	if _, err := (identity.Record{Role: "x"}).Encode(); !errors.Is(err, identity.ErrRecord) {
		t.Errorf("encoding a broken record: error %v, want ErrRecord", err)
	}
}
