package identity

import (
	"fmt"

	"github.com/voicerouter/voicerouter/subjects"
)

// ID is a valid identity, the selfid of the protocol: one to 64 characters of
// [A-Za-z0-9_-]. The zero ID is nobody. IDs compare with ==.
type ID struct{ s string }

// Router is the identity under which the fleet signs errors in direct mode.
var Router = ID{"router"}

// ParseID returns the identity that s names. It refuses anything that could
// mean more than one token of a NATS subject, wildcards included.
func ParseID(s string) (ID, error) {
	if !subjects.ValidSelfID(s) {
		return ID{}, fmt.Errorf("identity: %.80q is not an identity: want 1 to %d characters of A-Z a-z 0-9 _ -", s, subjects.MaxSelfID)
	}
	return ID{s}, nil
}

// MustID is ParseID for names that the program itself contains. It panics if s
// is not an identity.
func MustID(s string) ID {
	id, err := ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

// String returns the identity as it stands in subjects and claims; "" for the
// zero ID.
func (id ID) String() string { return id.s }

// IsZero reports whether id is nobody.
func (id ID) IsZero() bool { return id.s == "" }

// MarshalText implements [encoding.TextMarshaler].
func (id ID) MarshalText() ([]byte, error) { return []byte(id.s), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. Empty text is the zero
// ID; any other text must be valid for [ParseID].
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
