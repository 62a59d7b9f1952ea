package router

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// message is what a consumer delivered, as far as a worker needs it.
type message interface {
	Subject() string
	Data() []byte
	Headers() nats.Header
	Metadata() (*jetstream.MsgMetadata, error)
	Ack() error
	NakWithDelay(time.Duration) error
	TermWithReason(string) error
}

// pullRequest asks a pull consumer for messages (NATS ADR-13; priorities:
// ADR-42).
type pullRequest struct {
	Expires  int64  `json:"expires"` // in nanoseconds
	Batch    int    `json:"batch"`
	Group    string `json:"group,omitzero"`
	Priority int    `json:"priority,omitzero"`
}

// pull keeps requests open at one pull consumer and hands on what comes, for as
// long as the consumer can be reached.
//
// It is not the library's Consume, because of how it ends: Consume unsubscribes,
// and what the server has sent meanwhile comes again after the ack wait, to
// another worker, seconds late. pull stops asking, takes what it has asked for
// until the server has called off the rest, and leaves nothing behind.
type pull struct {
	nc *nats.Conn
	// subject is that of the consumer's requests, ask what they say; their Batch
	// is how many messages may be under way at most.
	subject string
	ask     pullRequest
	// handle takes a message. It may block.
	handle func(message)
	// manner says how to ask now.
	manner func() manner

	mu       sync.Mutex
	open     int       // messages asked for that have neither come nor been called off
	heard    time.Time // when the consumer was last heard
	handling bool
	closing  bool
	lost     chan error // one error, with which the consumer is lost
}

// manner is how a worker asks for messages.
type manner struct {
	// hold is how long to ask for nothing; humble asks for one message at a time;
	// yields has all other workers that ask be served first.
	hold           time.Duration
	humble, yields bool
}

const (
	// pullExpiry is the life of a request, and so how long a worker goes on
	// receiving after it was told to stop.
	pullExpiry = time.Second
	// pullSilence is how long nothing may come, no message and no end of a request,
	// until the consumer counts as lost: a request was open all the time.
	pullSilence = 3 * pullExpiry
	// pullTick is how often a pull looks whether it has to do something that no
	// message makes it do.
	pullTick = 100 * time.Millisecond
)

// run hands on messages until ctx ends, which drains, or until halt can be
// received from, which drains and returns errAside, or until the consumer is
// lost. After a drain nothing that was delivered is left unhandled.
func (p *pull) run(ctx context.Context, halt <-chan struct{}) error {
	p.lost, p.heard = make(chan error, 1), time.Now()
	inbox := p.nc.NewInbox()
	sub, err := p.nc.Subscribe(inbox, func(m *nats.Msg) { p.received(inbox, m) })
	if err != nil {
		return err
	}
	defer func() { _ = sub.Drain() }() // what has arrived is handled all the same
	reconnects := p.nc.Stats().Reconnects
	tick := time.NewTicker(pullTick)
	defer tick.Stop()
	p.more(inbox)
	for {
		select {
		case <-ctx.Done():
			p.drain(tick.C)
			return nil
		case <-halt:
			p.drain(tick.C)
			return errAside
		case err := <-p.lost:
			return err
		case <-tick.C:
			if now := p.nc.Stats().Reconnects; now != reconnects {
				reconnects = now
				p.forget() // the server forgot the requests of the old connection
			}
			if p.silent() {
				return fmt.Errorf("nothing heard for %v", pullSilence)
			}
			p.more(inbox)
		}
	}
}

// drain asks for nothing more and waits until everything that was asked for has
// come or was called off.
func (p *pull) drain(tick <-chan time.Time) {
	p.mu.Lock()
	p.closing = true
	p.mu.Unlock()
	for range tick {
		p.mu.Lock()
		done := !p.handling && (p.open == 0 || time.Since(p.heard) > pullSilence || !p.nc.IsConnected())
		p.mu.Unlock()
		if done {
			return
		}
	}
}

