package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// Event is one line of the timeline: a message that came to the proxy and what
// it did to the call, or a message that the proxy sent.
type Event struct {
	Time   time.Time     `json:"time"`
	CID    string        `json:"cid"`
	CallID string        `json:"call_id,omitzero"`
	From   string        `json:"from"`
	To     string        `json:"to"`
	Type   string        `json:"type"`
	State  call.Phase    `json:"state"`
	Reason signal.Reason `json:"reason,omitzero"`
}

// timeline reads the stream in the order of its commits and prints it.
type timeline struct {
	out   io.Writer
	json  bool
	begin time.Time

	mu     sync.Mutex
	phases map[string]call.Phase
	jtis   map[string]bool
	// What was delivered: messages, those among them that name the other side,
	// and those that came twice.
	count, leaks, doubled int
	// seen is the sequence of the last message taken; moved is closed, and
	// replaced, when it changes.
	seen  uint64
	moved chan struct{}
	flow  jetstream.ConsumeContext
}

func newTimeline(ctx context.Context, js jetstream.JetStream, out io.Writer, asJSON bool) (*timeline, error) {
	t := &timeline{out: out, json: asJSON, begin: time.Now(), phases: map[string]call.Phase{}, jtis: map[string]bool{}, moved: make(chan struct{})}
	consumer, err := js.OrderedConsumer(ctx, subjects.StreamOut, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subjects.FilterInbox, subjects.FilterState, subjects.FilterRejected},
	})
	if err != nil {
		return nil, err
	}
	t.flow, err = consumer.Consume(t.take)
	return t, err
}

func (t *timeline) take(m jetstream.Msg) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := time.Now()
	if meta, err := m.Metadata(); err == nil {
		at, t.seen = meta.Timestamp, meta.Sequence.Stream
		close(t.moved)
		t.moved = make(chan struct{})
	}
	if self, _, ok := subjects.ParseInbox(m.Subject()); ok {
		t.said(at, self, m.Data())
	} else if code, self, ok := subjects.ParseRejected(m.Subject()); ok {
		t.refused(at, code, self, m.Data())
	} else if s, err := call.DecodeState(m.Data()); err == nil {
		t.phases[s.CID] = s.Phase
		from := s.Last.From.String()
		if s.Last.Type == "timeout" {
			from = "timer"
		}
		t.print(Event{
			Time: at, CID: s.CID, CallID: s.Last.CallID, From: from, To: proxy.String(),
			Type: s.Last.Type, State: s.Phase, Reason: s.Reason,
		})
	}
}

// refused prints a message that was put aside.
func (t *timeline) refused(at time.Time, code, self string, data []byte) {
	m, _, err := open(data)
	if err != nil {
		return
	}
	t.print(Event{
		Time: at, CID: m.CID, CallID: m.CallID, From: self, To: m.Recipient.String(),
		Type: string(m.Type), State: refusedState, Reason: signal.Reason(code),
	})
}

// refusedState stands where a message changed no call.
const refusedState call.Phase = "refused"

// open reads a message without asking who signed it.
func open(data []byte) (signal.Message, []byte, error) {
	envelope, err := identity.ParseUnverified(data)
	if err != nil {
		return signal.Message{}, nil, err
	}
	m, err := signal.Decode(envelope.Payload)
	return m, envelope.Payload, err
}

// said prints a message to an inbox, and looks whether it names the other side.
func (t *timeline) said(at time.Time, self string, data []byte) {
	m, claims, err := open(data)
	if err != nil {
		return
	}
	t.count++
	if jti := m.Issuer.String() + " " + m.JTI; t.jtis[jti] {
		t.doubled++
	} else {
		t.jtis[jti] = true
	}
	for _, id := range []identity.ID{operator, customer, stranger} {
		if id.String() != self && strings.Contains(string(claims), id.String()) {
			t.leaks++
		}
	}
	t.print(Event{
		Time: at, CID: m.CID, CallID: m.CallID, From: m.Issuer.String(), To: self,
		Type: string(m.Type), State: cmp.Or(t.phases[m.CID], call.None), Reason: m.Reason,
	})
}

func (t *timeline) print(e Event) {
	if t.json {
		line, err := json.Marshal(e)
		if err == nil {
			fmt.Fprintf(t.out, "%s\n", line)
		}
		return
	}
	what := e.Type
	if e.Reason != "" && (e.Type != string(signal.Start) || e.State == refusedState) {
		what += " (" + string(e.Reason) + ")"
	}
	arrow := fmt.Sprintf("%-10s → proxy", role(e.From))
	if e.From == proxy.String() {
		arrow = fmt.Sprintf("%-10s   proxy → %s", "", role(e.To))
	}
	line := fmt.Sprintf("  %6.3f  %-8s %-32s %-27s %s", e.Time.Sub(t.begin).Seconds(), e.CallID, arrow, what, stateOf(e))
	fmt.Fprintln(t.out, strings.TrimRight(line, " "))
}

// stateOf is the state of the call, shown where a message changed it.
func stateOf(e Event) string {
	if e.From == proxy.String() || e.State == call.None {
		return ""
	}
	return "[" + string(e.State) + "]"
}

func role(self string) string {
	switch self {
	case operator.String():
		return "operator"
	case customer.String():
		return "customer"
	case stranger.String():
		return "stranger"
	default:
		return self
	}
}

func (t *timeline) say(format string, args ...any) {
	if t.json {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", args...)
}

// verdict says what is wrong with the messages that were delivered.
func (t *timeline) verdict() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	if t.leaks > 0 {
		err = fmt.Errorf("%d messages name the other side", t.leaks)
	}
	if t.doubled > 0 {
		err = errors.Join(err, fmt.Errorf("%d messages were delivered twice", t.doubled))
	}
	return err
}

// catchUp waits until everything that is in the stream now has been printed.
func (t *timeline) catchUp(ctx context.Context, nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var last uint64
	for _, filter := range []string{subjects.FilterInbox, subjects.FilterState} {
		m, err := msgget.Last(ctx, nc, subjects.StreamOut, filter)
		if err != nil {
			return fmt.Errorf("timeline: %w", err)
		}
		last = max(last, m.Seq)
	}
	for {
		t.mu.Lock()
		seen, moved := t.seen, t.moved
		t.mu.Unlock()
		if seen >= last {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("timeline: %w", ctx.Err())
		}
	}
}

// stop ends the timeline after everything up to now has been printed.
func (t *timeline) stop() {
	t.flow.Stop()
	<-t.flow.Closed()
}
