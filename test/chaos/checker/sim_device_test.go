package checker

import (
	"fmt"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// say sends a message of a masked call.
func (d *device) say(typ signal.Type, cid, callID string) *inbound {
	return d.send(typ, proxy, cid, callID, nil)
}

// send publishes a message; the broker acknowledges it.
func (d *device) send(typ signal.Type, to, cid, callID string, change func(*signal.Message)) *inbound {
	d.n++
	m := signal.Message{
		Type: typ, JTI: fmt.Sprintf("j%d-%d", d.index, d.n), Issuer: identity.MustID(d.who), Recipient: identity.MustID(to),
		CID: cid, CallID: callID, Party: d.name,
	}
	if typ.HasPeerInfo() {
		m.PeerInfo = "offer"
	}
	if change != nil {
		change(&m)
	}
	d.s.tick()
	done := d.s.rec.Send(d.sent(m))
	d.s.tick()
	i := d.s.accept(m, d.mode(m))
	done(history.Outcome{Result: history.Acked, Seq: i.e.Seq})
	return i
}

func (d *device) mode(m signal.Message) call.Mode {
	if m.Recipient.String() == proxy {
		return call.Masked
	}
	return call.Direct
}

func (d *device) sent(m signal.Message) history.Send {
	return history.Send{
		Process: d.id, JTI: m.JTI, Type: m.Type, CID: m.CID, CallID: m.CallID, From: d.who, To: m.Recipient.String(),
		Party: m.Party, Mode: d.mode(m), Reason: m.Reason, PeerInfo: m.PeerInfo, Data: string(m.Data),
	}
}

// hear hands the next letter to the handlers of d; false if there is none. What is
// about the device itself is not handed over.
func (d *device) hear() (letter, bool) {
	if d.seen == len(d.s.inboxes[d.who]) {
		return letter{}, false
	}
	l, _, err := open(d.s.inboxes[d.who][d.seen], d.who)
	if err != nil {
		d.s.t.Fatalf("open: %v", err)
	}
	d.seen++
	if l.typ == signal.Stop && l.party != "" && l.party == d.name {
		return l, true
	}
	d.s.tick()
	d.heard(l)(nil)
	return l, true
}

func (d *device) heard(l letter) (returned func(error)) {
	return d.s.rec.Heard(history.Heard{
		Process: d.id, JTI: l.jti, Type: l.typ, CID: l.cid, CallID: l.callID, From: l.from, Reason: l.reason,
		Seq: l.seq, Stored: l.at, Party: l.party, ReplacedBy: l.replacedBy, Code: l.code, Ref: l.ref,
	})
}
