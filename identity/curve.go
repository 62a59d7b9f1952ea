package identity

import (
	"crypto/ed25519"

	curve "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// Ed25519 (RFC 8032) is most of what a message costs. The arithmetic is that of
// curve25519-voi, which verifies with a prepared key in half the time of
// crypto/ed25519 and signs in two thirds; keys and their generation are the standard library's.
// Verification follows the standard library's rules to the letter, and the tests
// hold the two against each other (docs/adr/0006-strict-jws-without-a-jose-library.md).
var stdRules = curve.Options{Verify: curve.VerifyOptionsStdLib}

// verifies reports whether signature is k's over signed.
func (k PublicKey) verifies(signed, signature []byte) bool {
	switch {
	case len(k.Key) != ed25519.PublicKeySize || len(signature) != ed25519.SignatureSize:
		return false
	case k.ready != nil:
		return curve.VerifyExpandedWithOptions(k.ready, signed, signature, &stdRules)
	default:
		return curve.VerifyWithOptions(curve.PublicKey(k.Key), signed, signature, &stdRules)
	}
}

// Equal reports whether both are the same key under the same key id.
func (k PublicKey) Equal(other PublicKey) bool {
	return k.KID == other.KID && k.Key.Equal(other.Key)
}
