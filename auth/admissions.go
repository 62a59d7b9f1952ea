package auth

import (
	"sync"
	"time"

	"github.com/voicerouter/voicerouter/identity"
)

// admissions remembers the connections that were admitted lately, and by which
// entry of the directory. One that was being judged while the entry was replaced
// opens after the replacement: its time does not show that it is not entitled.
type admissions struct {
	now func() time.Time

	mu     sync.Mutex
	recent []admission // oldest first
}

type admission struct {
	id         identity.ID
	seq        uint64
	server     string
	connection uint64
	at         time.Time
}

// remember is how long: longer than the broker takes to commit an entry.
const remember = 2 * again

func (a *admissions) note(r request, v verdict) {
	if v.seq == 0 {
		return
	}
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	old := 0
	for old < len(a.recent) && now.Sub(a.recent[old].at) > remember {
		old++
	}
	a.recent = append(a.recent[old:], admission{v.id, v.seq, r.Server.ID, r.ClientInformation.ID, now})
}

// outdated calls found with the connections of id that were judged by an entry
// before seq.
func (a *admissions) outdated(id identity.ID, seq uint64) []admission {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []admission
	for _, one := range a.recent {
		if one.id == id && one.seq < seq {
			found = append(found, one)
		}
	}
	return found
}
