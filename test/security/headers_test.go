package security

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestHeaders(t *testing.T) { play(t, newArena(t, nil), headerAttacks()) }

// headed is an attack with headers on one's own subject that the broker refuses
// with this error of its API.
func headed(id, what string, code int, list ...nats.Header) attack {
	return attack{id: id, what: what, do: func(a *arena, x *peer) {
		for _, h := range list {
			switch ack := x.request(subjects.Voice(mallory, "start"), []byte(secret), h); {
			case ack.Error == nil:
				a.t.Errorf("%v: stored as %d", h, ack.Seq)
			case ack.Error.Code != code || strings.Contains(ack.Error.Description, operator):
				a.t.Errorf("%v: error %+v, want %d", h, ack.Error, code)
			}
		}
	}, want: nothing(byBroker, fmt.Sprintf("API error %d, nothing stored", code), false, func(*arena, *peer) {})}
}

// idle is an attack with headers that mean nothing here: the message is stored as
// any other, the worker judges it as any other.
func idle(id, what string, list ...nats.Header) attack {
	return attack{id: id, what: what, do: func(a *arena, x *peer) {
		before := a.count("refused", signal.CodeMalformed)
		for _, h := range list {
			if ack := x.request(subjects.Voice(mallory, "start"), []byte(secret), h); ack.Error != nil {
				a.t.Fatalf("%v: %+v", h, ack.Error)
			}
		}
		a.kept(signal.CodeMalformed, mallory, []byte(secret))
		eventually(a.t, "counted", func() bool { return a.count("refused", signal.CodeMalformed) == before+float64(len(list)) })
		x.told("")
	}, want: nothing(byWorker, "means nothing in this stream: judged like any message, `malformed`; no header goes further", true, func(*arena, *peer) {})}
}

func one(pairs ...string) nats.Header {
	h := nats.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
		if v := h[pairs[i]]; v == nil {
			h[pairs[i]] = []string{pairs[i+1]} // nats.Header keeps the case
		}
	}
	return h
}

func headerAttacks() []attack {
	const sched, target = "Nats-Schedule", "Nats-Schedule-Target"
	const at, last, subj = "@at 2020-01-01T00:00:00Z", "Nats-Expected-Last-Subject-Sequence", "Nats-Expected-Last-Subject-Sequence-Subject"
	return []attack{
		headed("H01", "a schedule that writes into another's inbox", 10188, one(sched, at, target, subjects.Inbox(operator, "stop")), one(sched, "@every 1s", target, subjects.Voice(operator, "stop")), one(sched, "nonsense", target, ">")),
		headed("H02", "a schedule that repeats what another sent", 10188, one(sched, "@every 1s", target, subjects.Voice(mallory, "stop"), "Nats-Schedule-Source", subjects.Voice(operator, "stop"))),
		headed("H03", "cancel the timer of a call", 10188, one("Nats-Scheduler", subjects.Timer(victims), "Nats-Schedule-Next", "purge")),
		idle("H04", "parts of a schedule without one", one(target, subjects.Voice(operator, "stop")), one("Nats-Schedule-TTL", "1s"), one("Nats-Schedule-Rollup", "sub")),
		headed("H05", "a rollup that wipes the stream or a subject", 10111, one("Nats-Rollup", "all"), one("Nats-Rollup", "sub")),
		headed("H06", "expect another stream", 10060, one("Nats-Expected-Stream", subjects.StreamOut)),
		headed("H07", "expect a sequence, to make the broker say one", 10071, one("Nats-Expected-Last-Sequence", "1"), one(last, "99999"), one(last, "99999", subj, subjects.State(victims))),
		headed("H08", "expect a sequence of nothing in particular", 10193, one(subj, subjects.Voice(operator, "start"))),
		lastMsgID(),
		headed("H10", "a life of its own for a message", 10166, one("Nats-TTL", "1s"), one("Nats-TTL", "never")),
		headed("H11", "a batch", 10174, one("Nats-Batch-Id", "b", "Nats-Batch-Sequence", "1"), one("Nats-Batch-Id", "b", "Nats-Batch-Sequence", "1", "Nats-Batch-Commit", "1")),
		headed("H12", "a counter", 10168, one("Nats-Incr", "1")),
		headed("H13", "pretend to be sourced from another stream", 10227, one("Nats-Stream-Source", subjects.StreamOut+" 1")),
		idle("H14", "mark a key as deleted", one("KV-Operation", "PURGE"), one("Nats-Marker-Reason", "Purge"), one("Nats-Counter-Sources", "{}")),
		idle("H15", "pretend to be the broker or a service", one("Nats-Request-Info", `{"acc":"ROUTER","name":"router"}`), one("Nats-Required-Api-Level", "999"), one("Nats-Service-Error-Code", "500"), one("Status", "503")),
		idle("H16", "write the worker's note on a refused message", one("Voice-Detail", "an operator was "+operator)),
		collision(),
		traced(),
		forgedDelivery(),
	}
}

