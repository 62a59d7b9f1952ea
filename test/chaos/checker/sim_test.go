package checker

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

const (
	operator = "1112223334"
	customer = "1111111111"
	proxy    = "proxy"
	relay    = "helpdesk"
)

// failer is what the simulator needs of *testing.T and *rapid.T.
type failer interface{ Fatalf(string, ...any) }

// sim is a fleet that makes no mistakes, its broker and its endpoints: it drives
// the state machine and writes the history and the stream that a run would leave.
type sim struct {
	t       failer
	now     time.Time
	rec     *history.Recorder
	log     *bytes.Buffer
	key     identity.PrivateKey
	in, out uint64
	states  map[string]*call.State
	timers  map[string]call.Timer
	armed   map[string]Message
	stored  []Message
	devices []*device
	flight  []*inbound
	routes  map[string]history.Conversation
	inboxes map[string][]Message
	left    Leftovers
	rows    map[string]int // of the tables, by which nothing came of a message
}

// inbound is a message in VOICE_IN.
type inbound struct {
	e        call.Event
	raw      []byte
	mode     call.Mode
	delivery int
}

// device is a process.
type device struct {
	s     *sim
	id    string
	who   string
	name  string // its party
	app   bool
	seen  int
	index int
	n     int
	end   func(bool)
}

func newSim(t failer) *sim {
	key, err := identity.GenerateKey("1")
	if err != nil {
		t.Fatalf("key: %v", err)
	}
	s := &sim{
		t: t, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), log: &bytes.Buffer{}, key: key,
		states: map[string]*call.State{}, timers: map[string]call.Timer{}, armed: map[string]Message{},
		routes: map[string]history.Conversation{}, inboxes: map[string][]Message{}, rows: map[string]int{},
	}
	s.rec = history.NewRecorder(s.log, func() time.Time { return s.now })
	return s
}

func (s *sim) tick() { s.pass(time.Millisecond) }

// pass lets time pass; timers that come due meanwhile fire.
func (s *sim) pass(d time.Duration) {
	until := s.now.Add(d)
	for {
		key := s.due(until)
		if key == "" {
			break
		}
		s.now = later(s.now, s.timers[key].At)
		s.fire(key)
	}
	s.now = until
}

// due returns the key of the first timer that is due by a time.
func (s *sim) due(until time.Time) string {
	first := ""
	for key, t := range s.timers {
		if !t.At.After(until) && (first == "" || t.At.Before(s.timers[first].At) || t.At.Equal(s.timers[first].At) && key < first) {
			first = key
		}
	}
	return first
}

// fire delivers a timeout.
func (s *sim) fire(key string) {
	timer := s.timers[key]
	delete(s.timers, key)
	delete(s.armed, key)
	e := call.Event{Kind: call.Timeout, At: s.now, CallID: timer.CallID, Epoch: timer.Epoch}
	s.commit(key, e, nil, call.Decide(call.Policy{}, s.states[key], e))
}

func (s *sim) conversation(c history.Conversation) {
	if c.Proxy == "" {
		c.Proxy = proxy
	}
	if c.Mode == "" {
		c.Mode = call.Masked
	}
	c.Operator, c.Customer = operator, customer
	s.routes[c.CID] = c
	s.rec.Conversation(c)
}

func (s *sim) device(who, party string, app bool) *device {
	d := &device{s: s, who: who, name: party, app: app, id: fmt.Sprintf("%s/%s#%d", who, party, len(s.devices)), seen: len(s.inboxes[who]), index: len(s.devices)}
	d.end = s.rec.Process(history.Process{ID: d.id, Self: who, Party: party, App: app})
	s.devices = append(s.devices, d)
	return d
}

// accept stores a message in VOICE_IN.
func (s *sim) accept(m signal.Message, mode call.Mode) *inbound {
	m.IssuedAt, m.ExpiresAt = s.now, s.now.Add(5*time.Minute)
	payload, err := m.Encode()
	if err != nil {
		s.t.Fatalf("encode %s: %v", m.Type, err)
	}
	s.in++
	i := &inbound{e: call.Event{Msg: m, At: s.now, Seq: s.in, MayDefer: true}, raw: s.key.Sign(payload), mode: mode}
	s.flight = append(s.flight, i)
	return i
}

// route has a router handle the i-th message in flight. If lost is set, it dies
// before it acknowledges.
func (s *sim) route(i int, lost bool) {
	s.tick()
	in := s.flight[i]
	in.delivery++
	in.e.Delivery = in.delivery
	key := in.e.Msg.CID
	var d call.Decision
	if in.mode == call.Direct {
		key = subjects.DirectKey(key, in.e.Msg.Issuer.String(), in.e.Msg.Recipient.String())
		d = call.DecideDirect(call.Policy{}, s.states[key], in.e)
	} else {
		d = call.Decide(call.Policy{}, s.states[key], s.facts(in.e, key))
		s.compare(key, in.e, d)
	}
	s.commit(key, in.e, in.raw, d)
	if d.Verdict != call.Deferred && !lost {
		s.flight = slices.Delete(s.flight, i, i+1)
	}
}