// more asks for messages when half of what may be under way has come.
func (p *pull) more(inbox string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	manner, ask := p.manner(), p.ask
	if manner.humble {
		ask.Batch = 1
	}
	if p.closing || p.open > ask.Batch/2 || manner.hold > 0 || !p.nc.IsConnected() {
		return
	}
	most := ask.Batch
	ask.Batch -= p.open
	if ask.Group != "" && manner.yields {
		ask.Priority = lastPriority
	}
	data, err := json.Marshal(ask)
	if err != nil {
		p.lose(err)
		return
	}
	if err := p.nc.PublishRequest(p.subject, inbox, data); err != nil {
		return // cut off: the next tick tries again
	}
	if p.open == 0 {
		p.heard = time.Now() // nobody was there to be heard
	}
	p.open = most
}

func (p *pull) received(inbox string, m *nats.Msg) {
	// What the server itself says comes on the subject of the inbox, a message of
	// the stream on its own subject.
	if m.Subject == inbox {
		if p.status(m) {
			p.more(inbox)
		}
		return
	}
	p.mu.Lock()
	p.handling = true
	p.mu.Unlock()
	p.handle(delivery{m})
	p.mu.Lock()
	p.handling, p.heard = false, time.Now()
	p.open = max(0, p.open-1)
	more := p.open == p.ask.Batch/2 || p.open == 0
	p.mu.Unlock()
	if more {
		p.more(inbox)
	}
}

// Status codes of a pull consumer and its headers (NATS ADR-13).
const (
	statusNoResponders = "503"
	statusBadRequest   = "400"
	statusConflict     = "409"
	statusTimeout      = "408"

	headerStatus      = "Status"
	headerDescription = "Description"
	headerPending     = "Nats-Pending-Messages"

	consumerDeleted = "Consumer Deleted"
)

// status takes what the server says of a request: that it is over, mostly, and
// how many of its messages will not come. It reports whether to ask again at once: a
// consumer that refuses requests would refuse the next one as well, and so on as fast
// as the connection carries them.
func (p *pull) status(m *nats.Msg) (again bool) {
	code, text := m.Header.Get(headerStatus), m.Header.Get(headerDescription)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = time.Now()
	off, err := strconv.Atoi(m.Header.Get(headerPending))
	switch {
	case code == statusNoResponders:
		p.lose(errNoConsumer)
	case code == statusBadRequest, code == statusConflict && text == consumerDeleted:
		p.lose(fmt.Errorf("the server says %s %s", code, text))
	case err == nil:
		p.open = max(0, p.open-off)
	case code == statusConflict:
		p.open = 0 // leadership change, shutdown of a server, too many wait: all requests are void
		return false
	}
	return true
}

// errNoConsumer is returned when nobody answers for a consumer: it does not
// exist, or has no leader now.
var errNoConsumer = errors.New("no such consumer, or it has no leader")

func (p *pull) lose(err error) {
	select {
	case p.lost <- err:
	default:
	}
}

// forget takes all requests for void.
func (p *pull) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open, p.heard = 0, time.Now()
}

func (p *pull) silent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open > 0 && !p.handling && p.nc.IsConnected() && time.Since(p.heard) > pullSilence
}

// delivery is a message as the connection received it.
type delivery struct{ m *nats.Msg }

func (d delivery) Subject() string      { return d.m.Subject }
func (d delivery) Data() []byte         { return d.m.Data }
func (d delivery) Headers() nats.Header { return d.m.Header }

func (d delivery) Metadata() (*jetstream.MsgMetadata, error) {
	m, err := d.m.Metadata()
	if err != nil {
		return nil, err
	}
	return &jetstream.MsgMetadata{
		Sequence:     jetstream.SequencePair(m.Sequence),
		NumDelivered: m.NumDelivered, NumPending: m.NumPending, Timestamp: m.Timestamp,
		Stream: m.Stream, Consumer: m.Consumer, Domain: m.Domain,
	}, nil
}

func (d delivery) Ack() error                             { return d.m.Ack() }
func (d delivery) NakWithDelay(delay time.Duration) error { return d.m.NakWithDelay(delay) }

// TermWithReason is what the older API of the library lacks (NATS ADR-13, +TERM).
func (d delivery) TermWithReason(reason string) error {
	return d.m.Respond([]byte("+TERM " + reason))
}
