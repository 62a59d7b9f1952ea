package auth

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/identity"
)

// Result is what became of a request; each is a label of the metric
// voicerouter_auth_decisions_total.
type Result string

// The results.
const (
	// Allowed: the identity is who it says it is.
	Allowed Result = "allowed"
	// Malformed: no request of a server for this service; it is not answered.
	Malformed Result = "malformed"
	// Late: the server has given up on the request; it is not answered.
	Late Result = "late"
	// WrongTransport: neither a client on TCP nor on WebSocket (a leaf node, MQTT).
	WrongTransport Result = "wrong_transport"
	// BadName: the connection name is no identity.
	BadName Result = "bad_name"
	// NoKey: the client presents no nkey, or signed no nonce.
	NoKey Result = "no_nkey"
	// BadSignature: the signature over the nonce is not by the nkey.
	BadSignature Result = "bad_signature"
	// Unknown: the directory has no such identity.
	Unknown Result = "unknown"
	// Revoked: the identity is revoked.
	Revoked Result = "revoked"
	// WrongKey: the nkey is not the identity's, or it has none.
	WrongKey Result = "wrong_nkey"
	// Unavailable: the directory cannot be read, or the entry is broken.
	Unavailable Result = "unavailable"
)

// results lists every Result.
func results() []Result {
	return []Result{
		Allowed, Malformed, Late, WrongTransport, BadName, NoKey, BadSignature, Unknown, Revoked, WrongKey, Unavailable,
	}
}

// decide says whether the connection is that of the identity it names. The error
// says more about Unavailable.
func (s *Service) decide(ctx context.Context, r request) (identity.ID, identity.Role, Result, error) {
	if !transport(r.ClientInformation.Kind, r.ClientInformation.Type) {
		return identity.ID{}, "", WrongTransport, nil
	}
	// Nothing that could mean more than one token of a subject passes here: the
	// permissions are made of the name.
	id, err := identity.ParseID(r.ConnectOptions.Name)
	if err != nil {
		return identity.ID{}, "", BadName, nil
	}
	p, result := proofOf(r, id)
	if result != "" {
		return id, "", result, nil
	}
	record, err := s.opts.Directory.Lookup(ctx, id)
	switch {
	case errors.Is(err, identity.ErrUnknown):
		return id, "", Unknown, nil
	case err != nil:
		return id, "", Unavailable, err
	case record.Revoked:
		return id, "", Revoked, nil
	case record.NKey == "" || p.nkey != "" && p.nkey != record.NKey:
		return id, "", WrongKey, nil
	case p.nkey == "" && !p.by(record.NKey):
		return id, "", BadSignature, nil
	}
	return id, record.Role, Allowed, nil
}

func transport(kind, typ string) bool {
	return kind == "Client" && (typ == "nats" || typ == "websocket")
}

// proof is what a client presents to be believed.
type proof struct {
	nkey             string
	nonce, signature []byte
}

// proofOf reads the proof and verifies it against the nkey that the client
// claims: the server has passed everything on unverified.
//
// A server that reloads its configuration asks again about open connections. It
// has forgotten the nkey then, and reports the name that the first JWT carried as
// the user; the signature is verified against the nkey of the directory instead,
// which proves as much.
func proofOf(r request, id identity.ID) (proof, Result) {
	o := r.ConnectOptions
	if o.Nkey == "" && o.Username != id.String() {
		return proof{}, NoKey
	}
	// Without a nonce a signature proves nothing: it can be replayed.
	if o.SignedNonce == "" || r.ClientInformation.Nonce == "" {
		return proof{}, NoKey
	}
	signature, err := base64.RawURLEncoding.DecodeString(o.SignedNonce)
	if err != nil {
		// Some client libraries pad; the server itself takes both.
		if signature, err = base64.StdEncoding.DecodeString(o.SignedNonce); err != nil {
			return proof{}, BadSignature
		}
	}
	p := proof{nkey: o.Nkey, nonce: []byte(r.ClientInformation.Nonce), signature: signature}
	if p.nkey != "" && !p.by(p.nkey) {
		return proof{}, BadSignature
	}
	return p, ""
}

// by reports whether the nonce is signed by the user key nkey.
func (p proof) by(nkey string) bool {
	if !nkeys.IsValidPublicUserKey(nkey) {
		return false
	}
	key, err := nkeys.FromPublicKey(nkey)
	return err == nil && key.Verify(p.nonce, p.signature) == nil
}
