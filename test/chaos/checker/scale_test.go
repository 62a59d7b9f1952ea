package checker

import (
	"fmt"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// BenchmarkCheck judges a run of 1000 calls on 100 conversations.
func BenchmarkCheck(b *testing.B) {
	s := newSim(b)
	desk, phone := s.device(operator, "desk", false), s.device(customer, "phone", false)
	for c := range 100 {
		cid := fmt.Sprint("c", c)
		s.conversation(history.Conversation{CID: cid, Start: call.StartBoth})
		for k := range 10 {
			id := fmt.Sprint("k", k)
			desk.say(signal.Start, cid, id)
			s.settle()
			phone.say(signal.Ringing, cid, id)
			phone.say(signal.Ringing, cid, id) // R3
			phone.say(signal.Accept, cid, id)
			s.settle()
			for range 3 {
				desk.say(signal.Candidate, cid, id)
				phone.say(signal.Candidate, cid, id)
			}
			desk.say(signal.Stop, cid, id)
			phone.say(signal.Stop, cid, id) // E5
			s.pass(time.Second)
			s.settle()
		}
	}
	h := s.history()
	for b.Loop() {
		if r := s.check(h); !r.Clean() || r.Calls != 1000 {
			b.Fatalf("%d calls, %v", r.Calls, r.Findings)
		}
	}
}
