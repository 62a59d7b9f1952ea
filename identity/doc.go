// Package identity knows who speaks: identities and their roles, the keys with
// which they sign, the JWS envelope around every message (RFC 7515 section
// 7.2.2, RFC 8037), and the directory of public keys.
//
// An identity has two keys on purpose. The Ed25519 key of this package signs
// messages; an nkey opens the NATS connection. With one key for both, a hostile
// server could have a client sign a chosen nonce that is a message.
package identity
