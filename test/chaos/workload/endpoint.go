package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/test/chaos/history"
	"github.com/voicerouter/voicerouter/voice"
)

// sixTypes are what an old client knows.
var sixTypes = []signal.Type{signal.Setup, signal.Start, signal.Accept, signal.Busy, signal.Stop, signal.Summary}

// seat is a place for a device: one process at a time sits there.
type seat struct {
	w           *Workload
	self, party string
	app, legacy bool

	mu  sync.Mutex
	now *process
	n   int
}

// process is one client of a seat.
type process struct {
	*seat
	id       string
	client   *voice.Client
	receipts sync.Map // jti -> voice.Receipt
	killed   atomic.Bool
	end      func(killed bool)
}

// sit connects a new process.
func (s *seat) sit(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	p := &process{seat: s, id: fmt.Sprintf("%s.%s.%d", s.self, s.party, s.n)}
	o := s.w.opts.Connect(s.self)
	o.SelfID, o.Party, o.Logger = s.self, s.party, s.w.opts.Logger.With("process", p.id)
	o.SyncEvery, o.HoldFor = s.w.opts.SyncEvery, holdFor
	if s.app {
		o.Role = identity.RoleApp
	}
	o.Stored = func(m signal.Message, r voice.Receipt) { p.receipts.Store(m.JTI, r) }
	client, err := voice.Connect(ctx, o)
	if err != nil {
		return fmt.Errorf("workload: %s: %w", p.id, err)
	}
	p.client = client
	record := history.Process{ID: p.id, Self: s.self, Party: s.party, App: s.app}
	if s.legacy {
		record.Knows = sixTypes
	}
	p.end = s.w.opts.Recorder.Process(record)
	client.Voice().OnMessage(p.handle)
	s.now = p
	return nil
}

// leave ends the process: at once, in the middle of what its handlers do, if kill
// is set.
func (s *seat) leave(ctx context.Context, kill bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.now
	if p == nil {
		return nil
	}
	s.now = nil
	if kill {
		p.killed.Store(true)
		dead, cancel := context.WithCancel(ctx)
		cancel()
		ctx = dead
	}
	err := p.client.Close(ctx)
	p.end(kill)
	if kill {
		return nil
	}
	return err
}

func (s *seat) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// handle is the handler of every type.
func (p *process) handle(ctx context.Context, m voice.Message) error {
	if p.killed.Load() {
		return errKilled
	}
	h := history.Heard{
		Process: p.id, JTI: m.JTI, Type: m.Type, CID: m.CID, CallID: m.CallID, From: m.Issuer.String(),
		Reason: m.Reason, Seq: m.Seq, Stored: m.Time,
	}
	var data struct {
		Party      string `json:"party"`
		ReplacedBy string `json:"replaced_by"`
	}
	if fault, ok := m.Fault(); ok {
		h.Code, h.Ref = fault.Code, fault.Ref
	} else if m.Type == signal.Stop && json.Unmarshal(m.Data, &data) == nil {
		h.Party, h.ReplacedBy = data.Party, data.ReplacedBy
	}
	returned := p.w.opts.Recorder.Heard(h)
	var err error
	if p.app {
		err = p.relay(ctx, m)
	} else {
		p.w.tell(p.seat, m)
	}
	if p.killed.Load() {
		return errKilled // the dead do not return
	}
	returned(err)
	return err
}

var errKilled = errors.New("workload: the process was killed")

// send publishes m once, and records it.
func (p *process) send(ctx context.Context, m signal.Message, mode call.Mode) error {
	done := p.record(m, mode)
	err := p.client.Voice().Send(ctx, m)
	receipt, _ := p.receipts.LoadAndDelete(m.JTI)
	r, _ := receipt.(voice.Receipt)
	done(outcome(err, r))
	return err
}

func (p *process) record(m signal.Message, mode call.Mode) (done func(history.Outcome)) {
	party := m.Party
	if party == "" {
		party = p.party
	}
	return p.w.opts.Recorder.Send(history.Send{
		Process: p.id, JTI: m.JTI, Type: m.Type, CID: m.CID, CallID: m.CallID, From: p.self, To: m.Recipient.String(),
		Party: party, Mode: mode, Reason: m.Reason, PeerInfo: m.PeerInfo, Data: string(m.Data),
	})
}

// outcome says what an error of a send means for what is stored.
func outcome(err error, r voice.Receipt) history.Outcome {
	switch {
	case err == nil:
		return history.Outcome{Result: history.Acked, Seq: r.Seq, Duplicate: r.Duplicate}
	case errors.Is(err, voice.ErrTimeout):
		return history.Outcome{Error: err.Error()}
	default:
		return history.Outcome{Result: history.Refused, Error: err.Error()}
	}
}

// say sends m from whoever sits here until it is known to be stored, or ctx ends.
func (s *seat) say(ctx context.Context, m signal.Message, mode call.Mode) error {
	for {
		err := errors.New("workload: nobody sits here")
		if p := s.process(); p != nil {
			if err = p.send(ctx, m, mode); err == nil {
				return nil
			}
		}
		if _, wrong := errors.AsType[*signal.Refusal](err); wrong {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}
