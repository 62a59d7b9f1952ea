package checker

import (
	"crypto/sha256"
	"encoding/base64"
)

// markOf is how a record remembers a message (docs/protocol.md, "Call record",
// applied).
func markOf(sender, jti string) string { return digest(8, sender, jti) }

// aliasOf is what the side that did not originate a call sees as its call_id
// (docs/protocol.md, "call_id per leg").
func aliasOf(cid, callID string) string { return digest(16, "leg", cid, callID) }

// offerOf is how a record remembers the caller's peer_info.
func offerOf(peerInfo string) string { return digest(12, peerInfo) }

// digest is base64url of the first n bytes of SHA-256 over parts that are joined
// by zero bytes.
func digest(n int, parts ...string) string {
	var text []byte
	for i, p := range parts {
		if i > 0 {
			text = append(text, 0)
		}
		text = append(text, p...)
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:n])
}

// knownAs is the call_id by which side knows a call on cid that caller originated.
func knownAs(cid, callID, caller, side string, masked bool) string {
	if !masked || side == caller || callID == "" {
		return callID
	}
	return aliasOf(cid, callID)
}