// lastMsgID asks for the last Nats-Msg-Id of the stream just after the operator
// has spoken.
func lastMsgID() attack {
	return attack{id: "H09", what: "expect a `Nats-Msg-Id`, to make the broker say who spoke last", talk: true, do: func(a *arena, x *peer) {
		m := a.op.claims(signal.Update, victims, current)
		m.PeerInfo = "honest"
		msgID := signal.MsgID(m.Issuer, m.JTI)
		a.op.request(subjects.Voice(operator, "update"), a.op.sign(m), one(nats.MsgIdHdr, msgID))
		a.cu.expect(signal.Update, current)
		ack := x.request(subjects.Voice(mallory, "start"), []byte(secret), one("Nats-Expected-Last-Msg-Id", "x"))
		switch {
		case ack.Error == nil || ack.Error.Code != 10070:
			a.t.Errorf("answer %+v, want the error 10070", ack)
		case !strings.Contains(ack.Error.Description, msgID):
			a.t.Errorf("the broker says %q: does it keep the last id no longer?", ack.Error.Description)
		case strings.Contains(ack.Error.Description, operator) || strings.Contains(ack.Error.Description, m.JTI):
			a.t.Errorf("the broker says who spoke: %q", ack.Error.Description)
		}
	}, want: nothing("SDK", "API error 10070 names the last id, which is a hash and names nobody", true, func(*arena, *peer) {})}
}

// collision takes the id of a message that the operator is about to send, as far
// as it can be known: everything but the jti.
func collision() attack {
	return attack{id: "H17", what: "send first with a `Nats-Msg-Id` that another will use", talk: true, do: func(a *arena, x *peer) {
		m := a.op.claims(signal.Update, victims, current)
		m.PeerInfo = "honest"
		for _, guess := range []string{operator, operator + ".", operator + "." + m.JTI, m.JTI, signal.MsgID(m.Issuer, ""), signal.MsgID(m.Issuer, "1"), signal.MsgID(x.id.ID, m.JTI)} {
			x.request(subjects.Voice(mallory, "start"), []byte(secret), one(nats.MsgIdHdr, guess))
		}
		if ack := a.op.request(subjects.Voice(operator, "update"), a.op.sign(m), one(nats.MsgIdHdr, signal.MsgID(m.Issuer, m.JTI))); ack.Duplicate || ack.Error != nil {
			a.t.Errorf("the honest message was answered with %+v", ack)
		}
		a.cu.expect(signal.Update, current)
	}, want: nothing("SDK", "the id is a hash of sender and a `jti` that nobody knows before it is sent; the honest message is stored and delivered", true, func(a *arena, x *peer) { x.behind() })}
}

// traced asks the broker to report the way of a message.
func traced() attack {
	return attack{id: "H18", what: "have the way of a message traced to another, or to oneself", do: func(a *arena, x *peer) {
		publish := func(dest, only string) {
			h := one("Nats-Trace-Dest", dest)
			if only != "" {
				h.Set("Nats-Trace-Only", only)
			}
			if err := x.nc.PublishMsg(&nats.Msg{Subject: subjects.Voice(mallory, "start"), Header: h, Data: []byte("traced")}); err != nil {
				a.t.Fatal(err)
			}
		}
		list := []string{"live." + subjects.Inbox(operator, "stop"), subjects.State(victims), subjects.InboxPrefix(mallory) + ".trace"}
		for _, dest := range list {
			publish(dest, "")
			publish(dest, "true")
		}
		if err := x.nc.Flush(); err != nil {
			a.t.Fatal(err)
		}
		for _, dest := range list {
			x.violated("publish", dest)
			x.violated("publish", dest)
		}
		x.behind()
		x.undisturbed()
	}, want: nothing(byBroker, "permissions violation for the destination: one may trace only to where one may publish, and may listen to none of that", true, func(*arena, *peer) {})}
}

// forgedDelivery sends a direct message with the headers of a delivered one.
func forgedDelivery() attack {
	return attack{id: "H19", what: "send an app a message with the headers of a delivered one", others: ofMallory(signal.Start), do: func(a *arena, x *peer) {
		app := a.peer(gazette)
		defer app.nc.Close()
		m := x.claims(signal.Start, "H19", "k")
		m.Recipient = identity.MustID(gazette)
		forged := one("Nats-Sequence", "99999999", "Nats-Last-Sequence", "5", "Nats-Time-Stamp", "2020-01-01T00:00:00Z", "Nats-Stream", "X", "Nats-Pin-Id", "p", "X", "x")
		x.request(subjects.Voice(mallory, "start"), x.sign(m), forged)
		got := app.raw()
		if got.Header.Get("Nats-Sequence") == "99999999" || got.Header.Get("Nats-Stream") != subjects.StreamOut || got.Header.Get("X") != "" ||
			got.Header.Get("Nats-Pin-Id") != "" || strings.HasPrefix(got.Header.Get("Nats-Time-Stamp"), "2020") || len(got.Header.Values("Nats-Sequence")) != 1 {
			a.t.Errorf("delivered with the headers %v", got.Header)
		}
	}, want: nothing(byWorker, "headers are not passed on: what is delivered has the broker's", true, func(*arena, *peer) {})}
}
