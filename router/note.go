package router

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
)

// note tells whoever looks for it why a message was refused, at the level of
// debugging: a client whose signature is wrong hears nothing else.
func (w *worker) note(j *job) {
	if code := j.decision.Code; code != "" {
		detail := call.Detail(code)
		if j.refusal != nil {
			detail = j.refusal.Detail
		}
		w.log.Debug("message refused", "code", string(code), "type", j.subjectType, "from", j.subjectSelf, "detail", detail)
	}
}

// noteEnd writes the one line that a call leaves in the log: who looks for a
// conversation hashes its cid (see hashCID). Nobody is named.
func (w *worker) noteEnd(j *job, e *ending) {
	if e == nil {
		return
	}
	s := e.state
	args := []any{"call", hashCID(j.key), "reason", string(e.reason), "by", e.by()}
	if s.AnsweredAt.IsZero() {
		args = append(args, "ring_seconds", span(rang(s), e.at))
	} else {
		args = append(args, "setup_seconds", span(s.StartedAt, s.AnsweredAt),
			"ring_seconds", span(rang(s), s.AnsweredAt), "duration_seconds", span(s.AnsweredAt, e.at))
	}
	if id := j.traceID(); id != "" {
		args = append(args, "trace_id", id)
	}
	w.log.Info("call ended", args...)
}

// by says who ended a call, by the part that he plays in it.
func (e *ending) by() string {
	switch s := e.state; {
	case s.Live(), s.EndedBy == identity.Router:
		return identity.Router.String()
	case s.EndedBy == s.Caller:
		return "caller"
	default:
		return "callee"
	}
}

// hashCID is what stands in a log for a cid: the first 16 hexadecimal digits of its
// SHA-256, as "printf %s CID | sha256sum" prints them.
func hashCID(cid string) string {
	sum := sha256.Sum256([]byte(cid))
	return hex.EncodeToString(sum[:8])
}
