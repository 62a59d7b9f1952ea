package security

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestReplay(t *testing.T) { play(t, newArena(t, nil), replayAttacks()) }

// again is an attack of somebody who gets at bytes that an identity has signed and
// sent, and at a connection of that identity: a stolen device, or a broker
// without permissions. The worker counts it as a repeat and does nothing.
func again(id, what string, between func(a *arena)) attack {
	return attack{id: id, what: what, as: mallory, insider: operator, talk: true, do: func(a *arena, _ *peer) {
		sent := a.op.say(signal.Update, victims, current, func(m *signal.Message) { m.PeerInfo = "honest" })
		a.cu.expect(signal.Update, current)
		if between != nil {
			between(a)
		}
		before, out := a.count("repeat", ""), a.sequences()[subjects.StreamOut]
		for range 3 { // no Nats-Msg-Id: the broker stores all
			a.store(subjects.Voice(operator, "update"), sent)
		}
		eventually(a.t, "counted as repeats", func() bool { return a.count("repeat", "") == before+3 })
		if got := a.sequences()[subjects.StreamOut]; got != out {
			a.t.Errorf("VOICE_OUT went from %d to %d", out, got)
		}
	}, want: nothing(byWorker, "counted as `repeat`; nothing is said, nothing is written", true, func(*arena, *peer) {})}
}

// captured is an attack with bytes that the operator has signed.
func captured(id, what string, typ signal.Type, code signal.Code, change func(a *arena, x *peer, m *signal.Message)) attack {
	return refused(id, what, typ, code, func(a *arena, x *peer) []byte {
		m := a.op.claims(typ, victims, current)
		if change != nil {
			change(a, x, &m)
		}
		return a.op.sign(m)
	})
}

func replayAttacks() []attack {
	return []attack{
		again("Y01", "replay what the operator sent a moment ago", nil),
		again("Y02", "replay it after the worker has been replaced", func(a *arena) {
			a.stop()
			a.work(nil)
		}),
		again("Y03", "replay it after worker and broker have been restarted", func(a *arena) { a.restart() }),
		dedupe(),
		captured("Y05", "replay it on one's own subject", signal.Stop, signal.CodeBadSignature, nil),
		captured("Y06", "replay a message of the operator to another recipient, on one's own subject", signal.Stop, signal.CodeBadSignature, func(_ *arena, _ *peer, m *signal.Message) {
			m.Recipient = identity.MustID(gazette)
		}),
		refused("Y07", "replay what a proxy said, on one's own subject", signal.Update, signal.CodeBadSignature, func(a *arena, _ *peer) []byte {
			a.op.say(signal.Update, victims, current, nil)
			return a.cu.raw().Data
		}).talking(),
		elsewhere("Y08", "change the `cid` of a signed message", func(m map[string]any) { m["cid"] = own }),
		elsewhere("Y09", "change the recipient of a signed message", func(m map[string]any) { m["sub"], m["aud"] = gazette, gazette }),
		otherType(),
		staleReplay(),
		ended(),
		appReplay(),
	}
}

func (k attack) talking() attack {
	k.talk = true
	return k
}

// restart ends worker and broker and starts them again with what they stored.
func (a *arena) restart() {
	a.t.Helper()
	a.stop()
	a.Shutdown()
	server, err := broker.Start(a.t.Context(), broker.Options{Config: a.config, Dir: a.dir})
	if err != nil {
		a.t.Fatal(err)
	}
	a.Server = server
	a.suite.Cleanup(server.Shutdown)
	a.suite.Cleanup(a.StartAuth(a.suite, nil))
	a.connect()
	for _, p := range []*peer{a.op, a.cu} {
		eventually(a.t, "connected again", p.nc.IsConnected)
		if err := p.nc.Flush(); err != nil {
			a.t.Fatal(err)
		}
	}
	a.work(nil)
}

