package integration

import (
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/signal"
)

// TestMaskedCall plays a full call over the wire: what each side sends reaches
// the other from the proxy, and nothing names the sender.
func TestMaskedCall(t *testing.T) {
	w := newWorld(t, brokertest.Options{})
	w.fleet(nil)
	w.route("c1", nil)
	op, cu := w.endpoint(operator), w.endpoint(customer)

	op.say(signal.Start, "c1", "k1", func(m *signal.Message) {
		m.PeerInfo, m.Party = "offer", "desk"
		m.Data = []byte(`{"media":"audio","secret":"` + operator + `","operator_name":"Mallory"}`)
	})
	start := cu.expect(signal.Start, "k1")
	if start.Issuer.String() != proxy || start.PeerInfo != "offer" || start.Party != "" {
		t.Errorf("start: issuer %s peer_info %q party %q", start.Issuer, start.PeerInfo, start.Party)
	}
	if got, want := string(start.Data), `{"media":"audio","operator_name":"Bob"}`; got != want {
		t.Errorf("start: data %s, want %s", got, want)
	}
	cu.say(signal.Ringing, "c1", "k1", nil)
	op.expect(signal.Ringing, "k1")
	op.say(signal.Candidate, "c1", "k1", func(m *signal.Message) { m.PeerInfo, m.Party = "cand-a", "desk" })
	cu.expect(signal.Candidate, "k1")
	cu.say(signal.Accept, "c1", "k1", func(m *signal.Message) { m.PeerInfo = "answer" })
	if accept := op.expect(signal.Accept, "k1"); accept.PeerInfo != "answer" || strings.Contains(string(accept.Data), "Ada") {
		t.Errorf("accept: peer_info %q data %s", accept.PeerInfo, accept.Data)
	}
	cu.say(signal.Update, "c1", "k1", func(m *signal.Message) { m.PeerInfo = "hold" })
	op.expect(signal.Update, "k1")
	cu.say(signal.Stop, "c1", "k1", nil)
	if stop := op.expect(signal.Stop, "k1"); stop.Reason != signal.Hangup {
		t.Errorf("stop: reason %q, want hangup", stop.Reason)
	}
	s := w.state("c1")
	if s.Phase != call.Ended || s.Reason != signal.Hangup || s.EndedBy.String() != customer {
		t.Errorf("record: %s %s by %s", s.Phase, s.Reason, s.EndedBy)
	}
}
