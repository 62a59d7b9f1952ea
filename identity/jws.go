package identity

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	curve "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// Errors of [ParseEnvelope] and [Envelope.Verify].
var (
	// ErrEnvelope is returned for bytes that are not a JWS in flattened JSON
	// serialization with exactly the members payload, protected and signature.
	ErrEnvelope = errors.New("not a flattened JWS")
	// ErrHeader is returned for a protected header that is not a JSON object
	// with alg, kid and at most typ: crit, b64, jwk and all else are refused.
	ErrHeader = errors.New("protected header refused")
	// ErrAlgorithm is returned for any alg but EdDSA.
	ErrAlgorithm = errors.New("algorithm refused")
	// ErrUnknownKey is returned by Verify when the sender has no key with the
	// kid of the header.
	ErrUnknownKey = errors.New("unknown key")
	// ErrSignature is returned by Verify when the signature is not the key's.
	ErrSignature = errors.New("signature does not verify")
)

// Envelope is a parsed, not yet verified JWS. Its Payload means nothing before
// Verify has returned nil.
type Envelope struct {
	// KID is the key id of the protected header.
	KID string
	// Payload holds the decoded bytes of the payload member.
	Payload []byte

	protected, payload []byte // the members as they stand in the text
	signature          [ed25519.SignatureSize]byte
}

// flattened tells members that are missing or null from empty ones.
type flattened struct {
	Payload   *string `json:"payload"`
	Protected *string `json:"protected"`
	Signature *string `json:"signature"`
}

type header struct {
	Alg string `json:"alg"`
	KID string `json:"kid"`
	Typ string `json:"typ,omitzero"`
}

// strict refuses unknown members. Duplicate members, invalid UTF-8 and names in
// another case are refused by the decoder's defaults.
var strict = json.JoinOptions(json.RejectUnknownMembers(true), jsontext.AllowDuplicateNames(false))

// ParseEnvelope parses a JWS in flattened JSON serialization (RFC 7515 section
// 7.2.2). Its errors wrap [ErrEnvelope], [ErrHeader] or [ErrAlgorithm]. The
// envelope shares memory with data.
func ParseEnvelope(data []byte) (Envelope, error) {
	if e, ok := plainEnvelope(data); ok {
		return e, nil
	}
	return parseEnvelope(data)
}

// parseEnvelope parses whatever is valid, and says what is wrong with all else.
func parseEnvelope(data []byte) (Envelope, error) {
	raw, err := parseFlattened(data)
	if err != nil {
		return Envelope{}, err
	}
	protected, err := decode64(*raw.Protected)
	if err != nil {
		return Envelope{}, fmt.Errorf("%w: member protected is not unpadded base64url", ErrEnvelope)
	}
	if jsontext.Value(protected).Kind() != '{' {
		return Envelope{}, fmt.Errorf("%w: want a JSON object", ErrHeader)
	}
	var h header
	if err := json.Unmarshal(protected, &h, strict); err != nil {
		return Envelope{}, fmt.Errorf("%w: %s", ErrHeader, jsonFault(err))
	}
	if err := h.check(); err != nil {
		return Envelope{}, err
	}
	signature, err := decode64(*raw.Signature)
	if err != nil || len(signature) != ed25519.SignatureSize {
		return Envelope{}, fmt.Errorf("%w: member signature is not the unpadded base64url of %d bytes", ErrEnvelope, ed25519.SignatureSize)
	}
	payload, err := decode64(*raw.Payload)
	if err != nil {
		return Envelope{}, errPayload
	}
	return Envelope{
		KID:       h.KID,
		Payload:   payload,
		protected: []byte(*raw.Protected),
		payload:   []byte(*raw.Payload),
		signature: [ed25519.SignatureSize]byte(signature),
	}, nil
}

var errPayload = fmt.Errorf("%w: member payload is not unpadded base64url", ErrEnvelope)

