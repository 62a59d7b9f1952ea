package subjects

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Voice returns the subject on which self publishes a message of type typ.
func Voice(self, typ string) string { return "voice." + self + "." + typ }

// Inbox returns the stored subject of a message of type typ for self.
func Inbox(self, typ string) string { return "voice." + self + ".inbox." + typ }

// InboxAll returns the filter that matches every stored message for self.
func InboxAll(self string) string { return Inbox(self, "*") }

// LiveAll returns the subject to which the connection of self subscribes.
func LiveAll(self string) string { return "live.voice." + self + ".inbox.*" }

// State returns the subject of the call record with this key.
func State(key string) string { return "call." + key + ".state" }

// Timer returns the subject of the schedule of the call with this key.
func Timer(key string) string { return "call." + key + ".timer" }

// Check returns the subject of the assertion that the record with this key has not
// moved.
func Check(key string) string { return "call." + key + ".check" }

// Timeout returns the subject to which the server publishes when the timer of
// the call with this key fires.
func Timeout(key string) string { return "call." + key + ".timeout" }

// Rejected returns the subject under which a refused message of self is kept.
func Rejected(reason, self string) string { return "rejected." + reason + "." + self }

// Sync returns the subject on which self asks what it missed.
func Sync(self string) string { return "sync." + self }

// DirectKey returns the key of the direct conversation cid between the
// identities a and b, in either order: the cid, a tilde, and 16 characters of a
// hash over both ends. The tilde cannot occur in a cid, so that a direct
// conversation never meets a masked one, nor that of another pair.
func DirectKey(cid, a, b string) string {
	if b < a {
		a, b = b, a
	}
	sum := sha256.Sum256([]byte(a + "." + b))
	return cid + "~" + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// CIDOfKey returns the conversation id in the key of a call record; direct reports
// whether [DirectKey] made it.
func CIDOfKey(key string) (cid string, direct bool) {
	cid, _, direct = strings.Cut(key, "~")
	return cid, direct
}

// KV returns the name of the stream behind a key-value bucket.
func KV(bucket string) string { return "KV_" + bucket }

// KVKey returns the subject of a key of a key-value bucket. The key must be a
// single valid token.
func KVKey(bucket, key string) string { return "$KV." + bucket + "." + key }
