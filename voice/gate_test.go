package voice

import (
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

func TestGate(t *testing.T) {
	key, err := identity.GenerateKey("1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := identity.GenerateKey("1")
	if err != nil {
		t.Fatal(err)
	}
	proxy, at := identity.MustID("proxy"), time.Now()
	trusting := gate{self: identity.MustID(me)}
	wary := gate{self: identity.MustID(me), trusted: func(iss identity.ID) []identity.PublicKey {
		if iss == proxy {
			return []identity.PublicKey{key.Public()}
		}
		return nil
	}}
	type change func(*signal.Message, *raw)
	late := func(by time.Duration) change {
		return func(_ *signal.Message, r *raw) { r.at = at.Add(by) }
	}
	typ := func(typ signal.Type, then change) change {
		return func(m *signal.Message, r *raw) {
			m.Type, r.typ = typ, string(typ)
			then(m, r)
		}
	}
	tests := map[string]struct {
		gate   gate
		signer identity.PrivateKey
		change change
		ok     bool
	}{
		"good":                           {wary, key, func(*signal.Message, *raw) {}, true},
		"signed by another":              {wary, other, func(*signal.Message, *raw) {}, false},
		"signed by another, broker only": {trusting, other, func(*signal.Message, *raw) {}, true},
		"issuer without keys":            {wary, other, func(m *signal.Message, _ *raw) { m.Issuer = identity.Router }, true},
		"for another identity":           {trusting, key, func(m *signal.Message, _ *raw) { m.Recipient = proxy }, false},
		"type is not the subject's":      {trusting, key, func(m *signal.Message, _ *raw) { m.Type = signal.Stop }, false},
		"subject unknown":                {trusting, key, func(_ *signal.Message, r *raw) { r.typ = "" }, true},
		"not a JWS":                      {trusting, key, func(_ *signal.Message, r *raw) { r.payload = []byte("x") }, false},
		"a start in time":                {trusting, key, late(5 * time.Minute), true},
		"a start an hour late":           {trusting, key, late(time.Hour), false},
		"a stop an hour late":            {trusting, key, typ(signal.Stop, late(time.Hour)), true},
		"a start from the future":        {trusting, key, late(-time.Hour), false},
		"a stop from the future":         {trusting, key, typ(signal.Stop, late(-time.Hour)), false},
	}
	for name, test := range tests {
		m := signal.Message{
			Type: signal.Start, JTI: "j", Issuer: proxy, Recipient: identity.MustID(me),
			IssuedAt: at, ExpiresAt: at.Add(5 * time.Minute), CID: "cid", CallID: "c1",
		}
		r := raw{seq: 7, typ: "start", at: at}
		test.change(&m, &r)
		if r.payload == nil {
			claims, err := m.Encode()
			if err != nil {
				t.Fatal(err)
			}
			r.payload = test.signer.Sign(claims)
		}
		got, err := test.gate.admit(r)
		if (err == nil) != test.ok {
			t.Errorf("%s: got error %v, want accepted %v", name, err, test.ok)
		}
		if err == nil && (got.Seq != 7 || !got.Time.Equal(r.at) || got.CallID != "c1") {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// FuzzGate: whatever arrives is refused, or is a message for this identity that
// encodes again.
func FuzzGate(f *testing.F) {
	key, err := identity.GenerateKey("1")
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	claims, err := signal.Message{
		Type: signal.Start, JTI: "j", Issuer: identity.MustID("proxy"), Recipient: identity.MustID(me),
		IssuedAt: now, ExpiresAt: now, CID: "cid", CallID: "c1", Data: []byte(`{"party":"x"}`),
	}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(claims, true, "start")
	f.Add([]byte(`{"payload":"e30","protected":"e30","signature":""}`), false, "stop")
	f.Fuzz(func(t *testing.T, payload []byte, signed bool, typ string) {
		if signed {
			payload = key.Sign(payload)
		}
		g := gate{self: identity.MustID(me)}
		m, err := g.admit(raw{seq: 1, typ: typ, at: now, payload: payload})
		if err != nil {
			return
		}
		if _, err := m.Encode(); err != nil || m.Recipient != g.self || typ != "" && typ != string(m.Type) {
			t.Errorf("admitted %+v of subject type %q, which encodes with error %v", m, typ, err)
		}
		newFilter("x").judge(m)
	})
}

// TestGateUnsigned: what is not signed is handed over only to who asked for it.
func TestGateUnsigned(t *testing.T) {
	now := time.Now()
	claims, err := signal.Message{
		Type: signal.Stop, JTI: "j", Issuer: identity.MustID("proxy"), Recipient: identity.MustID(me),
		IssuedAt: now, ExpiresAt: now.Add(time.Minute), CID: "c", CallID: "k",
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	r := raw{typ: string(signal.Stop), at: now, payload: identity.Unsigned(claims)}
	for _, unsigned := range []bool{false, true} {
		g := gate{self: identity.MustID(me), unsigned: unsigned}
		if _, err := g.admit(r); (err == nil) != unsigned {
			t.Errorf("unsigned messages wanted %v: error %v", unsigned, err)
		}
	}
}
