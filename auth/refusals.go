package auth

import (
	"log/slog"
	"sync"
	"time"

	"github.com/voicerouter/voicerouter/identity"
)

// refusalsPerSecond bounds the refusals that are logged: whoever hammers at the
// door must not fill the disk with it. Metrics count them all.
const refusalsPerSecond = 10

// refusalLog logs refusals, without anything that the client has sent but a
// valid name.
type refusalLog struct {
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	second int64
	logged int
	kept   int // not logged since the last one that was
}

func (l *refusalLog) note(result Result, r request, id identity.ID, err error) {
	kept, ok := l.admit()
	if !ok {
		return
	}
	attrs := []any{"result", string(result)}
	if !id.IsZero() {
		attrs = append(attrs, "identity", id.String())
	}
	if r.AuthorizationRequestClaims != nil {
		attrs = append(attrs, "server", r.Server.ID, "connection", r.ClientInformation.ID, "host", r.ClientInformation.Host)
	}
	if err != nil {
		attrs = append(attrs, "error", err)
	}
	if kept > 0 {
		attrs = append(attrs, "not_logged", kept)
	}
	l.log.Info("connection refused", attrs...)
}

// admit reports whether one more may be logged, and how many were not.
func (l *refusalLog) admit() (kept int, ok bool) {
	second := l.now().Unix()
	l.mu.Lock()
	defer l.mu.Unlock()
	if second != l.second {
		l.second, l.logged = second, 0
	}
	if l.logged >= refusalsPerSecond {
		l.kept++
		return 0, false
	}
	l.logged++
	kept, l.kept = l.kept, 0
	return kept, true
}
