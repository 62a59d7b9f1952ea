package router

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// rejectLimiter caps how much refused mail of one identity is kept: a flood of
// rubbish is counted, not stored.
type rejectLimiter struct {
	now func() time.Time

	mu   sync.Mutex
	seen *simplelru.LRU[string, *rejectWindow]
}

type rejectWindow struct {
	until time.Time
	kept  int
}

// A worker keeps this many refused messages of an identity per window, the time
// for which the stream keeps them.
const (
	rejectsPerWindow = 100
	rejectWindowFor  = time.Hour
	rejectIdentities = 10000
)

func newRejectLimiter(now func() time.Time) *rejectLimiter {
	seen, err := simplelru.NewLRU[string, *rejectWindow](rejectIdentities, nil)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &rejectLimiter{now: now, seen: seen}
}

func (l *rejectLimiter) allow(self string) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	w, ok := l.seen.Get(self)
	if !ok || now.After(w.until) {
		w = &rejectWindow{until: now.Add(rejectWindowFor)}
		l.seen.Add(self, w)
	}
	w.kept++
	return w.kept <= rejectsPerWindow
}
