package signal

// Reason says why a call ended; it is the claim reason of a stop.
type Reason string

// The reasons.
const (
	Hangup            Reason = "hangup"             // a side ended an active call
	Cancelled         Reason = "cancelled"          // the caller gave up while it rang
	BusyHere          Reason = "busy"               // the callee was engaged
	Declined          Reason = "declined"           // the callee refused
	NoAnswer          Reason = "no_answer"          // the ring timer fired
	AnsweredElsewhere Reason = "answered_elsewhere" // another device answered
	Glare             Reason = "glare"              // both called at once, this call lost
	ICEFailed         Reason = "ice_failed"
	ICETimeout        Reason = "ice_timeout"
	UserMediaFailed   Reason = "user_media_failed"
	MaxDuration       Reason = "max_duration"     // the duration timer fired
	AdminTerminated   Reason = "admin_terminated" // forced end
	Transferred       Reason = "transferred"
	Failed            Reason = "error" // the call was refused; an error says why
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{
		Hangup, Cancelled, BusyHere, Declined, NoAnswer, AnsweredElsewhere, Glare,
		ICEFailed, ICETimeout, UserMediaFailed, MaxDuration, AdminTerminated, Transferred, Failed,
	}
}

// Known reports whether r is one of [Reasons]: only these are passed on and
// recorded when a client sends them.
func (r Reason) Known() bool {
	switch r {
	case Hangup, Cancelled, BusyHere, Declined, NoAnswer, AnsweredElsewhere, Glare,
		ICEFailed, ICETimeout, UserMediaFailed, MaxDuration, AdminTerminated, Transferred, Failed:
		return true
	default:
		return false
	}
}
