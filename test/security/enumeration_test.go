package security

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestEnumeration(t *testing.T) {
	a := newArena(t, nil)
	a.route("v-idle", operator, customer, nil) // as long as the names of the others
	a.route("v-oldr", operator, customer, nil)
	a.route("v-gazt", operator, customer, func(r *call.Route) { r.Proxy = identity.MustID(gazette) })
	a.op.say(signal.Start, "v-oldr", current, nil)
	a.cu.expect(signal.Start, current)
	a.cu.say(signal.Stop, "v-oldr", current, nil)
	a.op.expect(signal.Stop, current)
	play(t, a, enumerationAttacks())
}

// alike is an attack that asks about several things, of which some exist. The
// answers are the same in words and in size: only what the attacker wrote itself
// differs.
func alike(id, what string, typ signal.Type, code signal.Code, asks ...func(*signal.Message)) attack {
	return attack{id: id, what: what, do: func(a *arena, x *peer) {
		before := a.count("refused", code)
		var first map[string]any
		var size int
		for i, ask := range asks {
			m := x.claims(typ, "v-none", current)
			ask(&m)
			m.JTI = fmt.Sprintf("%032d", a.sent.Add(1))
			x.request(subjects.Voice(mallory, string(typ)), x.sign(m), nil)
			raw := x.raw()
			claims := map[string]any{}
			envelope, err := identity.ParseEnvelope(raw.Data)
			if err == nil {
				err = json.Unmarshal(envelope.Payload, &claims)
			}
			data, _ := claims["data"].(map[string]any)
			if err != nil || data["code"] != string(code) || data["ref"] != m.JTI {
				a.t.Fatalf("%d: answer %v, error %v, want %s", i, claims, err, code)
			}
			delete(data, "ref")
			for _, name := range []string{"jti", "iat", "exp", "cid", "call_id"} {
				delete(claims, name)
			}
			if i == 0 {
				first, size = claims, len(raw.Data)
			}
			if !reflect.DeepEqual(claims, first) || len(raw.Data) != size {
				a.t.Errorf("%d: %v in %d bytes, the first was %v in %d", i, claims, len(raw.Data), first, size)
			}
		}
		eventually(a.t, "counted", func() bool { return a.count("refused", code) == before+float64(len(asks)) })
	}, want: nothing(byWorker, "every time `"+string(code)+"`, in the same words and size, counted", true, func(_ *arena, x *peer) { x.told(code) })}
}

func about(cid string) func(*signal.Message) { return func(m *signal.Message) { m.CID = cid } }

func to(name string) func(*signal.Message) {
	return func(m *signal.Message) { m.Recipient = identity.MustID(name) }
}

func enumerationAttacks() []attack {
	var list []attack
	cids := []func(*signal.Message){about("v-none"), about("v-idle"), about("v-oldr"), about("v-gazt"), about(victims[:6])}
	for i, typ := range []signal.Type{signal.Start, signal.Ringing, signal.Accept, signal.Busy, signal.Stop, signal.Candidate, signal.Update, signal.Summary} {
		list = append(list, alike(fmt.Sprintf("E%02d", i+1), "find out which conversations exist with a "+string(typ), typ, signal.CodeUnknownCall, cids...))
	}
	return append(list,
		alike("E10", "find out which call is live on a conversation by its `call_id`", signal.Stop, signal.CodeUnknownCall,
			func(m *signal.Message) { m.CID, m.CallID = victims, current }, func(m *signal.Message) { m.CID, m.CallID = victims, "k2" },
			func(m *signal.Message) { m.CID, m.CallID = "victimX", current }),
		alike("E11", "find out which users exist by addressing them", signal.Start, signal.CodeForbidden,
			to(operator), to(customer), to(nobody), to(revoked), to("5555555556")),
		attack{
			id: "E12", what: "find out which apps exist by the durables that one may ask about", want: violation("publish",
				subjects.RequestConsumerInfo(subjects.StreamOut, subjects.AppConsumer(helpdesk)), subjects.RequestConsumerInfo(subjects.StreamOut, subjects.AppConsumer("noapp"))),
			do: func(a *arena, x *peer) {
				for _, name := range []string{helpdesk, "noapp"} {
					if err := x.nc.PublishRequest(subjects.RequestConsumerInfo(subjects.StreamOut, subjects.AppConsumer(name)), x.nc.NewInbox(), nil); err != nil {
						a.t.Fatal(err)
					}
				}
			},
		},
	)
}
