package checker

import (
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// timeline is the history of one call record.
type timeline struct {
	key, cid string
	direct   bool
	versions []version
	messages []*message // addressed to it
	// marks counts how often each mark was added.
	marks map[string]int
	// timer is the epoch of the timer that is armed, if armed is set.
	timer uint64
	armed bool
}

// version is a record as one transition left it.
type version struct {
	seq uint64
	at  time.Time
	s   *call.State
	// mark is that of the message which led to it; zero for timeouts and forced
	// ends, and for what ended a call when the list of marks was full.
	mark call.Mark
	// by is that message, nil if it is in no history.
	by *message
}

// message is everything sent under one (sender, jti).
type message struct {
	history.Send // the first of its publications
	acked        bool
	refused      bool
	seq          uint64    // in VOICE_IN, the greatest if it was stored twice
	handled      time.Time // until when something may have become of it
	line         *timeline
	versions     []int // in line
	answered     bool  // it was refused, and its sender was told or the bytes kept
}

// attempt is one call of a timeline.
type attempt struct {
	callID, caller, callee string
	masked                 bool
	rangAt                 time.Time
	over                   bool
	reason                 signal.Reason
	endedBy                string
	replacedBy             string
	endedAt                time.Time
	// answered says that it was active.
	answered bool
}

// state is the record in force before the i-th version: what the message that led
// to it was judged on.
func (t *timeline) state(i int) *call.State {
	if i == 0 {
		return &call.State{Phase: call.None}
	}
	return t.versions[i-1].s
}

// last is the record as it stands.
func (t *timeline) last() *call.State { return t.state(len(t.versions)) }

// rang lists the calls that rang, in order, as the record tells their ends.
func (t *timeline) rang() []attempt {
	var all []attempt
	for i := range t.versions {
		v, before := &t.versions[i], t.state(i)
		s := v.s
		if t.direct || s.CallID == "" {
			continue
		}
		if s.CallID != before.CallID || s.Caller != before.Caller {
			if n := len(all); n > 0 && !all[n-1].over { // glare replaced it
				all[n-1].end(signal.Glare, "", v.at)
				all[n-1].replacedBy = s.CallID
			}
			all = append(all, attempt{
				callID: s.CallID, caller: s.Caller.String(), callee: s.Callee().String(), masked: s.MaskCallID, rangAt: v.at,
			})
		}
		now := &all[len(all)-1]
		now.answered = now.answered || s.Phase == call.Active
		if s.Phase == call.Ended && !now.over {
			now.end(s.Reason, s.EndedBy.String(), v.at)
		}
	}
	return all
}

func (a *attempt) end(reason signal.Reason, by string, at time.Time) {
	a.over, a.reason, a.endedBy, a.endedAt = true, reason, by, at
}

// as is the call_id by which side knows a.
func (a *attempt) as(cid, side string) string {
	return knownAs(cid, a.callID, a.caller, side, a.masked)
}
