package call

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/identity"
)

// Limits of the list of applied messages.
const (
	// KeepMarks is how many marks a record keeps although they could go.
	KeepMarks = 64
	// MaxMarks is how many a record holds at most. A message that would need one
	// more waits a little for an older one to go, and is refused then.
	MaxMarks = 256
)

// Mark remembers a message that has been applied. In JSON it is one string of
// three fields, so that a record with many stays small.
type Mark struct {
	// Hash is derived from the sender and the jti.
	Hash string
	// Seq is the sequence of the message in the inbound stream.
	Seq uint64
	// At is the broker's timestamp of the message.
	At time.Time
}

// hashBytes is how much of the SHA-256 a mark keeps: the list is short and its
// entries belong to two identities, so that 64 bits never collide by chance.
const hashBytes = 8

// hashOf returns the Hash of a message: base64url of the first 8 bytes of
// SHA-256 over sender, a zero byte, jti.
func hashOf(sender identity.ID, jti string) string {
	sum := sha256.Sum256([]byte(sender.String() + "\x00" + jti))
	return base64.RawURLEncoding.EncodeToString(sum[:hashBytes])
}

// applied reports whether the message with this hash is among the applied.
func (s *State) applied(hash string) bool {
	return s != nil && slices.ContainsFunc(s.Applied, func(m Mark) bool { return m.Hash == hash })
}

// mark adds m to the applied messages. Above [KeepMarks] the oldest go that may:
// a mark may go only if its message can be neither delivered again, which takes
// both that everything up to its sequence is acknowledged and that it is older
// than KeepApplied, nor stored again by somebody who replays it, which takes that
// it is older than Replayable. In a full list the age of KeepApplied alone
// decides, or one message anywhere that is never acknowledged would fill every
// record in the fleet; what is delivered again then is said again under the same
// jti, and dropped by who receives it. mark reports false, and remembers nothing,
// if the list is full of younger marks.
func (s *State) mark(m Mark, floor uint64, p Policy) bool {
	eldest, replayed := m.At.Add(-p.KeepApplied), m.At.Add(-p.Replayable)
	if over := len(s.Applied) + 1 - KeepMarks; over > 0 {
		s.Applied = slices.DeleteFunc(s.Applied, func(old Mark) bool {
			if over <= 0 || old.Seq > floor || !old.At.Before(replayed) {
				return false
			}
			over--
			return true
		})
	}
	if len(s.Applied) >= MaxMarks {
		old := slices.IndexFunc(s.Applied, func(old Mark) bool { return old.At.Before(eldest) })
		if old < 0 {
			return false
		}
		s.Applied = slices.Delete(s.Applied, old, old+1)
	}
	s.Applied = append(s.Applied, m)
	return true
}

var errMark = errors.New("applied: want hash.sequence.milliseconds")

// MarshalJSONTo implements json.MarshalerTo; see appendJSON.
func (m Mark) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteValue(m.appendJSON(enc.AvailableBuffer()))
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Mark) UnmarshalText(text []byte) error {
	hash, rest, _ := strings.Cut(string(text), ".")
	seq, ms, ok := strings.Cut(rest, ".")
	if !ok {
		return errMark
	}
	sequence, err1 := strconv.ParseUint(seq, 36, 64)
	millis, err2 := strconv.ParseInt(ms, 36, 64)
	if err1 != nil || err2 != nil {
		return errMark
	}
	*m = Mark{Hash: hash, Seq: sequence, At: time.UnixMilli(millis).UTC()}
	return nil
}
