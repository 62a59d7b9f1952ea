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
	// Late: the request waited too long; it is not answered.
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

// verdict is a decision about a connection.
type verdict struct {
	id     identity.ID // zero if the name is none
	role   identity.Role
	seq    uint64 // of the entry that was judged by, 0 if unknown
	result Result
}

// decide says whether the connection is that of the identity it names. The error
// says more about Unavailable.
func (s *Service) decide(ctx context.Context, r request) (verdict, error) {
	if !transport(r.ClientInformation.Kind, r.ClientInformation.Type) {
		return verdict{result: WrongTransport}, nil
	}
	// Nothing that could mean more than one token of a subject passes here: the
	// permissions are made of the name.
	id, err := identity.ParseID(r.ConnectOptions.Name)
	if err != nil {
		return verdict{result: BadName}, nil //nolint:nilerr // a refusal is a decision, not an error
	}
	nkey, result := proven(r)
	if result != "" {
		return verdict{id: id, result: result}, nil
	}
	e, err := s.lookup(ctx, id)
	v := verdict{id: id, role: e.record.Role, seq: e.seq}
	switch {
	case errors.Is(err, identity.ErrUnknown):
		v.result, err = Unknown, nil
	case err != nil:
		v.result = Unavailable
	case e.record.Revoked:
		v.result = Revoked
	case e.record.NKey != nkey: // never "": a client without one does not get here
		v.result = WrongKey
	default:
		v.result = Allowed
	}
	return v, err
}

// lookup reads the entry of id.
func (s *Service) lookup(ctx context.Context, id identity.ID) (entry, error) {
	if s.opts.Directory == nil {
		return s.directory.entry(ctx, id)
	}
	record, err := s.opts.Directory.Lookup(ctx, id)
	return entry{record: record}, err
}

func transport(kind, typ string) bool {
	return kind == "Client" && (typ == "nats" || typ == "websocket")
}

// proven returns the nkey that the client has proven to hold: the server has
// passed nkey and signature on unverified.
func proven(r request) (nkey string, result Result) {
	o, nonce := r.ConnectOptions, r.ClientInformation.Nonce
	// Without a nonce a signature proves nothing: it can be replayed.
	if o.Nkey == "" || o.SignedNonce == "" || nonce == "" {
		return "", NoKey
	}
	signature, err := base64.RawURLEncoding.DecodeString(o.SignedNonce)
	if err != nil {
		// Some client libraries pad; the server itself takes both.
		if signature, err = base64.StdEncoding.DecodeString(o.SignedNonce); err != nil {
			return "", BadSignature
		}
	}
	if !nkeys.IsValidPublicUserKey(o.Nkey) {
		return "", BadSignature
	}
	key, err := nkeys.FromPublicKey(o.Nkey)
	if err != nil || key.Verify([]byte(nonce), signature) != nil {
		return "", BadSignature
	}
	return o.Nkey, ""
}
