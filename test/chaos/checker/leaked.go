package checker

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
)

// naming searches a message in an inbox for the identity of the other side.
func (w *world) naming(m Message, l letter, env identity.Envelope) {
	for _, other := range w.hidden(l) {
		where := names(m, env, other)
		if where == "" {
			continue
		}
		w.report.add(Finding{
			Kind: Leaked, Rule: "a message names the other side", CID: l.cid, CallID: l.callID, Who: l.to, JTI: l.jti, At: l.at,
			Detail: fmt.Sprintf("%s, sequence %d in VOICE_OUT: %s names %s", l.typ, l.seq, where, other),
		})
	}
}

// hidden lists whom the recipient of l must not learn of. In direct mode the proxy
// stands between the sides and knows both.
func (w *world) hidden(l letter) []string {
	var sides [2]string
	if c, ok := w.conversations[l.cid]; ok {
		sides = [2]string{c.Operator, c.Customer}
	} else if t := w.timelines[l.cid]; t != nil && t.last().Mode == call.Masked {
		sides = [2]string{t.last().Operator.String(), t.last().Customer.String()}
	}
	switch {
	case l.to == sides[0] && sides[1] != "":
		return sides[1:]
	case l.to == sides[1] && sides[0] != "":
		return sides[:1]
	default:
		return nil
	}
}

// names says where in a stored message an identity stands, "" if nowhere. The
// subject names the recipient, and the envelope has no other member.
func names(m Message, env identity.Envelope, who string) string {
	for key, values := range m.Header {
		if strings.Contains(key+strings.Join(values, "\n"), who) {
			return "header " + key
		}
	}
	if bytes.Contains(env.Payload, []byte(who)) {
		return "the claims"
	}
	protected, _, _ := strings.Cut(string(m.Data[bytes.Index(m.Data, []byte(`"protected":"`))+len(`"protected":"`):]), `"`)
	if header, err := base64.RawURLEncoding.DecodeString(protected); err == nil && bytes.Contains(header, []byte(who)) {
		return "the protected header"
	}
	return ""
}

// leftovers finds what should be gone when a run has come to rest.
func (w *world) leftovers(left Leftovers) {
	leak := func(cid, rule, format string, args ...any) {
		w.report.add(Finding{Kind: Leaked, Rule: rule, CID: cid, Detail: fmt.Sprintf(format, args...)})
	}
	for _, t := range w.lines() {
		s := t.last()
		live := s.Phase == call.Ringing || s.Phase == call.Active
		switch {
		case t.armed && !live:
			leak(t.cid, "a timer of a call that is over", "epoch %d, the record is %s", t.timer, describe(s))
		case t.armed && t.timer != s.Epoch:
			leak(t.cid, "a timer that has been replaced", "epoch %d, the record has %d", t.timer, s.Epoch)
		}
	}
	if left.Waiting > 0 {
		leak("", "messages that no router took", "%d in VOICE_IN", left.Waiting)
	}
	for _, c := range left.Consumers {
		if c.Unacked > 0 || c.Pending > 0 {
			leak("", "messages that nobody acknowledged", "consumer %s: %d delivered, %d waiting", c.Name, c.Unacked, c.Pending)
		}
	}
	for _, name := range left.Strangers {
		leak("", "a consumer that nobody uses", "%s", name)
	}
	for _, r := range left.Resources {
		if r.After > r.Before+r.Slack {
			leak("", "a resource that grew", "%s: %v before, %v after", r.Name, r.Before, r.After)
		}
	}
}
