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
