package security

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/tracing"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestMasking(t *testing.T) { play(t, newArena(t, withSpans), maskingAttacks()) }

// withSpans has the worker trace everything.
func withSpans(o *router.Options) { o.TracerProvider = sdktrace.NewTracerProvider() }

// ofOwn are the subjects of mallory's own conversation.
func ofOwn() (list []string) {
	for _, typ := range signal.Types() {
		t := string(typ)
		list = append(list, subjects.Voice(accomplice, t), subjects.Inbox(accomplice, t), subjects.Inbox(mallory, t))
	}
	return list
}

// smuggled is an attack that tries to get one's identity through the mask in a
// message of one's own call, written by change. keep says what the other side
// gets of data.
func smuggled(id, what, seen, keep string, typ signal.Type, change func(claims map[string]any)) attack {
	return attack{id: id, what: what, others: ofOwn(), routes: true, do: func(a *arena, x *peer) {
		a.route(id, mallory, accomplice, func(r *call.Route) { r.OperatorName, r.DataAllow = "Bob", []string{"ticket"} })
		other := a.peer(accomplice)
		defer other.nc.Close()
		x.say(signal.Start, id, "k", nil)
		other.expect(signal.Start, "k")
		other.say(signal.Accept, id, "k", nil)
		x.expect(signal.Accept, "k")
		m := x.claims(typ, id, "k")
		m.Data = []byte(`{}`)
		x.request(subjects.Voice(mallory, string(typ)), x.resigned(a, x.sign(m), change), nil)
		raw := other.raw()
		got := decode(a.t, raw.Data)
		if string(got.Data) != keep || got.Party != "" || got.Issuer.String() != proxy || got.Type != typ {
			a.t.Errorf("delivered %s of %s with %s, want %s", got.Type, got.Issuer, got.Data, keep)
		}
		a.verified(id, 0)
	}, want: nothing(byWorker, seen+"; `router call verify` finds nothing", true, func(*arena, *peer) {})}
}

// verified asks the routers to verify the mask of a conversation.
func (a *arena) verified(cid string, want int) (answer router.VerifyResponse) {
	a.t.Helper()
	body, err := json.Marshal(router.VerifyRequest{CID: cid})
	if err != nil {
		a.t.Fatal(err)
	}
	nc := a.Backend(a.t)
	defer nc.Close()
	reply, err := nc.Request(subjects.ServiceCallVerify, body, patience)
	if err == nil {
		err = json.Unmarshal(reply.Data, &answer)
	}
	if err != nil {
		a.t.Fatalf("verify %s: %v", cid, err)
	}
	if answer.Searched == 0 || len(answer.Findings) != want || answer.More {
		a.t.Errorf("verify %s: %+v, want %d findings", cid, answer, want)
	}
	return answer
}

func with(name string, value any) func(map[string]any) {
	return func(claims map[string]any) { claims[name] = value }
}

func maskingAttacks() []attack {
	me := map[string]any{"selfid": mallory, "from": mallory, "media": "audio", "Media": mallory, "MEDIA": mallory, "medi\u0430": mallory, "": mallory, "__proto__": mallory, "media.x": mallory}
	const stays, gone = `{"media":"audio","operator_name":"Bob"}`, "only allowed keys pass"
	return []attack{
		smuggled("M01", "bring one's identity along in keys of `data`", gone, stays, signal.Update, with("data", me)),
		smuggled("M02", "write another `operator_name` or a `customer_name`", "the route's name is what passes", stays, signal.Update,
			with("data", map[string]any{"media": "audio", "operator_name": mallory, "customer_name": mallory})),
		smuggled("M03", "bring one's identity along in claims of one's own", "claims that the router does not know end there", `{"operator_name":"Bob"}`, signal.Update, with("from", mallory)),
		smuggled("M04", "name one's device after oneself", "`party` does not pass", `{"operator_name":"Bob"}`, signal.Update, with("party", mallory)),
		smuggled("M05", "give one's identity as the `reason` of a stop", "a reason that is none is replaced", ``, signal.Stop, with("reason", mallory)),
		smuggled("M06", "let the `jti` carry it", "what a router says has a `jti` of its own", `{"operator_name":"Bob"}`, signal.Update, with("jti", "i-am-"+mallory)),
		traceHeaders(),
		wholeConversation(),
		findsLeaks(),
	}
}

// traceHeaders writes the identity of the sender into every header that carries a
// trace, in the trace of the call itself and in another, where the digits of an
// identity are as good as any.
func traceHeaders() attack {
	const id = "M07"
	return attack{id: id, what: "bring one's identity along in `traceparent`, `tracestate` or `baggage`", others: ofOwn(), routes: true, do: func(a *arena, x *peer) {
		a.route(id, mallory, accomplice, nil)
		other := a.peer(accomplice)
		defer other.nc.Close()
		x.say(signal.Start, id, "k", nil)
		other.expect(signal.Start, "k")
		ofCall := tracing.TraceID(id, "k").String()
		span := "000000" + mallory
		for _, h := range []nats.Header{
			one("traceparent", "00-0000000000000000000000"+mallory+"-"+span+"-01", "tracestate", "me="+mallory, "baggage", "user="+mallory),
			one("Traceparent", "00-"+ofCall+"-"+span+"-01", "Tracestate", mallory+"=1", "Baggage", mallory+"=1"),
			one("TRACEPARENT", "00-"+ofCall+"-"+span+"-00", "b3", mallory, "uber-trace-id", mallory, "X-Request-Id", mallory),
		} {
			m := x.claims(signal.Candidate, id, "k")
			m.PeerInfo = "candidate"
			x.request(subjects.Voice(mallory, "candidate"), x.sign(m), h)
			got := other.raw()
			for name, values := range got.Header {
				if text := strings.Join(values, " "); strings.Contains(text, mallory) || !strings.HasPrefix(name, "Nats-") && name != tracing.Header {
					a.t.Errorf("delivered with the header %s: %s", name, text)
				}
			}
			if !strings.HasPrefix(got.Header.Get(tracing.Header), "00-"+ofCall+"-") {
				a.t.Errorf("delivered in the trace %q, want that of the call, %s", got.Header.Get(tracing.Header), ofCall)
			}
		}
		a.verified(id, 0)
	}, want: nothing(byWorker, "what is delivered is in the trace that follows from `cid` and `call_id`, behind a span of the worker's; no other header passes", true, func(*arena, *peer) {})}
}

