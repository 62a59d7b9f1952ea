package call

import "github.com/voicerouter/voicerouter/signal"

// refuse tells a sender who is on the route that its message is refused. The
// refusal is remembered like anything else that is said: a second delivery of the
// message, which may meet another state, must not end differently.
//
// A client that knows only the six upstream types does not understand error.
// Therefore a refused start or accept is answered with a stop as well, unless it
// speaks of the live call, which the stop would end. A refused start is remembered
// among the past call_ids, so that the candidates that trickle behind it meet
// "past call_id -> nothing" and are not deferred.
func (t *turn) refuse(code signal.Code) Decision {
	d := t.refusal(code)
	d.Next = t.next()
	d.Next.Last.Code = code
	if t.m.Type == signal.Start && t.m.CallID != "" && !t.s.current(t.m.CallID) && t.s.room(t.m.Issuer, t.e.At) {
		d.Next.remember(PastCall{CallID: t.m.CallID, Reason: signal.Failed, At: t.e.At, By: t.m.Issuer})
	}
	return d
}

// refusal is what a refusal says.
func (t *turn) refusal(code signal.Code) Decision {
	d := Decision{Verdict: Refused, Code: code, Say: []Say{ErrorSay(t.m, code)}}
	live := t.s.current(t.m.CallID) && t.s.Live()
	if !live && t.m.CallID != "" && (t.m.Type == signal.Start || t.m.Type == signal.Accept) {
		d.Say = append(d.Say, t.stop(t.m.Issuer, signal.Failed, stopData{}))
	}
	return d
}

// ErrorSay returns the error that tells the sender of m why it was refused. Its
// words depend on the code alone, so that equal codes look equal whatever lies
// behind them. Package router uses it for what it refuses itself.
func ErrorSay(m signal.Message, code signal.Code) Say {
	return Say{
		To: m.Issuer, Type: signal.Error, CallID: m.CallID,
		Data: encode(signal.Fault{Code: code, Detail: Detail(code), Ref: m.JTI}),
	}
}

// Detail returns the text of an error with this code: for the person who wrote the
// client, one constant per code, naming nobody. It is "" for codes that come with
// a text of their own: those of package signal's decoder.
func Detail(code signal.Code) string {
	switch code {
	case signal.CodeUnknownCall:
		return "there is no such conversation or call for you: check cid, call_id and sub"
	case signal.CodeCallEnded:
		return "this call_id is over: use a new call_id for every attempt"
	case signal.CodeSessionBusy:
		return "another call is live on this cid: end it before starting a new one"
	case signal.CodeDuplicateStart:
		return "this call_id has been started with another peer_info: send update in an active call, or use a new call_id"
	case signal.CodeConflict:
		return "this call_id belongs to another start, or another device has answered it"
	case signal.CodeTooEarly:
		return "the call has not been accepted: send accept before candidate and update"
	case signal.CodeWrongRole:
		return "this type is not for your side in the current state of the call"
	case signal.CodeForbidden:
		return "you may not address this recipient, or not start calls on this cid"
	case signal.CodeRouteExpired:
		return "the route of this cid has expired: have a new one created"
	case signal.CodeRouteInvalid:
		return "the route of this cid is broken: have it created anew"
	case signal.CodeUnknownRecipient:
		return "there is no such recipient: check sub"
	case signal.CodeRateLimited:
		return "too many messages or call attempts: wait before trying again"
	case signal.CodeOversized:
		return "claim data is too long once operator_name is added to it"
	case signal.CodeInternal:
		return "the message could not be stored: send it again with a new jti"
	default:
		return ""
	}
}
