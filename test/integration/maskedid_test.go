package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestMaskedCallID plays a full call on a route with mask_call_id: the customer
// never sees the call_id that the operator has chosen, and is understood under the
// one it was told; what the router refuses before it decides leaves the call alone.
func TestMaskedCallID(t *testing.T) {
	const callID = "call-by-1112223334"
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	w.route("c1", func(r *call.Route) { r.MaskCallID = true })
	op, cu := w.endpoint(operator), w.endpoint(customer)

	op.say(signal.Start, "c1", callID, func(m *signal.Message) { m.PeerInfo = "offer" })
	start := cu.next()
	if start.Type != signal.Start || len(start.CallID) != 22 {
		t.Fatalf("got %s %s, want start with an alias of 22 characters", start.Type, start.CallID)
	}
	alias := start.CallID
	cu.say(signal.Busy, "c1", callID, nil)
	if fault := cu.expectError(callID); fault.Code != signal.CodeUnknownCall {
		t.Errorf("busy on the operator's call_id: got %s, want unknown_call", fault.Code)
	}
	cu.say(signal.Ringing, "c1", alias, nil)
	op.expect(signal.Ringing, callID)
	cu.say(signal.Accept, "c1", alias, func(m *signal.Message) {
		m.IssuedAt, m.ExpiresAt = m.IssuedAt.Add(-time.Hour), m.IssuedAt.Add(-time.Minute)
	})
	cu.expectError(alias) // and no stop behind it: the call is live
	op.say(signal.Candidate, "c1", callID, func(m *signal.Message) { m.PeerInfo = "cand-a" })
	cu.expect(signal.Candidate, alias)
	cu.say(signal.Accept, "c1", alias, func(m *signal.Message) { m.PeerInfo = "answer" })
	op.expect(signal.Accept, callID)
	op.say(signal.Update, "c1", callID, func(m *signal.Message) { m.PeerInfo = "hold" })
	cu.expect(signal.Update, alias)
	cu.say(signal.Stop, "c1", alias, nil)
	op.expect(signal.Stop, callID)
	op.say(signal.Summary, "c1", callID, nil)
	cu.expect(signal.Summary, alias)

	s := w.state("c1")
	if s.Phase != call.Ended || s.CallID != callID || !s.MaskCallID || s.EndedBy.String() != customer {
		t.Errorf("record: %s %s mask_call_id %v by %s", s.Phase, s.CallID, s.MaskCallID, s.EndedBy)
	}
	w.neverStored(customer, callID)
}

// neverStored looks for a text in everything stored for an identity, but errors:
// these echo what the identity itself has written.
func (w *world) neverStored(self, text string) {
	w.t.Helper()
	for _, typ := range signal.Types() {
		m, err := msgget.Last(w.t.Context(), w.nc, subjects.StreamOut, subjects.Inbox(self, string(typ)))
		if err != nil || typ == signal.Error {
			continue // nothing of this type
		}
		envelope, err := identity.ParseEnvelope(m.Data)
		if err != nil {
			w.t.Fatalf("stored %s: %v", typ, err)
		}
		if strings.Contains(string(envelope.Payload), text) {
			w.t.Errorf("%s can read %s in a stored %s", self, text, typ)
		}
	}
}