// compare holds the rules written by hand against the state machine.
func (s *sim) compare(key string, e call.Event, d call.Decision) {
	if d.Verdict == call.Repeat || d.Verdict == call.Stranger {
		return
	}
	state := s.states[key]
	if state == nil {
		state = &call.State{Phase: call.None}
	}
	m := &message{Send: history.Send{
		Type: e.Msg.Type, CallID: e.Msg.CallID, From: e.Msg.Issuer.String(), Party: e.Msg.Party, PeerInfo: e.Msg.PeerInfo, At: e.At,
	}}
	row, ok := nothing(state, m, key)
	if ok != (d.Verdict == call.Nothing) {
		s.t.Fatalf("%s of %s, call_id %q, record %+v: the state machine says verdict %d, row %s by hand: %t", m.Type, m.From, m.CallID, state, d.Verdict, row, ok)
	}
	if ok {
		s.rows[row]++
	}
}

func (s *sim) facts(e call.Event, key string) call.Event {
	if c, ok := s.routes[key]; ok && call.NeedsRoute(s.states[key], e) {
		e.Route = &call.Route{
			Proxy: identity.MustID(c.Proxy), Operator: identity.MustID(c.Operator), Customer: identity.MustID(c.Customer),
			Start: c.Start, MaskCallID: c.MaskCallID,
		}
	}
	return e
}

// commit stores a decision as one batch.
func (s *sim) commit(key string, e call.Event, raw []byte, d call.Decision) {
	if d.Next != nil {
		data, err := d.Next.Encode()
		if err != nil {
			s.t.Fatalf("record: %v", err)
		}
		s.states[key] = d.Next
		s.put(subjects.State(key), data)
	}
	for i, say := range d.Say {
		s.put(subjects.Inbox(say.To.String(), string(say.Type)), s.letter(key, e, raw, i, say))
	}
	switch d.Timer.Op {
	case call.TimerSet:
		data, err := json.Marshal(map[string]any{"call_id": d.Timer.CallID, "epoch": d.Timer.Epoch})
		if err != nil {
			s.t.Fatalf("timer: %v", err)
		}
		s.out++
		s.timers[key] = d.Timer
		s.armed[key] = Message{Seq: s.out, Time: s.now, Subject: subjects.Timer(key), Data: data}
	case call.TimerCancel:
		delete(s.timers, key)
		delete(s.armed, key)
	case call.TimerKeep:
	}
}

// letter is the envelope of what is said.
func (s *sim) letter(key string, e call.Event, raw []byte, i int, say call.Say) []byte {
	if say.Forward {
		return raw
	}
	jti := fmt.Sprintf("r%d.%d", e.Seq, i)
	if e.Kind != call.Message {
		jti = fmt.Sprintf("t%s.%d.%d", key, e.Epoch, i)
	}
	m := signal.Message{
		Type: say.Type, JTI: jti, Issuer: identity.MustID(proxy), Recipient: say.To, IssuedAt: s.now, ExpiresAt: s.now.Add(time.Hour),
		CID: key, CallID: say.CallID, PeerInfo: say.PeerInfo, Data: say.Data, Reason: say.Reason,
	}
	payload, err := m.Encode()
	if err != nil {
		s.t.Fatalf("letter: %v", err)
	}
	return s.key.Sign(payload)
}

func (s *sim) put(subject string, data []byte) {
	s.out++
	m := Message{Seq: s.out, Time: s.now, Subject: subject, Data: data}
	s.stored = append(s.stored, m)
	if to, _, ok := subjects.ParseInbox(subject); ok {
		s.inboxes[to] = append(s.inboxes[to], m)
	}
}

// settle handles all that is in flight and lets every handler run.
func (s *sim) settle() {
	for len(s.flight) > 0 {
		s.route(0, false)
	}
	for _, d := range s.devices {
		for more := true; more; _, more = d.hear() {
		}
	}
	s.rec.Floor(s.in)
}

// rest lets every timer fire.
func (s *sim) rest() {
	s.settle()
	for len(s.timers) > 0 {
		s.pass(time.Hour)
	}
	s.settle()
}

// Messages implements [Store].
func (s *sim) Messages(_ context.Context, visit func(Message) error) error {
	all := slices.Clone(s.stored)
	for _, m := range s.armed {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Message) int { return int(a.Seq) - int(b.Seq) })
	for _, m := range all {
		if err := visit(m); err != nil {
			return err
		}
	}
	return nil
}

// Leftovers implements [Store].
func (s *sim) Leftovers(context.Context) (Leftovers, error) { return s.left, nil }

// history reads what has been recorded.
func (s *sim) history() *history.History {
	h, err := history.Read(bytes.NewReader(s.log.Bytes()))
	if err != nil {
		s.t.Fatalf("history: %v", err)
	}
	return h
}

// check judges the run.
func (s *sim) check(h *history.History) *Report {
	r, err := Check(context.Background(), h, s, Options{Now: s.now.Add(time.Second)})
	if err != nil {
		s.t.Fatalf("check: %v", err)
	}
	return r
}

// object is data with one member.
func object(key string, value any) jsontext.Value {
	b, err := json.Marshal(map[string]any{key: value})
	if err != nil {
		return nil
	}
	return b
}

var _ failer = (*testing.T)(nil)
