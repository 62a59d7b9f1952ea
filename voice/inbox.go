package voice

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// Bounds of what an inbox keeps in memory.
const (
	liveBuffer = 1024 // live messages that the receiver has not looked at
	maxHeld    = 1024 // live messages behind a gap
	maxCold    = 4096 // messages of a cold start
)

// inbox receives for an endpoint. All but sync runs in one goroutine, which sees
// live messages and answers of the sync service, and hands messages over in the
// order of the stream as far as it is known.
type inbox struct {
	c      *Client
	seen   seen
	past   past // what was seen before the stream ended earlier than it had
	filter *filter
	story  explained

	// While behind, live messages are held until a sync has ended that began
	// after this inbox fell behind (generation gen), or until hold fires.
	behind bool
	gen    uint64
	held   []raw
	hold   *time.Timer
	// blind is set when hold has fired: the sync service does not answer, so
	// nothing is held until it does.
	blind bool

	// cold collects a cold start until its last page; warm is set from then on.
	cold []raw
	over map[callID]bool
	warm bool

	want  atomic.Uint64 // generation of the last wish to sync
	kick  chan struct{} // holds one token when want has grown
	pages chan page

	patience time.Duration // with one sync request; used by sync alone
}

// runInbox receives until ctx ends.
func (c *Client) runInbox(ctx context.Context) {
	b := &inbox{
		c: c, filter: newFilter(c.opts.Party), story: newExplained(),
		hold: time.NewTimer(c.opts.HoldFor), over: map[callID]bool{},
		kick: make(chan struct{}, 1), pages: make(chan page),
	}
	defer b.hold.Stop()
	live := make(chan *nats.Msg, liveBuffer)
	sub, err := c.nc.ChanSubscribe(subjects.LiveAll(c.self.String()), live)
	if err != nil {
		c.log.Error("no subscription to the live inbox, messages come by sync alone", "err", err)
	} else {
		defer func() { _ = sub.Unsubscribe() }() // the connection may be closed
	}
	// The subscription stands before the first request goes out on the same
	// connection: what is committed later comes live.
	b.fallBehind()
	var syncing sync.WaitGroup
	syncing.Go(func() { b.sync(ctx) })
	b.loop(ctx, live)
	syncing.Wait()
}

func (b *inbox) loop(ctx context.Context, live <-chan *nats.Msg) {
	for {
		select {
		case <-ctx.Done():
			return
		case msg := <-live:
			b.live(ctx, msg)
		case p := <-b.pages:
			b.before(ctx, live)
			b.page(ctx, p)
		case <-b.c.wake:
			b.fallBehind()
		case <-b.hold.C:
			b.giveUp(ctx)
		}
	}
}

// before takes the live messages that are there already: what an answer of the sync
// service contains as well came first, and knows its trace.
func (b *inbox) before(ctx context.Context, live <-chan *nats.Msg) {
	for range len(live) {
		b.live(ctx, <-live)
	}
}

// live takes a republished message.
func (b *inbox) live(ctx context.Context, msg *nats.Msg) {
	r, last, ok := parseLive(msg)
	if !ok {
		b.c.log.Warn("live message without a stream sequence ignored", "subject", msg.Subject)
		return
	}
	if b.seen.has(r.seq) || b.past.has(r) {
		return
	}
	if !b.behind && last > b.seen.floor && !b.seen.has(last) {
		b.c.log.Info("gap in the live inbox, syncing", "seq", r.seq, "missing", last)
		b.fallBehind()
	}
	if !b.behind && !b.blind && b.unexplained(r) {
		b.c.log.Info("a live message that nothing explains, syncing", "seq", r.seq, "type", r.typ)
		b.fallBehind()
	}
	if !b.behind {
		b.deliver(ctx, r)
		return
	}
	b.held = append(b.held, r)
	if len(b.held) > maxHeld {
		b.giveUp(ctx)
	}
}

// unexplained reports whether something is missing before r, as far as its content
// shows.
func (b *inbox) unexplained(r raw) bool {
	if !depends(r.typ) {
		return false
	}
	m, err := b.c.gate.admit(r)
	if err != nil || b.filter.own(m) {
		return false
	}
	call := callID{m.CID, m.CallID}
	if m.Type != signal.Stop && b.c.talks.another(call) {
		return true
	}
	return b.story.missing(m, b.c.mine.has(call))
}

// fallBehind asks for a sync and holds what comes live until it has ended.
func (b *inbox) fallBehind() {
	b.gen = b.want.Add(1)
	select {
	case b.kick <- struct{}{}:
	default:
	}
	if !b.behind && !b.blind {
		b.behind = true
		b.hold.Reset(b.c.opts.HoldFor)
	}
}

