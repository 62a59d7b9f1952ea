package identity

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nkeys"
)

// Role says whom an identity may address.
type Role string

// The roles.
const (
	// RoleUser is an endpoint: it speaks with apps only.
	RoleUser Role = "user"
	// RoleApp may address anybody.
	RoleApp Role = "app"
)

// Record is what the directory keeps of an identity: the value of its key in
// the bucket voice_identities.
type Record struct {
	Role Role `json:"role"`
	// Keys verify the identity's messages, at most [MaxKeys].
	Keys []PublicKey `json:"keys"`
	// NKey opens the identity's NATS connection: a public user key, "U...".
	NKey string `json:"nkey,omitzero"`
	// Revoked identities neither connect nor speak.
	Revoked bool `json:"revoked"`
}

// MaxKeys is the number of keys an identity may have at once.
const MaxKeys = 8

// ErrRecord is returned for a directory entry that breaks its schema.
var ErrRecord = errors.New("identity record is broken")

// DecodeRecord parses and checks a directory entry. Unknown members are
// tolerated, so that newer writers do not lock out older readers. Its errors
// wrap [ErrRecord].
func DecodeRecord(data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("%w: %s", ErrRecord, jsonFault(err))
	}
	if err := r.Validate(); err != nil {
		return Record{}, err
	}
	return r, nil
}

// Validate reports what is wrong with r; the error wraps [ErrRecord].
func (r Record) Validate() error {
	if r.Role != RoleUser && r.Role != RoleApp {
		return fmt.Errorf("%w: role %.16q, want user or app", ErrRecord, r.Role)
	}
	if len(r.Keys) > MaxKeys {
		return fmt.Errorf("%w: %d keys, want at most %d", ErrRecord, len(r.Keys), MaxKeys)
	}
	for i, k := range r.Keys {
		for _, other := range r.Keys[:i] {
			if other.KID == k.KID {
				return fmt.Errorf("%w: two keys named %q", ErrRecord, k.KID)
			}
		}
	}
	if r.NKey != "" && !nkeys.IsValidPublicUserKey(r.NKey) {
		return fmt.Errorf("%w: nkey is not a public user key (U...)", ErrRecord)
	}
	return nil
}

// Encode returns the JSON of a valid record.
func (r Record) Encode() ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if r.Keys == nil {
		r.Keys = []PublicKey{}
	}
	return json.Marshal(r)
}
