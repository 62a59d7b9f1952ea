package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// world is a run, sorted for judging.
type world struct {
	h      *history.History
	opts   Options
	report *Report

	processes     map[string]*history.Process
	devices       map[string][]*history.Process // by identity
	conversations map[string]history.Conversation
	messages      []*message
	sent          map[name]*message
	marks         map[string]*message // by mark
	spoke         map[party][]*message

	timelines map[string]*timeline
	letters   map[string][]letter  // by recipient
	told      map[party][]letter   // the same, by recipient and call
	arrived   map[heardBy]int      // how often a message stands in an inbox, by recipient
	floors    []history.Floor      // both growing
	heard     map[heardBy][]int    // indices of h.Heard
	first     map[string]time.Time // when a process heard its first message
	ears      map[party][]int      // the same, by process and call
	refs      map[name]bool        // who was told or kept that what is refused
}

// name is a message: who sent it, and its jti.
type name struct{ who, jti string }

// party is one identity in one call, as it names the call.
type party struct{ who, cid, callID string }

// heardBy is a message at one process, or in the inbox of an identity.
type heardBy struct{ who, from, jti string }

func newWorld(h *history.History, opts Options) *world {
	w := &world{
		h: h, opts: opts, report: &Report{},
		processes: map[string]*history.Process{}, devices: map[string][]*history.Process{},
		conversations: map[string]history.Conversation{},
		sent:          map[name]*message{}, marks: map[string]*message{}, spoke: map[party][]*message{},
		timelines: map[string]*timeline{}, letters: map[string][]letter{}, told: map[party][]letter{}, arrived: map[heardBy]int{},
		heard: map[heardBy][]int{}, first: map[string]time.Time{}, ears: map[party][]int{}, refs: map[name]bool{},
	}
	for i := range h.Processes {
		p := &h.Processes[i]
		w.processes[p.ID] = p
		w.devices[p.Self] = append(w.devices[p.Self], p)
	}
	for _, c := range h.Conversations {
		w.conversations[c.CID] = c
	}
	for _, f := range h.Floors {
		if n := len(w.floors); n == 0 || f.Seq > w.floors[n-1].Seq {
			w.floors = append(w.floors, f)
		}
	}
	for _, s := range h.Sends {
		w.send(s)
	}
	for i, e := range h.Heard {
		if p := w.processes[e.Process]; p != nil && e.Type == signal.Error {
			w.refs[name{p.Self, e.Ref}] = true
		}
		if _, known := w.first[e.Process]; !known {
			w.first[e.Process] = e.At
		}
		by := heardBy{e.Process, e.From, e.JTI}
		w.heard[by] = append(w.heard[by], i)
		at := party{e.Process, e.CID, e.CallID}
		w.ears[at] = append(w.ears[at], i)
	}
	return w
}

// send adds one publication to its message.
func (w *world) send(s history.Send) {
	id := name{s.From, s.JTI}
	m := w.sent[id]
	if m == nil {
		m = &message{Send: s}
		w.sent[id], w.messages = m, append(w.messages, m)
		w.marks[markOf(s.From, s.JTI)] = m
		by := party{s.From, s.CID, s.CallID}
		w.spoke[by] = append(w.spoke[by], m)
	}
	m.acked = m.acked || s.Outcome.Result == history.Acked
	m.refused = m.refused || s.Outcome.Result == history.Refused
	m.seq = max(m.seq, s.Outcome.Seq)
}

// take sorts one stored message in.
func (w *world) take(m Message) error {
	if to, _, ok := subjects.ParseInbox(m.Subject); ok {
		return w.takeLetter(m, to)
	}
	if reason, self, ok := subjects.ParseRejected(m.Subject); ok {
		w.takeRejected(m, reason, self)
		return nil
	}
	key, kind, ok := subjects.ParseCall(m.Subject)
	switch {
	case !ok:
		w.report.note("subject %s at sequence %d is none of the protocol's", m.Subject, m.Seq)
		return nil
	case kind == "state":
		return w.takeState(m, key)
	case kind == "timer":
		return w.takeTimer(m, key)
	default:
		return nil
	}
}

func (w *world) takeLetter(m Message, to string) error {
	l, env, err := open(m, to)
	if err != nil {
		return err
	}
	w.letters[to] = append(w.letters[to], l)
	w.arrived[heardBy{to, l.from, l.jti}]++
	if l.typ == signal.Error {
		w.refs[name{to, l.ref}] = true
	}
	w.naming(m, l, env)
	return nil
}

// takeRejected remembers that a message was refused and kept.
func (w *world) takeRejected(m Message, reason, self string) {
	if reason == string(signal.CodeInternal) {
		w.report.note("the routers could not store a message of %s (%s)", self, m.Subject)
	}
	if env, err := identity.ParseEnvelope(m.Data); err == nil {
		if c, err := signal.Decode(env.Payload); err == nil {
			w.refs[name{self, c.JTI}] = true
		}
	}
}

func (w *world) takeState(m Message, key string) error {
	s, err := call.DecodeState(m.Data)
	if err != nil {
		return fmt.Errorf("record at sequence %d: %w", m.Seq, err)
	}
	t := w.line(key)
	v := version{seq: m.Seq, at: m.Time}
	if n := len(s.Applied); n > 0 && fromMessage(&s) && s.Applied[n-1].At.Equal(s.Last.At) {
		v.mark = s.Applied[n-1]
		t.marks[v.mark.Hash]++
	}
	s.Applied = nil // the greater part of a record
	v.s = &s
	t.versions = append(t.versions, v)
	return nil
}

// fromMessage reports whether a message led to this record.
func fromMessage(s *call.State) bool {
	return s.Last.Type != call.LastTimeout && s.Last.Type != call.LastForcedEnd
}

func (w *world) takeTimer(m Message, key string) error {
	var timer struct {
		CallID string `json:"call_id"`
		Epoch  uint64 `json:"epoch"`
	}
	if err := json.Unmarshal(m.Data, &timer); err != nil {
		return fmt.Errorf("timer at sequence %d: %w", m.Seq, err)
	}
	t := w.line(key)
	t.timer, t.armed = timer.Epoch, true
	return nil
}

func (w *world) line(key string) *timeline {
	t := w.timelines[key]
	if t == nil {
		cid, direct := subjects.CIDOfKey(key)
		t = &timeline{key: key, cid: cid, direct: direct, marks: map[string]int{}}
		w.timelines[key] = t
	}
	return t
}

// match joins messages with what became of them.
func (w *world) match() {
	for _, m := range w.messages {
		key := m.CID
		if m.Mode == call.Direct {
			key = subjects.DirectKey(m.CID, m.From, m.To)
		}
		m.line = w.line(key)
		m.line.messages = append(m.line.messages, m)
		m.answered = w.refs[name{m.From, m.JTI}]
		m.handled = w.until(m)
	}
	for _, t := range w.lines() {
		for i := range t.versions {
			v := &t.versions[i]
			if v.by = w.marks[v.mark.Hash]; v.mark.Hash != "" && v.by != nil {
				v.by.versions = append(v.by.versions, i)
			}
		}
	}
	for _, list := range w.letters {
		slices.SortFunc(list, func(a, b letter) int { return cmp.Compare(a.seq, b.seq) })
		for _, l := range list {
			about := party{l.to, l.cid, l.callID}
			w.told[about] = append(w.told[about], l)
		}
	}
}

// lines lists the timelines in a fixed order.
func (w *world) lines() []*timeline {
	all := make([]*timeline, 0, len(w.timelines))
	for _, t := range w.timelines {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *timeline) int { return strings.Compare(a.key, b.key) })
	return all
}
