package signal_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

func TestLimits(t *testing.T) {
	for name, change := range map[string]func(*signal.Message){
		"jti":       func(m *signal.Message) { m.JTI = strings.Repeat("j", signal.MaxJTI) },
		"cid":       func(m *signal.Message) { m.CID = strings.Repeat("c", 128) },
		"call_id":   func(m *signal.Message) { m.CallID = strings.Repeat("~", 128) },
		"party":     func(m *signal.Message) { m.Party = strings.Repeat(".", 64) },
		"peer_info": func(m *signal.Message) { m.PeerInfo = strings.Repeat("ä", signal.MaxPeerInfo/2) },
		"data":      func(m *signal.Message) { m.Data = sized(signal.MaxData) },
		"depth":     func(m *signal.Message) { m.Data = deep(signal.MaxDataDepth) },
		"depth of text": func(m *signal.Message) {
			m.Data = jsontext.Value(`{"a":"` + strings.Repeat(`[{\"`, 50) + `"}`)
		},
		"reason": func(m *signal.Message) { m.Reason = signal.Reason(strings.Repeat("r", signal.MaxReason)) },
	} {
		t.Run(name, func(t *testing.T) {
			m := message()
			change(&m)
			data, err := m.Encode()
			if err != nil {
				t.Fatal(err)
			}
			got, err := signal.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, got, equal); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEncode(t *testing.T) {
	m := message()
	m.Data, m.Party = jsontext.Value(`{"media":"audio"}`), "desk"
	m.IssuedAt = m.IssuedAt.In(time.FixedZone("somewhere", 3600)).Add(1500 * time.Microsecond)
	got, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"typ":"chat.voice.start","jti":"j1","iss":"1112223334","sub":"proxy","aud":"proxy",` +
		`"iat":"2026-11-23T12:00:00.001Z","exp":"2026-11-23T12:05:00.000Z",` +
		`"cid":"c1","call_id":"k1","peer_info":"offer","data":{"media":"audio"},"party":"desk"}`
	if string(got) != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

// TestEncodeRefuses: a program cannot send what nobody would accept.
func TestEncodeRefuses(t *testing.T) {
	for claim, change := range map[string]func(*signal.Message){
		"typ":       func(m *signal.Message) { m.Type = "dance" },
		"jti":       func(m *signal.Message) { m.JTI = "" },
		"iss":       func(m *signal.Message) { m.Issuer = identity.ID{} },
		"sub":       func(m *signal.Message) { m.Recipient = identity.ID{} },
		"iat":       func(m *signal.Message) { m.IssuedAt = time.Time{} },
		"exp":       func(m *signal.Message) { m.ExpiresAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"cid":       func(m *signal.Message) { m.CID = "a.b" },
		"call_id":   func(m *signal.Message) { m.CallID = "" },
		"party":     func(m *signal.Message) { m.Party = " " },
		"peer_info": func(m *signal.Message) { m.PeerInfo = strings.Repeat("x", signal.MaxPeerInfo+1) },
		"data":      func(m *signal.Message) { m.Data = jsontext.Value(`[]`) },
		"reason":    func(m *signal.Message) { m.Reason = signal.Reason(strings.Repeat("x", signal.MaxReason+1)) },
	} {
		m := message()
		change(&m)
		data, err := m.Encode()
		var refusal *signal.Refusal
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Detail, claim) || data != nil {
			t.Errorf("%s: encoded %s, error %v, want a refusal that names it", claim, data, err)
		}
	}
	for name, change := range map[string]func(*signal.Message){
		"invalid UTF-8":  func(m *signal.Message) { m.PeerInfo = "\xff" },
		"cut off data":   func(m *signal.Message) { m.Data = jsontext.Value(`{"a":`) },
		"duplicate data": func(m *signal.Message) { m.Data = jsontext.Value(`{"a":1,"a":2}`) },
		"unpaired data":  func(m *signal.Message) { m.Data = jsontext.Value("{\"a\":\"\xff\"}") },
		"two of data":    func(m *signal.Message) { m.Data = jsontext.Value(`{} {}`) },
	} {
		m := message()
		change(&m)
		if data, err := m.Encode(); err == nil {
			t.Errorf("%s: encoded %s, want a refusal", name, data)
		}
	}
}

// TestEncodedSize: the size of a message depends on its content, not on the
// moment at which it was made.
func TestEncodedSize(t *testing.T) {
	size := -1
	for _, offset := range []time.Duration{0, time.Microsecond, time.Millisecond, 10 * time.Millisecond, 120 * time.Millisecond, time.Second} {
		m := message()
		m.IssuedAt = m.IssuedAt.Add(offset)
		data, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if size >= 0 && len(data) != size {
			t.Errorf("%d bytes at %v, %d at other times", len(data), offset, size)
		}
		size = len(data)
	}
}