// giveUp hands over what is held, without what is missing.
func (b *inbox) giveUp(ctx context.Context) {
	if !b.behind {
		return
	}
	b.c.log.Warn("the sync service does not answer, messages may come late", "held", len(b.held))
	b.behind, b.blind = false, true
	b.release(ctx, ^uint64(0))
}

// page takes one answer of the sync service.
func (b *inbox) page(ctx context.Context, p page) {
	b.blind = false
	if b.behind {
		b.hold.Reset(b.c.opts.HoldFor)
	}
	if p.restart {
		b.c.log.Warn("the stream ends earlier than it had, reading all of it again")
		b.past.keep(b.seen)
		b.seen = seen{}
	}
	if !b.warm {
		if b.chill(p); p.more {
			return
		}
		b.thaw(ctx, p.upto)
	} else {
		b.held = append(b.held, p.messages...)
		b.release(ctx, p.upto)
	}
	b.seen.raise(p.upto)
	if b.behind && !p.more && p.gen >= b.gen {
		b.behind = false
		b.release(ctx, ^uint64(0))
	}
}

// chill adds a page to the cold start.
func (b *inbox) chill(p page) {
	b.cold = append(b.cold, p.messages...)
	for _, call := range p.ended {
		b.over[callID{call.CID, call.CallID}] = true
	}
	if surplus := len(b.cold) - maxCold; surplus > 0 {
		b.c.log.Warn("cold start is too long, oldest messages ignored", "ignored", surplus)
		b.cold = slices.Delete(b.cold, 0, surplus)
	}
}

// thaw ends the cold start: it hands over the messages of calls that go on, or
// that this process has begun already. What came live meanwhile counts, so that a
// stop among it silences its start.
func (b *inbox) thaw(ctx context.Context, upto uint64) {
	list := append(b.held, b.cold...) // the sort is stable: of two copies the live one counts
	b.cold, b.held, b.warm = nil, nil, true
	var admitted []Message
	for _, r := range sorted(list) {
		if m, ok := b.admit(r); ok {
			admitted = append(admitted, m)
		}
	}
	for _, m := range b.filter.current(admitted, b.over, b.c.mine.has) {
		b.submit(ctx, m)
	}
	clear(b.over)
	b.seen.raise(upto)
}

// release hands over what is held up to a sequence.
func (b *inbox) release(ctx context.Context, upto uint64) {
	list := sorted(b.held)
	n, _ := slices.BinarySearchFunc(list, upto, func(r raw, seq uint64) int {
		if r.seq <= seq {
			return -1
		}
		return 1
	})
	b.held = slices.Clone(list[n:])
	for _, r := range list[:n] {
		b.deliver(ctx, r)
	}
}

func (b *inbox) deliver(ctx context.Context, r raw) {
	if m, ok := b.admit(r); ok {
		b.submit(ctx, m)
	}
}

// admit marks r as seen; ok is false if it was before, or is no valid message.
func (b *inbox) admit(r raw) (m Message, ok bool) {
	if b.seen.has(r.seq) || b.past.has(r) {
		return Message{}, false
	}
	b.past.note(r)
	if b.seen.add(r.seq) {
		b.c.log.Error("too many messages without a sync, some may be missed", "seq", r.seq)
	}
	m, err := b.c.gate.admit(r)
	if err != nil {
		b.c.log.Warn("incoming message refused", "seq", r.seq, "type", r.typ, "err", err)
		return Message{}, false
	}
	return m, true
}

func (b *inbox) submit(ctx context.Context, m Message) {
	if m.Reason != signal.AnsweredElsewhere || !b.filter.own(m) {
		b.c.talks.note(m.Type, callID{m.CID, m.CallID})
	}
	if why := b.filter.judge(m); why != pass {
		b.c.log.Debug("incoming message not handed over", "seq", m.Seq, "type", m.Type, "why", why)
		return
	}
	b.story.tell(m)
	_ = b.c.lanes.submit(ctx, task{m: m}) // fails only when the client is closing
}

func sorted(list []raw) []raw {
	slices.SortStableFunc(list, func(a, b raw) int { return cmp.Compare(a.seq, b.seq) })
	return list
}

// parseLive reads a republished message. last is the sequence of the message
// before it on exactly the same subject, 0 if there was none.
func parseLive(msg *nats.Msg) (r raw, last uint64, ok bool) {
	_, typ, ok := subjects.ParseLive(msg.Subject)
	seq, err := strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64)
	if !ok || err != nil || seq == 0 {
		return raw{}, 0, false
	}
	last, _ = strconv.ParseUint(msg.Header.Get("Nats-Last-Sequence"), 10, 64)
	at, err := time.Parse(time.RFC3339Nano, msg.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return raw{}, 0, false
	}
	return raw{seq: seq, typ: typ, at: at, payload: msg.Data, trace: traceOf(msg.Header)}, last, true
}
