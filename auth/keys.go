package auth

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/identity"
)

// Keys are the key material of the service. The server's configuration names
// their public halves.
type Keys struct {
	issuer nkeys.KeyPair // account key (SA...): signs answers and user JWTs
	xkey   nkeys.KeyPair // curve key (SX...): opens requests and seals answers
}

// NewKeys returns the keys with these seeds: of an account ("SA...") and of a
// curve key ("SX..."). Its errors show nothing of them.
func NewKeys(issuerSeed, xkeySeed []byte) (Keys, error) {
	issuer, err := pair(issuerSeed, nkeys.PrefixByteAccount)
	if err != nil {
		return Keys{}, errors.New("auth: issuer: want the seed of an account key (SA...)")
	}
	xkey, err := pair(xkeySeed, nkeys.PrefixByteCurve)
	if err != nil {
		return Keys{}, errors.New("auth: xkey: want the seed of a curve key (SX...)")
	}
	return Keys{issuer: issuer, xkey: xkey}, nil
}

func pair(seed []byte, want nkeys.PrefixByte) (nkeys.KeyPair, error) {
	seed = bytes.TrimSpace(seed)
	prefix, _, err := nkeys.DecodeSeed(seed)
	if err != nil {
		return nil, err
	}
	if prefix != want {
		return nil, nkeys.ErrInvalidPrefixByte
	}
	if want == nkeys.PrefixByteCurve {
		return nkeys.FromCurveSeed(seed)
	}
	return nkeys.FromSeed(seed)
}

// LoadKeys reads the two seeds from files. Files that everybody may read are
// refused with [identity.ErrKeyFileMode].
func LoadKeys(issuerFile, xkeyFile string) (Keys, error) {
	issuer, errI := readSeed("issuer", issuerFile)
	xkey, errX := readSeed("xkey", xkeyFile)
	if err := errors.Join(errI, errX); err != nil {
		return Keys{}, err
	}
	return NewKeys(issuer, xkey)
}

func readSeed(what, name string) ([]byte, error) {
	if err := identity.CheckKeyFile(name); err != nil {
		return nil, fmt.Errorf("auth: %s: %w", what, err)
	}
	seed, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("auth: %s: %w", what, err)
	}
	return seed, nil
}

// Seeds are the secret halves of [Keys], to be written to files.
type Seeds struct{ Issuer, XKey []byte }

// GenerateSeeds makes new key material.
func GenerateSeeds() (Seeds, error) {
	issuer, err := nkeys.CreateAccount()
	if err != nil {
		return Seeds{}, err
	}
	xkey, err := nkeys.CreateCurveKeys()
	if err != nil {
		return Seeds{}, err
	}
	var s Seeds
	var errs [2]error
	s.Issuer, errs[0] = issuer.Seed()
	s.XKey, errs[1] = xkey.Seed()
	return s, errors.Join(errs[:]...)
}

// String shows no seed.
func (Seeds) String() string { return "seeds" }

// GoString shows no seed.
func (s Seeds) GoString() string { return s.String() }

// LogValue implements [slog.LogValuer]; it shows no seed.
func (s Seeds) LogValue() slog.Value { return slog.StringValue(s.String()) }

// IsZero reports whether there are no keys.
func (k Keys) IsZero() bool { return k.issuer == nil || k.xkey == nil }

// Issuer returns the public account key ("A...") for auth_callout.issuer.
func (k Keys) Issuer() string { return public(k.issuer) }

// XKey returns the public curve key ("X...") for auth_callout.xkey.
func (k Keys) XKey() string { return public(k.xkey) }

func public(p nkeys.KeyPair) string {
	if p == nil {
		return ""
	}
	s, err := p.PublicKey()
	if err != nil {
		return "" // only for a pair that was wiped
	}
	return s
}

// String names the public halves.
func (k Keys) String() string { return "issuer " + k.Issuer() + ", xkey " + k.XKey() }

// GoString is String, so that %#v shows no seed either.
func (k Keys) GoString() string { return k.String() }

// LogValue implements [slog.LogValuer].
func (k Keys) LogValue() slog.Value { return slog.StringValue(k.String()) }
