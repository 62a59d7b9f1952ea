// Package auth decides who may connect: it is the auth callout service of the
// broker (docs/adr/0013-auth-callout.md).
//
// An identity connects with its nkey and its selfid as the connection name. The
// server passes both on, unverified, to a [Service], which follows one column:
// open the encrypted request, verify the signature over the server's nonce, look
// the identity up, compare the nkeys, and answer with a short-lived user JWT
// that carries exactly what [IdentityPermissions] lists. Whatever is wrong, the
// client learns "Authorization Violation" and nothing else.
//
// A service also watches the directory: who is no longer entitled to an open
// connection loses it, and the live calls of a revoked identity are ended.
//
// Services hold no state. Any number of them share the work.
package auth
