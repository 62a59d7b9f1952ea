package call

import (
	"slices"
	"time"

	"github.com/voicerouter/voicerouter/identity"
)

// Limits of the memory of past call_ids.
const (
	// KeepPast is how long a call_id that is over stays remembered.
	KeepPast = 10 * time.Minute
	// MaxPast is how many call_ids a record remembers, the current one included
	// while it is live. Beyond, a start is refused with rate_limited.
	MaxPast = 32
	// MaxPastBySide is how many of them may be call_ids of one side that never
	// rang. Beyond, that side's starts are refused with rate_limited, while the
	// other side can still call.
	MaxPastBySide = 16
)

// room reports whether one more call_id of by fits into the memory at time at.
// If it does not, a tombstone need not be kept: by's starts are refused meanwhile.
func (s *State) room(by identity.ID, at time.Time) bool {
	total, own := 0, 0
	if s.Live() {
		total++ // it becomes past when it ends
	}
	for _, p := range s.Past {
		if !p.stale(at) {
			total++
			if p.By == by && !by.IsZero() {
				own++
			}
		}
	}
	return total < MaxPast && own < MaxPastBySide
}

func (p PastCall) stale(at time.Time) bool { return at.Sub(p.At) > KeepPast }

// past returns what is remembered of a call_id at time at.
func (s *State) past(callID string, at time.Time) (PastCall, bool) {
	if s != nil {
		for _, p := range s.Past {
			if p.CallID == callID && !p.stale(at) {
				return p, true
			}
		}
	}
	return PastCall{}, false
}

// remember adds a call_id to the past. What is there already stays as it is: the
// first reason counts.
func (s *State) remember(p PastCall) {
	if _, known := s.past(p.CallID, p.At); !known {
		s.Past = append(s.Past, p)
	}
}

// prune forgets what is older than [KeepPast].
func (s *State) prune(at time.Time) {
	s.Past = slices.DeleteFunc(s.Past, func(p PastCall) bool { return p.stale(at) })
}
