package signal

import "time"

// Skew is how far clocks may differ: the tolerance on iat and exp.
const Skew = time.Minute

// InTime judges iat and exp against at, the broker's timestamp of the message,
// never against a local clock: what waited for a router that was down stays
// valid. maxAge is how long before at the message may have been issued. The
// error is a *[Refusal] with one of the codes future, stale and expired.
func (m Message) InTime(at time.Time, maxAge time.Duration) error {
	switch {
	case m.IssuedAt.After(at.Add(Skew)):
		return refuse(CodeFuture, "claim iat lies more than %v after the time of receipt: check the sender's clock", Skew)
	case m.IssuedAt.Before(at.Add(-maxAge - Skew)):
		return refuse(CodeStale, "claim iat lies more than %v before the time of receipt: sign each message when it is sent", maxAge)
	case m.ExpiresAt.Before(at.Add(-Skew)):
		return refuse(CodeExpired, "claim exp lies before the time of receipt")
	}
	return nil
}
