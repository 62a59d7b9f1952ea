package identity

import (
	"context"
	"errors"
)

// ErrUnknown is returned by a directory that has no entry for an identity.
var ErrUnknown = errors.New("unknown identity")

// Directory finds the record of an identity. Lookup returns [ErrUnknown] when
// there is none, an error that wraps [ErrRecord] when the entry is broken, and
// any other error when the directory cannot be read, which says nothing about
// the identity.
type Directory interface {
	Lookup(ctx context.Context, id ID) (Record, error)
}

// Static is a directory in memory.
type Static map[ID]Record

// Lookup implements [Directory].
func (s Static) Lookup(_ context.Context, id ID) (Record, error) {
	r, ok := s[id]
	if !ok {
		return Record{}, ErrUnknown
	}
	return r, nil
}
