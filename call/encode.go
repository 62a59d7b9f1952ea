package call

import (
	"encoding/base64"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/plainjson"
)

// recordRoom is what a record takes in JSON besides its lists, roughly.
const recordRoom = 768

// writer appends the members of a record to out, as the full encoder writes them.
// After an error it goes on, and what it has written means nothing.
type writer struct {
	out []byte
	err error
}

// name begins a member; every member but the first of an object has a comma.
func (w *writer) name(n string) {
	if c := w.out[len(w.out)-1]; c != '{' {
		w.out = append(w.out, ',')
	}
	w.out = append(append(append(w.out, '"'), n...), '"', ':')
}

func (w *writer) value(s string) {
	out, err := plainjson.AppendString(w.out, s)
	if err != nil {
		w.err = err
		return
	}
	w.out = out
}

func (w *writer) text(name, s string) {
	w.name(name)
	w.value(s)
}

// optional leaves an empty member out.
func (w *writer) optional(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *writer) id(name string, id identity.ID) { w.optional(name, id.String()) }

func (w *writer) flag(name string, set bool) {
	if set {
		w.name(name)
		w.out = append(w.out, "true"...)
	}
}

func (w *writer) number(name string, n uint64) {
	if n != 0 {
		w.name(name)
		w.out = strconv.AppendUint(w.out, n, 10)
	}
}

func (w *writer) time(name string, t time.Time) {
	if !t.IsZero() {
		w.moment(name, t)
	}
}

func (w *writer) moment(name string, t time.Time) {
	w.name(name)
	w.out = append(w.out, '"')
	w.out = t.AppendFormat(w.out, time.RFC3339Nano)
	w.out = append(w.out, '"')
}

// list writes n elements, unless there are none.
func (w *writer) list(name string, n int, element func(int)) {
	if n == 0 {
		return
	}
	w.name(name)
	w.out = append(w.out, '[')
	for i := range n {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		element(i)
	}
	w.out = append(w.out, ']')
}

// appendJSON appends s to out. It writes what json.Marshal writes; every message
// writes a record, and this is a fifth of the work.
func (s *State) appendJSON(out []byte) ([]byte, error) {
	w := writer{out: append(out, '{')}
	w.name("v")
	w.out = strconv.AppendInt(w.out, int64(s.Version), 10)
	w.text("mode", string(s.Mode))
	w.text("state", string(s.Phase))
	w.text("cid", s.CID)
	w.optional("call_id", s.CallID)
	w.id("proxy", s.Proxy)
	w.id("customer", s.Customer)
	w.id("operator", s.Operator)
	w.optional("operator_name", s.OperatorName)
	w.optional("start", string(s.Start))
	w.list("data_allow", len(s.DataAllow), func(i int) { w.value(s.DataAllow[i]) })
	w.flag("mask_call_id", s.MaskCallID)
	w.id("caller", s.Caller)
	w.optional("caller_party", s.CallerParty)
	w.optional("offer", s.Offer)
	w.list("parties", len(s.Parties), func(i int) { w.party(&s.Parties[i]) })
	w.optional("winner", s.Winner)
	w.optional("reason", string(s.Reason))
	w.id("ended_by", s.EndedBy)
	w.time("started_at", s.StartedAt)
	w.time("ringing_at", s.RingingAt)
	w.time("answered_at", s.AnsweredAt)
	w.time("ended_at", s.EndedAt)
	w.time("deadline", s.Deadline)
	w.number("epoch", s.Epoch)
	w.list("past", len(s.Past), func(i int) { w.past(&s.Past[i]) })
	w.list("applied", len(s.Applied), func(i int) { w.out = s.Applied[i].appendJSON(w.out) })
	w.name("last")
	w.last(&s.Last)
	w.unknown(s.Unknown)
	return append(w.out, '}'), w.err
}

// unknown writes the members of an object as they are: they were formatted when
// they were read.
func (w *writer) unknown(members jsontext.Value) {
	if len(members) > len("{}") {
		w.out = append(append(w.out, ','), members[1:len(members)-1]...)
	}
}

func (w *writer) party(p *Party) {
	w.out = append(w.out, '{')
	w.text("name", p.Name)
	w.flag("busy", p.Busy)
	w.out = append(w.out, '}')
}

func (w *writer) past(p *PastCall) {
	w.out = append(w.out, '{')
	w.text("call_id", p.CallID)
	w.text("reason", string(p.Reason))
	w.moment("at", p.At)
	w.optional("replaced_by", p.ReplacedBy)
	w.id("hung_up", p.HungUp)
	w.id("by", p.By)
	w.id("caller", p.Caller)
	w.out = append(w.out, '}')
}

func (w *writer) last(l *Last) {
	w.out = append(w.out, '{')
	w.text("type", l.Type)
	w.id("from", l.From)
	w.optional("party", l.Party)
	w.optional("call_id", l.CallID)
	w.moment("at", l.At)
	w.optional("code", string(l.Code))
	w.out = append(w.out, '}')
}

// appendJSON appends a mark: a string of hash, sequence and Unix time in
// milliseconds, the numbers in base 36, separated by dots.
func (m *Mark) appendJSON(out []byte) []byte {
	out = append(append(out, '"'), m.Hash...)
	out = strconv.AppendUint(append(out, '.'), m.Seq, 36)
	out = strconv.AppendInt(append(out, '.'), m.At.UnixMilli(), 36)
	return append(out, '"')
}

// spareBits are the last characters of the base64url of 8 bytes: 11 characters
// hold two bits more, which are zero.
const spareBits = "AEIMQUYcgkosw048"

// validHash reports whether h is what hashOf returns.
func validHash(h string) bool {
	if len(h) != base64.RawURLEncoding.EncodedLen(hashBytes) {
		return false
	}
	for i := range len(h) {
		switch c := h[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	for i := range len(spareBits) {
		if h[len(h)-1] == spareBits[i] {
			return true
		}
	}
	return false
}