// wholeConversation plays a call with everything that the protocol knows, between
// the victims, and has it verified.
func wholeConversation() attack {
	k := attack{id: "M10", what: "read one's whole inbox of a conversation for the other side, after all types both ways, glare, refusals and a restart of the worker", insider: operator, talk: true, routes: true}
	for _, typ := range signal.Types() {
		for _, name := range []string{operator, customer} {
			k.others = append(k.others, subjects.Voice(name, string(typ)), subjects.Inbox(name, string(typ)))
		}
	}
	k.do = func(a *arena, _ *peer) {
		a.route("M10", operator, customer, func(r *call.Route) { r.OperatorName, r.CustomerName = "Bob", "Ada" })
		full := func(m *signal.Message) { m.PeerInfo, m.Data, m.Party = "v=0", []byte(`{"media":"audio"}`), "desk" }
		drain := func(p *peer, typ signal.Type, callID string) {
			for {
				if m := p.next(); m.Type == typ && m.CallID == callID {
					return
				}
			}
		}
		a.op.say(signal.Start, "M10", "m1", full)
		drain(a.cu, signal.Start, "m1")
		a.cu.say(signal.Start, "M10", "m0", full) // glare: m0 wins
		drain(a.op, signal.Start, "m0")
		a.op.say(signal.Ringing, "M10", "m0", full)
		drain(a.cu, signal.Ringing, "m0")
		a.op.say(signal.Accept, "M10", "m0", full)
		drain(a.cu, signal.Accept, "m0")
		for _, typ := range []signal.Type{signal.Candidate, signal.Update} {
			a.op.say(typ, "M10", "m0", full)
			drain(a.cu, typ, "m0")
			a.cu.say(typ, "M10", "m0", full)
			drain(a.op, typ, "m0")
		}
		a.op.say(signal.Start, "M10", "m3", full) // refused
		drain(a.op, signal.Stop, "m3")
		a.stop()
		a.work(withSpans)
		a.cu.say(signal.Stop, "M10", "m0", full)
		drain(a.op, signal.Stop, "m0")
		a.op.say(signal.Summary, "M10", "m0", full)
		drain(a.cu, signal.Summary, "m0")
		if answer := a.verified("M10", 0); answer.Searched < 12 {
			a.t.Errorf("%d messages were searched, want all", answer.Searched)
		}
	}
	k.want = nothing(byWorker, "no subject, header or claim names the other side", true, func(*arena, *peer) {})
	return k
}

// findsLeaks: a leak that clients make themselves, and one that somebody with the
// workers' credential makes, are found.
func findsLeaks() attack {
	return attack{id: "M11", what: "say who one is in `peer_info`, which is the clients' affair", others: ofOwn(), routes: true, do: func(a *arena, x *peer) {
		a.route("M11", mallory, accomplice, nil)
		other := a.peer(accomplice)
		defer other.nc.Close()
		x.say(signal.Start, "M11", "k", func(m *signal.Message) { m.PeerInfo = "o=" + mallory + " 0 0 IN IP4 0.0.0.0" })
		other.expect(signal.Start, "k")
		other.say(signal.Busy, "M11", "k", nil)
		x.expect(signal.Busy, "k")
		f := a.verified("M11", 1).Findings
		if len(f) == 1 && (f[0].Where != "claims.peer_info" || f[0].Reader != "customer" || f[0].Names != "operator") {
			a.t.Errorf("found %+v", f[0])
		}
		now := x.claims(signal.Stop, "M11", "k")
		now.JTI = "leak"
		now.Issuer, now.Recipient = identity.MustID(proxy), other.id.ID
		leak := a.Get(a.t, proxy).Key.Sign(reclaim(a, now, with("said_by", map[string]any{"who": []string{mallory}})))
		a.store(subjects.Inbox(accomplice, "stop"), leak)
		other.expect(signal.Stop, "k")
		f = a.verified("M11", 2).Findings
		if len(f) == 2 && f[1].Where != "claims.said_by.who" {
			a.t.Errorf("found %+v", f[1])
		}
	}, want: nothing("nobody", "not stopped; `router call verify` names message, reader and place", true, func(*arena, *peer) {})}
}

func reclaim(a *arena, m signal.Message, change func(map[string]any)) []byte {
	a.t.Helper()
	claims := map[string]any{}
	payload, err := m.Encode()
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	change(claims)
	out, err2 := json.Marshal(claims)
	if err != nil || err2 != nil {
		a.t.Fatal(err, err2)
	}
	return out
}
