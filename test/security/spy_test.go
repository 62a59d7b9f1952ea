package security

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// spy keeps what it hears of the account ROUTER: everything.
type spy struct {
	ended chan struct{}

	mu  sync.Mutex
	all []heard
}

// heard is one message that the spy has seen.
type heard struct{ subject, data string }

// spyEnd is a subject that nobody but the arena writes.
const spyEnd = "spy.end"

func (s *spy) hear(m *nats.Msg) {
	if m.Subject == spyEnd {
		s.ended <- struct{}{}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, heard{m.Subject, string(m.Data)})
}

// overheard returns what the spy has seen since it was asked last.
func (a *arena) overheard() []heard {
	a.t.Helper()
	if err := a.admin.Publish(spyEnd, nil); err != nil {
		a.t.Fatal(err)
	}
	select {
	case <-a.spy.ended:
	case <-time.After(patience):
		a.t.Fatal("the spy hears nothing")
	}
	a.spy.mu.Lock()
	defer a.spy.mu.Unlock()
	all := a.spy.all
	a.spy.all = nil
	return all
}
