package security

import (
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// puller is an app that pulls its messages to reply subjects of its choice.
type puller struct {
	*peer
	pin string
	in  *nats.Subscription
}

// pull asks for one message, to be delivered to reply.
func (p *puller) pull(reply string) {
	p.a.t.Helper()
	body := `{"batch":1,"expires":20000000000,"group":"` + subjects.GroupApp + `"`
	if p.pin != "" {
		body += `,"id":"` + p.pin + `"`
	}
	if err := p.nc.PublishRequest(subjects.RequestNext(subjects.StreamOut, subjects.AppConsumer(gazette)), reply, []byte(body+"}")); err != nil {
		p.a.t.Fatal(err)
	}
}

// honestly pulls to where an app should until the message of a call comes.
// Messages that were delivered elsewhere come again.
func (p *puller) honestly(callID string) {
	p.a.t.Helper()
	for {
		p.pull(subjects.InboxPrefix(gazette) + ".pull")
		m, err := p.in.NextMsg(patience)
		if err != nil {
			p.a.t.Fatal(err)
		}
		if pin := m.Header.Get("Nats-Pin-Id"); pin != "" {
			p.pin = pin
		}
		if m.Header.Get("Status") != "" {
			continue
		}
		if err := m.Ack(); err != nil {
			p.a.t.Fatal(err)
		}
		if decode(p.a.t, m.Data).CallID == callID {
			return
		}
	}
}

// consumer describes the durable of an app.
func (a *arena) consumer(app string) *jetstream.ConsumerInfo {
	a.t.Helper()
	c, err := a.js.Consumer(a.t.Context(), subjects.StreamOut, subjects.AppConsumer(app))
	if err != nil {
		a.t.Fatal(err)
	}
	return c.CachedInfo()
}

// pulls lets mallory fill the app's inbox, and the app pull to each of replies.
// When what lies behind comes to the app itself, the broker has dealt with these.
func (a *arena) pulls(x *peer, cid string, replies ...string) {
	a.t.Helper()
	m := a.peer(mallory)
	defer m.nc.Close()
	in, err := x.nc.SubscribeSync(subjects.InboxPrefix(gazette) + ".pull")
	if err != nil {
		a.t.Fatal(err)
	}
	p := &puller{peer: x, in: in}
	m.direct(helpdesk, signal.Start, cid, "for-helpdesk")
	m.direct(gazette, signal.Start, cid, "first")
	p.honestly("first")
	for _, reply := range replies {
		m.direct(gazette, signal.Start, cid, "stolen")
		p.pull(reply)
	}
	m.direct(gazette, signal.Start, cid, "behind")
	p.honestly("behind")
	if c := a.consumer(helpdesk); c.Delivered.Consumer != 0 || c.AckFloor.Consumer != 0 || c.NumPending == 0 || c.NumWaiting != 0 {
		a.t.Errorf("the other app's consumer: %d delivered, %d acknowledged, %d pending, %d pulls; want all pending",
			c.Delivered.Consumer, c.AckFloor.Consumer, c.NumPending, c.NumWaiting)
	}
}

// direct sends a message to an app past the proxy.
func (p *peer) direct(to string, typ signal.Type, cid, callID string) {
	p.a.t.Helper()
	p.say(typ, cid, callID, func(m *signal.Message) { m.Recipient = p.a.Get(p.a.t, to).ID })
}

// ofMallory are the subjects of what mallory sends to apps.
func ofMallory(typ signal.Type) []string {
	t := string(typ)
	return []string{subjects.Voice(mallory, t), subjects.Inbox(gazette, t), subjects.Inbox(helpdesk, t)}
}

// pulled is an attack of an app with the reply subjects of its pulls.
func pulled(id, what string, replies ...string) attack {
	return attack{
		id: id, what: what, as: gazette, others: ofMallory(signal.Start),
		do:   func(a *arena, x *peer) { a.pulls(x, id, replies...) },
		want: nothing(byBroker, rewritten+"; the other app's consumer is as before", true, func(*arena, *peer) {}),
	}
}

// pulledLive has the app's messages, with content of the attackers' choice,
// delivered to the operator's live subject.
func pulledLive() attack {
	k := pulled("P17", "an app's pull with a reply to another's live subject")
	k.do = func(a *arena, x *peer) {
		a.device(2, func() {
			a.pulls(x, "P17", "live."+subjects.Inbox(operator, "start"), "live."+subjects.Inbox(operator, "stop"))
		})
	}
	k.talk = true
	k.want = nothing("SDK", "arrives without `Nats-Sequence` and with another `sub`: what the app could read anyway; the SDK drops it unread", true,
		func(a *arena, _ *peer) { a.bare(2) })
	return k
}
