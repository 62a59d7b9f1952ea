package workload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/test/chaos/history"
	"github.com/voicerouter/voicerouter/voice"
)

// Workload is a number of endpoints that make calls.
type Workload struct {
	opts  Options
	seats []*seat
	free  chan *slot
	calls sync.WaitGroup

	mu     sync.Mutex
	runs   map[string]*run                 // by cid
	routed map[string]history.Conversation // direct ones
	twins  map[string]*twin
	counts map[string]int // finished calls by scenario

	begun, held atomic.Int64
}

// slot is a pair of people who make one call at a time.
type slot struct {
	n                  int
	operator, customer *party
	relay              string
	generation, calls  int
	masked, direct     string // the conversations
}

// party is one side of a slot and its devices.
type party struct {
	self   string
	seats  []*seat
	legacy bool
}

// New connects the whole cast. Close the workload whatever else happens.
func New(ctx context.Context, options Options) (*Workload, error) {
	opts, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Workload{
		opts: opts, free: make(chan *slot, opts.Slots),
		runs: map[string]*run{}, routed: map[string]history.Conversation{}, twins: map[string]*twin{}, counts: map[string]int{},
	}
	operators, customers := w.side(opts.Cast.Operators, "desk"), w.side(opts.Cast.Customers, "phone", "pad")
	for _, name := range opts.Cast.Relays {
		w.seats = append(w.seats, &seat{w: w, self: name, app: true})
	}
	if err := w.connect(ctx); err != nil {
		return nil, errors.Join(err, w.Close(ctx))
	}
	for i := range opts.Slots {
		n := len(operators)
		s := &slot{n: i, operator: operators[i%n], customer: customers[(i+i/n)%n]}
		if relays := opts.Cast.Relays; len(relays) > 0 {
			s.relay = relays[i%len(relays)]
		}
		w.free <- s
	}
	return w, nil
}

// side makes the seats of one side.
func (w *Workload) side(names []string, devices ...string) []*party {
	parties := make([]*party, 0, len(names))
	for i, name := range names {
		p := &party{self: name, legacy: legacy(i)}
		if p.legacy {
			p.seats = []*seat{{w: w, self: name, legacy: true}}
		} else {
			for _, device := range devices {
				p.seats = append(p.seats, &seat{w: w, self: name, party: device})
			}
		}
		w.seats = append(w.seats, p.seats...)
		parties = append(parties, p)
	}
	return parties
}

// connect has every seat taken, some at a time.
func (w *Workload) connect(ctx context.Context) error {
	errs := make([]error, len(w.seats))
	tokens := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for i, s := range w.seats {
		tokens <- struct{}{}
		wg.Go(func() {
			errs[i] = s.sit(ctx)
			<-tokens
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Run begins calls until ctx ends; see [Workload.Quiesce] for their end.
func (w *Workload) Run(ctx context.Context) {
	clock := rand.New(rand.NewPCG(w.opts.Seed, 0))
	var watching sync.WaitGroup
	watching.Go(func() { w.floors(ctx) })
	defer watching.Wait()
	for {
		wait := time.Duration(clock.ExpFloat64() / w.opts.CallsPerSecond * float64(time.Second))
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		select {
		case s := <-w.free:
			n := w.begun.Add(1)
			w.calls.Go(func() {
				w.play(context.WithoutCancel(ctx), s, uint64(n))
				w.free <- s
			})
		default:
			w.held.Add(1)
		}
	}
}

// play makes the n-th call.
func (w *Workload) play(ctx context.Context, s *slot, n uint64) {
	ctx, cancel := context.WithTimeout(ctx, 3*w.opts.Patience+w.opts.RingTimeout)
	defer cancel()
	r := &run{
		w: w, slot: s, n: n,
		rng:   rand.New(rand.NewPCG(w.opts.Seed, n)),
		heard: make(chan heard, 256),
	}
	scene := r.draw()
	if err := w.conversations(ctx, s); err != nil {
		w.opts.Recorder.Note("call %d: no route: %v", n, err)
		return
	}
	r.cid = s.masked
	if scene.direct {
		r.cid = s.direct
	}
	r.a, r.b = s.operator, s.customer
	if !scene.direct && r.rng.IntN(3) == 0 {
		r.a, r.b = s.customer, s.operator
	}
	w.mu.Lock()
	w.runs[r.cid] = r
	w.mu.Unlock()
	r.play(ctx, scene)
	w.mu.Lock()
	delete(w.runs, r.cid)
	w.counts[scene.name]++
	w.mu.Unlock()
}

// tell passes a message on to the call that it is about.
func (w *Workload) tell(s *seat, m voice.Message) {
	w.mu.Lock()
	r := w.runs[m.CID]
	w.mu.Unlock()
	if r == nil || s.legacy && !knows(m.Type) {
		return
	}
	select {
	case r.heard <- heard{s, m}:
	default: // a call that listens no more
	}
}

// relayed returns who is connected by a relay.
func (w *Workload) relayed(cid string) (history.Conversation, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.routed[cid]
	return c, ok
}

// conversations makes new ones when those of a slot have had their calls.
func (w *Workload) conversations(ctx context.Context, s *slot) error {
	s.calls++
	if s.masked != "" && s.calls <= w.opts.CallsPerConversation {
		return nil
	}
	s.generation++
	masked := fmt.Sprintf("m%d-%d-%d", w.opts.Seed, s.n, s.generation)
	direct := fmt.Sprintf("d%d-%d-%d", w.opts.Seed, s.n, s.generation)
	c := history.Conversation{
		CID: masked, Mode: call.Masked, Proxy: w.opts.Cast.Proxy, Operator: s.operator.self, Customer: s.customer.self,
		Start: call.StartBoth, MaskCallID: (s.n+s.generation)%4 == 0,
	}
	if err := w.route(ctx, c); err != nil {
		return err
	}
	w.opts.Recorder.Conversation(c)
	if s.relay != "" {
		c = history.Conversation{CID: direct, Mode: call.Direct, Proxy: s.relay, Operator: s.operator.self, Customer: s.customer.self}
		w.opts.Recorder.Conversation(c)
		w.mu.Lock()
		w.routed[direct] = c
		w.mu.Unlock()
	}
	s.masked, s.direct, s.calls = masked, direct, 1
	return nil
}

// Stats says how many calls have begun, how many did not because every slot was
// taken, and how many of each scenario have ended.
func (w *Workload) Stats() (begun, held int, ended map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int(w.begun.Load()), int(w.held.Load()), maps.Clone(w.counts)
}

// Restart ends the process of an endpoint or relay that n picks, and starts
// another in its place; without waiting for its handlers if kill is set. It returns
// which.
func (w *Workload) Restart(ctx context.Context, n uint64, kill bool) (target string, err error) {
	s := w.seats[n%uint64(len(w.seats))]
	if err := s.leave(ctx, kill); err != nil {
		return s.self, err
	}
	for {
		if err = s.sit(ctx); err == nil {
			return s.self, nil
		}
		select {
		case <-ctx.Done():
			return s.self, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Close ends every process, after its handlers.
func (w *Workload) Close(ctx context.Context) error {
	errs := make([]error, len(w.seats))
	var wg sync.WaitGroup
	for i, s := range w.seats {
		wg.Go(func() { errs[i] = s.leave(ctx, false) })
	}
	wg.Wait()
	for _, t := range w.twins {
		t.nc.Close()
	}
	return errors.Join(errs...)
}
