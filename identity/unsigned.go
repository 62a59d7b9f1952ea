package identity

// Unsigned returns payload in a flattened JWS that is not signed: its alg is
// "none" and its signature empty (RFC 7515 appendix A.5). Only who was told to do
// without signatures accepts it: see [ParseUnverified].
func Unsigned(payload []byte) []byte {
	const before, after = `{"payload":"`, `","protected":"eyJhbGciOiJub25lIn0","signature":""}`
	out := make([]byte, 0, len(before)+b64.EncodedLen(len(payload))+len(after))
	out = append(out, before...)
	out = b64.AppendEncode(out, payload)
	return append(out, after...)
}

// ParseUnverified parses a flattened JWS without a look at what its members
// protected and signature say, beyond that they are strings: for a closed network that does without signatures
// (docs/protocol.md, "Without signatures"), and to read what somebody has verified
// before. The envelope verifies with no key. Its errors wrap [ErrEnvelope].
func ParseUnverified(data []byte) (Envelope, error) {
	m, ok := plainMembers(data)
	if !ok || !plainText(m.protected) || !plainText(m.signature) {
		raw, err := parseFlattened(data)
		if err != nil {
			return Envelope{}, err
		}
		m.payload = []byte(*raw.Payload)
	}
	payload := make([]byte, b64.DecodedLen(len(m.payload)))
	n, ok := decodePlain(payload, m.payload)
	if !ok {
		return Envelope{}, errPayload
	}
	return Envelope{Payload: payload[:n]}, nil
}

// plainText reports whether text, of a member that nothing decodes, is surely a JSON
// string: what is accepted here is passed on as it is.
func plainText(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c == '\\' || c > '~' {
			return false
		}
	}
	return true
}
