package identity

import (
	"crypto/ed25519"

	curve "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// Ed25519 (RFC 8032) is most of what a message costs. The arithmetic is that of
// curve25519-voi, which signs in two thirds of the time of crypto/ed25519 and verifies
// with prepared keys in a third, many signatures at a time; keys and their generation are
// the standard library's.
//
// The rule of verification is the equation of RFC 8032 section 5.1.7, both sides times
// the cofactor, because only that one gives the same answer for a signature alone and
// among others. crypto/ed25519 leaves the cofactor out: it refuses signatures that only
// the owner of the key can make, and makes on purpose. Points in another than their one
// encoding, and keys of small order, are refused (docs/adr/0032-signatures-are-verified-together.md).
var rules = curve.Options{Verify: curve.VerifyOptionsDefault}

// verifies reports whether signature is k's over signed.
func (k PublicKey) verifies(signed, signature []byte) bool {
	switch {
	case len(k.Key) != ed25519.PublicKeySize || len(signature) != ed25519.SignatureSize:
		return false
	case k.ready != nil:
		return curve.VerifyExpandedWithOptions(k.ready, signed, signature, &rules)
	default:
		return curve.VerifyWithOptions(curve.PublicKey(k.Key), signed, signature, &rules)
	}
}

// Equal reports whether both are the same key under the same key id.
func (k PublicKey) Equal(other PublicKey) bool {
	return k.KID == other.KID && k.Key.Equal(other.Key)
}
