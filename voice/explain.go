package voice

import (
	"sync"

	"github.com/voicerouter/voicerouter/signal"
)

// explained remembers of which calls this process was told enough to understand
// what comes next. A live message that it cannot understand shows a gap that no
// sequence shows: Nats-Last-Sequence is that of one type, so that a start which was
// lost live is missed by the next start alone, and the candidates behind it would
// be handed over first.
type explained struct {
	calls *ring[callID, struct{}]
}

func newExplained() explained {
	return explained{newRing[callID, struct{}](rememberCalls)}
}

// depends reports whether messages of this type may need another before them.
func depends(typ string) bool {
	switch signal.Type(typ) {
	case signal.Start, signal.Ringing, signal.Accept, signal.Busy, signal.Candidate, signal.Update, signal.Stop:
		return true
	default:
		return false
	}
}

// talks knows which call goes on in each conversation as far as this process was
// told, or has begun itself. There is one at a time: a message of another call
// shows that the end of the former is missing. It is safe for concurrent use.
type talks struct {
	mu    sync.Mutex
	calls *ring[string, talk] // of a cid
}

// talk is the call that goes on in a conversation, and one before it whose end has
// not come: this process began another all the same. "" is none.
type talk struct{ now, before string }

func newTalks() *talks { return &talks{calls: newRing[string, talk](rememberCalls)} }

// note is told of each start, stop and busy that is sent or arrives.
func (t *talks) note(typ signal.Type, call callID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	is, _ := t.calls.get(call.cid)
	switch {
	case typ == signal.Start && is.now != call.call:
		is = talk{call.call, is.now}
	case typ == signal.Stop || typ == signal.Busy:
		if is.now == call.call {
			is.now = ""
		}
		if is.before == call.call {
			is.before = ""
		}
	default:
		return
	}
	t.calls.put(call.cid, is)
}

// another reports whether a call other than this one goes on in its conversation, or
// has not ended as far as is known. The latter it reports once: a start that was
// refused on its way has no end.
func (t *talks) another(call callID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	is, _ := t.calls.get(call.cid)
	unfinished := is.before != "" && is.before != call.call
	if unfinished {
		is.before = ""
		t.calls.put(call.cid, is)
	}
	return unfinished || is.now != "" && is.now != call.call
}

// missing reports whether something before m is missing; mine says that this
// process has sent something about the call.
func (e explained) missing(m Message, mine bool) bool {
	if _, known := e.calls.get(callID{m.CID, m.CallID}); known {
		return false
	}
	switch m.Type {
	case signal.Candidate, signal.Update:
		return true // of the callee: its accept; of the caller: its start
	case signal.Stop:
		return !mine || afterAccept(m.Reason)
	default:
		return false
	}
}

// afterAccept reports whether a call that ends for this reason had been answered:
// for some it may have been.
func afterAccept(r signal.Reason) bool {
	switch r {
	case signal.Hangup, signal.MaxDuration, signal.AdminTerminated, signal.Transferred,
		signal.ICEFailed, signal.ICETimeout, signal.UserMediaFailed:
		return true
	default:
		return false
	}
}

// tell remembers that m was handed over. A candidate or update explains those that
// follow: if what it needs had not been lost, it would have come by now.
func (e explained) tell(m Message) {
	switch m.Type {
	case signal.Start, signal.Accept, signal.Candidate, signal.Update:
		e.calls.put(callID{m.CID, m.CallID}, struct{}{})
	default:
	}
}