// dedupe: within two minutes the broker itself recognises a message that carries
// its Nats-Msg-Id.
func dedupe() attack {
	return attack{id: "Y04", what: "replay it with its `Nats-Msg-Id`", insider: operator, talk: true, do: func(a *arena, _ *peer) {
		m := a.op.claims(signal.Update, victims, current)
		m.PeerInfo = "honest"
		data, id := a.op.sign(m), one(nats.MsgIdHdr, signal.MsgID(m.Issuer, m.JTI))
		a.op.request(subjects.Voice(operator, "update"), data, id)
		a.cu.expect(signal.Update, current)
		if ack := a.op.request(subjects.Voice(operator, "update"), data, id); !ack.Duplicate {
			a.t.Errorf("answer %+v, want a duplicate", ack)
		}
	}, want: nothing(byBroker, "answered as a duplicate, not stored again", true, func(*arena, *peer) {})}
}

// elsewhere changes claims of a message that the operator has signed; it is
// stored on the operator's subject past the broker.
func elsewhere(id, what string, change func(map[string]any)) attack {
	return stored(id, what, signal.Stop, signal.CodeBadSignature, func(a *arena) []byte {
		return resealed(a, a.op.sign(a.op.claims(signal.Stop, victims, current)), change)
	})
}

// stored is an attack on the operator's own subject, past the broker.
func stored(id, what string, typ signal.Type, code signal.Code, make func(a *arena) []byte) attack {
	return attack{id: id, what: what, insider: operator, talk: true, others: []string{subjects.Inbox(operator, "error")}, do: func(a *arena, _ *peer) {
		before := a.count("refused", code)
		data := make(a)
		a.store(subjects.Voice(operator, string(typ)), data)
		a.kept(code, operator, data)
		eventually(a.t, "counted", func() bool { return a.count("refused", code) == before+1 })
		if code != signal.CodeBadSignature {
			if f, _ := a.op.expect(signal.Error, current).Fault(); f.Code != code {
				a.t.Errorf("the operator is told %s, want %s", f.Code, code)
			}
		}
	}, want: nothing(byWorker, "refused with `"+string(code)+"`, kept and counted", true, func(*arena, *peer) {})}
}

func otherType() attack {
	return stored("Y10", "replay it under another type of the sender's subjects", signal.Stop, signal.CodeTypeMismatch, func(a *arena) []byte {
		return a.op.sign(a.op.claims(signal.Update, victims, current))
	})
}

func staleReplay() attack {
	return stored("Y11", "replay it minutes later", signal.Stop, signal.CodeStale, func(a *arena) []byte {
		m := a.op.claims(signal.Stop, victims, current)
		m.IssuedAt, m.ExpiresAt = time.Now().Add(-10*time.Minute), time.Now().Add(time.Hour)
		return a.op.sign(m)
	})
}

// ended replays the start of a call that is over.
func ended() attack {
	return attack{id: "Y12", what: "replay the start of a call that is over", insider: operator, talk: true, others: []string{subjects.Inbox(operator, "stop"), subjects.Inbox(customer, "start"), subjects.Voice(operator, "start"), subjects.Voice(customer, "stop")}, do: func(a *arena, _ *peer) {
		a.route("Y12", operator, customer, nil)
		start := a.op.say(signal.Start, "Y12", "e1", nil)
		a.cu.expect(signal.Start, "e1")
		a.cu.say(signal.Stop, "Y12", "e1", nil)
		a.op.expect(signal.Stop, "e1")
		before := a.count("repeat", "")
		a.store(subjects.Voice(operator, "start"), start)
		eventually(a.t, "counted as a repeat", func() bool { return a.count("repeat", "") == before+1 })
	}, want: nothing(byWorker, "counted as `repeat`; nobody's phone rings", true, func(*arena, *peer) {}), routes: true}
}

// appReplay: an app has what a user sent it in the user's own signature. It can
// take it nowhere.
func appReplay() attack {
	k := refused("Y13", "an app replays what a user signed for it, as its own", signal.Stop, signal.CodeBadSignature, func(a *arena, x *peer) []byte {
		u := a.peer(mallory)
		defer u.nc.Close()
		u.direct(gazette, signal.Stop, "Y13", "k")
		return x.raw().Data
	})
	k.as, k.others = gazette, ofMallory(signal.Stop)
	return k
}
