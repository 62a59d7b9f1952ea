package signal

// Code says why a message was refused. It is data.code of an error message, the
// second token of the subject rejected.<code>.<selfid>, and a metric label.
type Code string

// Codes of messages that are refused before anybody asks about a call: no answer
// is sent unless the signature is good.
const (
	CodeUnknownType     Code = "unknown_type"     // the subject names no type of the protocol
	CodeOversized       Code = "oversized"        // a field is longer than allowed
	CodeMalformed       Code = "malformed"        // not a flattened JWS
	CodeBadHeader       Code = "bad_header"       // protected header with crit, jwk ...
	CodeBadAlgorithm    Code = "bad_algorithm"    // alg is not EdDSA
	CodeUnknownIdentity Code = "unknown_identity" // the sender is not in the directory
	CodeRevoked         Code = "revoked"          // the sender is revoked
	CodeUnknownKey      Code = "unknown_key"      // the sender has no key of that kid
	CodeBadSignature    Code = "bad_signature"    // the signature does not verify
)

// Codes of messages with a good signature that are refused for what they say:
// the sender gets an error.
const (
	CodeBadClaims    Code = "bad_claims"    // not JSON, duplicate or missing claims, wrong types
	CodeTypeMismatch Code = "type_mismatch" // claim typ is not the subject's type
	CodeWrongIssuer  Code = "wrong_issuer"  // iss is not the subject's identity
	CodeBadAudience  Code = "bad_audience"  // aud is present and not sub
	CodeExpired      Code = "expired"       // exp had passed when the broker stored it
	CodeStale        Code = "stale"         // iat lies too far back
	CodeFuture       Code = "future"        // iat lies in the future
)

// Codes of messages that the state of the call, the route or the roles forbid.
const (
	CodeUnknownCall      Code = "unknown_call"      // no such conversation or call, for this sender
	CodeCallEnded        Code = "call_ended"        // the call_id has been used
	CodeSessionBusy      Code = "session_busy"      // another call is current
	CodeDuplicateStart   Code = "duplicate_start"   // same call_id, other offer
	CodeConflict         Code = "conflict"          // the call_id or the call is another's
	CodeTooEarly         Code = "too_early"         // the call has not been accepted
	CodeWrongRole        Code = "wrong_role"        // not for this side, in this state
	CodeForbidden        Code = "forbidden"         // not allowed to address this
	CodeRouteExpired     Code = "route_expired"     // expires_at of the route has passed
	CodeRouteInvalid     Code = "route_invalid"     // the route record is broken
	CodeUnknownRecipient Code = "unknown_recipient" // told to apps only
	CodeRateLimited      Code = "rate_limited"      // too many, try later
	CodeInternal         Code = "internal"          // our fault: the message could not be committed
)

// Codes lists every code.
func Codes() []Code {
	return []Code{
		CodeUnknownType, CodeOversized, CodeMalformed, CodeBadHeader, CodeBadAlgorithm,
		CodeUnknownIdentity, CodeRevoked, CodeUnknownKey, CodeBadSignature,
		CodeBadClaims, CodeTypeMismatch, CodeWrongIssuer, CodeBadAudience, CodeExpired, CodeStale, CodeFuture,
		CodeUnknownCall, CodeCallEnded, CodeSessionBusy, CodeDuplicateStart, CodeConflict, CodeTooEarly,
		CodeWrongRole, CodeForbidden, CodeRouteExpired, CodeRouteInvalid, CodeUnknownRecipient,
		CodeRateLimited, CodeInternal,
	}
}

// Refusal is the error of a message that is refused. Detail is for the person
// who wrote the client: it says what was wrong, never quotes a secret, an SDP or
// another identity, and is the same for equal causes.
type Refusal struct {
	Code   Code
	Detail string
}

// Error implements error.
func (r *Refusal) Error() string { return "signal: " + string(r.Code) + ": " + r.Detail }
