package signal

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/voicerouter/voicerouter/identity"
)

// MsgID returns the header Nats-Msg-Id of a message: base64url, without padding,
// of the first 16 bytes of SHA-256 over sender, a zero byte, jti
// (docs/protocol.md, "Publishing").
//
// It must name nobody. Whoever may write to a stream can ask for the last
// Nats-Msg-Id in it, with the header Nats-Expected-Last-Msg-Id: in clear it would
// tell a customer who the operator is.
func MsgID(sender identity.ID, jti string) string {
	sum := sha256.Sum256([]byte(sender.String() + "\x00" + jti))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