func parseFlattened(data []byte) (raw flattened, err error) {
	if err := json.Unmarshal(data, &raw, strict); err != nil {
		return raw, fmt.Errorf("%w: %s", ErrEnvelope, jsonFault(err))
	}
	if raw.Payload == nil || raw.Protected == nil || raw.Signature == nil {
		return raw, fmt.Errorf("%w: want the members payload, protected and signature", ErrEnvelope)
	}
	return raw, nil
}

func (h header) check() error {
	if h.Alg != "EdDSA" {
		return fmt.Errorf("%w: %.16q, want EdDSA", ErrAlgorithm, h.Alg)
	}
	if checkKID(h.KID) != nil || h.Typ != "" && !strings.EqualFold(h.Typ, "JWT") {
		return fmt.Errorf("%w: want a kid of 1 to %d bytes and no typ but JWT", ErrHeader, MaxKID)
	}
	return nil
}

// Verify checks the signature with the key among keys that the header names. Its
// errors wrap [ErrUnknownKey] or [ErrSignature]. The rule is that of RFC 8032 section
// 5.1.7.
func (e *Envelope) Verify(keys []PublicKey) error {
	key, err := e.key(keys)
	if err != nil {
		return err
	}
	input := inputs.Get().(*[]byte)
	defer inputs.Put(input)
	*input = appendSigningInput((*input)[:0], e.protected, e.payload)
	if !key.verifies(*input, e.signature[:]) {
		return errSignature(e.KID)
	}
	return nil
}

// key returns the key among keys that the header names.
func (e *Envelope) key(keys []PublicKey) (*PublicKey, error) {
	for i := range keys {
		if keys[i].KID == e.KID {
			return &keys[i], nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownKey, e.KID)
}

// inputs holds buffers for signing inputs, of a few KB each.
var inputs = sync.Pool{New: func() any { return new([]byte) }}

// appendSigningInput appends what is signed: protected + "." + payload (RFC 7515
// section 5.2).
func appendSigningInput(out, protected, payload []byte) []byte {
	out = append(out, protected...)
	out = append(out, '.')
	return append(out, payload...)
}

// Sign returns payload in a flattened JWS, signed with k. Ed25519 is
// deterministic: the same key and payload give the same bytes. It panics if k is
// the zero key.
func (k PrivateKey) Sign(payload []byte) []byte {
	const (
		first, second, third, last = `{"payload":"`, `","protected":"`, `","signature":"`, `"}`

		signatureLen = 86 // of 64 bytes in base64url
	)
	buffer := inputs.Get().(*[]byte)
	defer inputs.Put(buffer)
	input := k.appendProtected((*buffer)[:0])
	protected := len(input)
	input = append(input, '.')
	input = b64.AppendEncode(input, payload)
	*buffer = input
	signature := curve.Sign(curve.PrivateKey(k.key()), input)

	out := make([]byte, 0, len(first)+len(second)+len(third)+len(last)+signatureLen+len(input)-1)
	out = append(out, first...)
	out = append(out, input[protected+1:]...)
	out = append(out, second...)
	out = append(out, input[:protected]...)
	out = append(out, third...)
	out = b64.AppendEncode(out, signature)
	return append(out, last...)
}

// appendProtected appends the protected header of what k signs, in base64url.
func (k PrivateKey) appendProtected(out []byte) []byte {
	if k.KID == "1" {
		return append(out, protectedOne...) // the kid of nearly every key
	}
	kid, err := jsontext.AppendQuote(nil, k.KID)
	if err != nil {
		kid = []byte(`""`) // a kid that is not UTF-8 was never accepted by a parser
	}
	return b64.AppendEncode(out, []byte(`{"alg":"EdDSA","kid":`+string(kid)+`}`))
}

// protectedOne is the base64url of {"alg":"EdDSA","kid":"1"}.
const protectedOne = "eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ"

// jsonFault says what is wrong with a JSON text without quoting it: the text may
// be private.
func jsonFault(err error) string {
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Sprintf("JSON error at byte %d", syntactic.ByteOffset)
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return fmt.Sprintf("unknown member or wrong JSON type at byte %d", semantic.ByteOffset)
	}
	return "JSON ends too early"
}
