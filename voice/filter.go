package voice

import (
	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// Sizes of what a filter remembers.
const (
	rememberMessages = 4096
	rememberCalls    = 1024
)

// filter decides which admitted messages reach the handlers. It is used by one
// goroutine at a time.
type filter struct {
	party  string
	recent *ring[messageID, uint64] // the sequence under which a message came first
	ended  *ring[callID, end]
}

type messageID struct {
	iss identity.ID
	jti string
}

type callID struct{ cid, call string }

// end says at which sequences a call ended, and its ringing.
type end struct{ stop, busy, accept uint64 }

// Reasons why a filter drops a message, for the log.
const (
	pass     = ""
	repeated = "repeated"       // another message with this iss and jti was handed over
	overdue  = "behind its end" // the call had ended by the time it arrived
	ours     = "own party"      // it tells the other devices what this one did
	stale    = "ended meanwhile"
)

func newFilter(party string) *filter {
	return &filter{
		party:  party,
		recent: newRing[messageID, uint64](rememberMessages),
		ended:  newRing[callID, end](rememberCalls),
	}
}

// judge returns pass, or why m is dropped. A message is judged again, with the
// same result, when it comes again under the same sequence.
func (f *filter) judge(m Message) string {
	id := messageID{m.Issuer, m.JTI}
	if seq, known := f.recent.get(id); known && seq != m.Seq {
		return repeated
	}
	f.recent.put(id, m.Seq)
	own := f.own(m)
	if own && m.Reason == signal.AnsweredElsewhere {
		return ours // this device answered: for it the call goes on
	}
	if f.overdue(m) {
		return overdue
	}
	f.mark(m)
	if own {
		return ours
	}
	return pass
}

// own reports whether m is a stop about what this very device did.
func (f *filter) own(m Message) bool {
	if m.Type != signal.Stop || f.party == "" || m.Data == nil {
		return false
	}
	var data struct {
		Party string `json:"party"`
	}
	return json.Unmarshal(m.Data, &data) == nil && data.Party == f.party
}

// overdue reports whether m stands in the stream before the end of its call that
// has already been seen. A start behind its own stop would ring forever.
func (f *filter) overdue(m Message) bool {
	e, known := f.ended.get(callID{m.CID, m.CallID})
	if !known {
		return false
	}
	switch m.Type {
	case signal.Start:
		return m.Seq < max(e.stop, e.busy)
	case signal.Ringing:
		return m.Seq < max(e.stop, e.accept)
	case signal.Accept, signal.Candidate, signal.Update:
		return m.Seq < e.stop
	default:
		return false
	}
}

// mark remembers the end of a call, or of its ringing.
func (f *filter) mark(m Message) {
	key := callID{m.CID, m.CallID}
	e, _ := f.ended.get(key)
	switch m.Type {
	case signal.Stop:
		e.stop = max(e.stop, m.Seq)
	case signal.Busy:
		e.busy = max(e.busy, m.Seq)
	case signal.Accept:
		e.accept = max(e.accept, m.Seq)
	default:
		return
	}
	f.ended.put(key, e)
}

// current returns the messages of calls that have not ended, and of those that
// this process takes part in. list is in the order of the stream; over names calls
// that the sync service knows to be over.
func (f *filter) current(list []Message, over map[callID]bool, mine func(callID) bool) []Message {
	ended := map[callID]bool{}
	for _, m := range list {
		key := callID{m.CID, m.CallID}
		switch m.Type {
		case signal.Stop:
			ended[key] = ended[key] || !f.own(m) || m.Reason != signal.AnsweredElsewhere
		case signal.Busy:
			ended[key] = true
		case signal.Accept: // another device than the busy one, in direct mode
			delete(ended, key)
		default:
		}
	}
	var out []Message
	for _, m := range list {
		key := callID{m.CID, m.CallID}
		if m.Type == signal.Setup || m.CallID == "" || !ended[key] && !over[key] || mine(key) {
			out = append(out, m)
		} else {
			f.mark(m)
		}
	}
	return out
}
