package identity

import (
	"bytes"
	"crypto/ed25519"

	"github.com/voicerouter/voicerouter/internal/plainjson"
)

// members are the three members of a flattened JWS as they stand in the text.
type members struct{ payload, protected, signature []byte }

// plainMembers reads the members of an envelope without white space; ok is false
// if it is written in another way, which says nothing about whether it is valid.
func plainMembers(data []byte) (m members, ok bool) {
	r := plainjson.Object(data)
	for name := r.Next(); name != nil; name = r.Next() {
		var member *[]byte
		switch string(name) {
		case "payload":
			member = &m.payload
		case "protected":
			member = &m.protected
		case "signature":
			member = &m.signature
		}
		if member == nil || *member != nil {
			return m, false // unknown, or there twice
		}
		*member = r.Token() // base64url, as who decodes it makes sure
	}
	return m, r.OK() && m.payload != nil && m.protected != nil && m.signature != nil
}

// plainHeader reads a protected header without white space and escapes.
func plainHeader(text []byte) (h header, ok bool) {
	r := plainjson.Object(text)
	for name := r.Next(); name != nil; name = r.Next() {
		var member *string
		switch string(name) {
		case "alg":
			member = &h.Alg
		case "kid":
			member = &h.KID
		case "typ":
			member = &h.Typ
		}
		if member == nil || *member != "" {
			return h, false
		}
		if *member = string(r.Raw()); *member == "" {
			return h, false
		}
	}
	return h, r.OK()
}

// plainEnvelope is ParseEnvelope for what nearly every client writes. What it does
// not accept, ParseEnvelope judges.
func plainEnvelope(data []byte) (e Envelope, ok bool) {
	m, ok := plainMembers(data)
	if !ok || b64.DecodedLen(len(m.signature)) != ed25519.SignatureSize || len(m.protected) > maxPlainHeader {
		return e, false
	}
	var text [maxPlainHeader]byte
	n, ok := decodePlain(text[:], m.protected)
	if !ok {
		return e, false
	}
	h, ok := plainHeader(text[:n])
	if !ok || h.check() != nil {
		return e, false
	}
	if n, ok = decodePlain(e.signature[:], m.signature); !ok || n != len(e.signature) {
		return e, false
	}
	e.Payload = make([]byte, b64.DecodedLen(len(m.payload)))
	if n, ok = decodePlain(e.Payload, m.payload); !ok {
		return e, false
	}
	e.KID, e.Payload, e.protected, e.payload = h.KID, e.Payload[:n], m.protected, m.payload
	return e, true
}

// maxPlainHeader bounds the protected headers that plainEnvelope decodes, in
// characters of base64url.
const maxPlainHeader = 192

// decodePlain is decode64 into out. The decoder would skip line breaks.
func decodePlain(out, text []byte) (n int, ok bool) {
	if bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 {
		return 0, false
	}
	n, err := b64.Decode(out, text)
	return n, err == nil
}
