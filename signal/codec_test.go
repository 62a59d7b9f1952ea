package signal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

// object is a set of claims to be changed; null values stay, absent ones go.
type object map[string]any

// absent removes a claim.
var absent = new(struct{})

// payload returns the claims of a valid start after changes.
func payload(t testing.TB, changes object) []byte {
	t.Helper()
	claims := object{
		"typ": "chat.voice.start", "jti": "j1", "iss": "1112223334", "sub": "proxy",
		"iat": "2026-11-23T12:00:00Z", "exp": "2026-11-23T12:05:00Z",
		"cid": "c1", "call_id": "k1", "peer_info": "offer",
	}
	for name, v := range changes {
		if v == any(absent) {
			delete(claims, name)
		} else {
			claims[name] = v
		}
	}
	data, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// message is what payload without changes says.
func message() signal.Message {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return signal.Message{
		Type: signal.Start, JTI: "j1", Issuer: identity.MustID("1112223334"), Recipient: identity.MustID("proxy"),
		IssuedAt: at, ExpiresAt: at.Add(5 * time.Minute), CID: "c1", CallID: "k1", PeerInfo: "offer",
	}
}

var equal = cmp.Comparer(func(a, b identity.ID) bool { return a == b })

func TestDecodeTolerates(t *testing.T) {
	noon := message().IssuedAt
	for _, tc := range []struct {
		name    string
		changes object
		want    func(*signal.Message)
	}{
		{"no aud, as TypeScript writes", nil, func(*signal.Message) {}},
		{"aud equal to sub", object{"aud": "proxy"}, func(*signal.Message) {}},
		{"empty aud", object{"aud": ""}, func(*signal.Message) {}},
		{"no data, as Ruby writes", object{"typ": "chat.voice.accept"}, func(m *signal.Message) { m.Type = signal.Accept }},
		{"data null", object{"data": nil}, func(*signal.Message) {}},
		{"data", object{"data": object{"media": "audio"}}, func(m *signal.Message) { m.Data = jsontext.Value(`{"media":"audio"}`) }},
		{"empty data", object{"data": object{}}, func(m *signal.Message) { m.Data = jsontext.Value(`{}`) }},
		{"integer times", object{"iat": noon.Unix(), "exp": noon.Unix() + 60}, func(m *signal.Message) { m.ExpiresAt = noon.Add(time.Minute) }},
		{"local offset, as Go writes", object{"iat": "2026-11-23T14:00:00+02:00", "exp": "2026-11-23T06:35:00-05:30"}, func(*signal.Message) {}},
		{"fractions", object{"iat": "2026-11-23T12:00:00.123456789Z"}, func(m *signal.Message) { m.IssuedAt = noon.Add(123 * time.Millisecond) }},
		{"five hours", object{"exp": "2026-11-23T17:00:00Z"}, func(m *signal.Message) { m.ExpiresAt = noon.Add(5 * time.Hour) }},
		{"exp before iat", object{"exp": "2026-11-23T11:00:00Z"}, func(m *signal.Message) { m.ExpiresAt = noon.Add(-time.Hour) }},
		{"unknown claims", object{"gid": "g", "nbf": object{"x": []int{1}}, "TYP": 1}, func(*signal.Message) {}},
		{"party and reason", object{"typ": "chat.voice.stop", "party": "desk.~1", "reason": "ice_failed"}, func(m *signal.Message) {
			m.Type, m.Party, m.Reason = signal.Stop, "desk.~1", signal.ICEFailed
		}},
		{"unknown reason", object{"typ": "chat.voice.stop", "reason": "went home"}, func(m *signal.Message) {
			m.Type, m.Reason = signal.Stop, "went home"
		}},
		{"empty peer_info", object{"peer_info": ""}, func(m *signal.Message) { m.PeerInfo = "" }},
		{"setup without call_id", object{"typ": "chat.voice.setup", "call_id": absent}, func(m *signal.Message) { m.Type, m.CallID = signal.Setup, "" }},
		{"error without call", object{"typ": "chat.voice.error", "call_id": absent, "cid": absent}, func(m *signal.Message) {
			m.Type, m.CallID, m.CID = signal.Error, "", ""
		}},
		{"last second", object{"exp": "9999-12-31T23:59:59.999Z"}, func(m *signal.Message) {
			m.ExpiresAt = time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)
		}},
		{"the epoch", object{"iat": 0}, func(m *signal.Message) { m.IssuedAt = time.Unix(0, 0).UTC() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := signal.Decode(payload(t, tc.changes))
			if err != nil {
				t.Fatal(err)
			}
			want := message()
			tc.want(&want)
			if diff := cmp.Diff(want, got, equal); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
		})
	}
}

// deep returns an object that is nested n deep.
func deep(n int) jsontext.Value {
	return jsontext.Value(`{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`)
}

// sized returns an object of n bytes.
func sized(n int) jsontext.Value {
	return jsontext.Value(`{"a":"` + strings.Repeat("x", n-8) + `"}`)
}

func TestDecodeRefuses(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, tc := range []struct {
		claim   string // named by the detail
		changes object
		code    signal.Code
	}{
		{"typ", object{"typ": absent}, signal.CodeBadClaims},
		{"typ", object{"typ": "start"}, signal.CodeBadClaims},
		{"typ", object{"typ": "chat.voice."}, signal.CodeBadClaims},
		{"typ", object{"typ": "chat.voice.dance"}, signal.CodeBadClaims},
		{"typ", object{"typ": "chat.voice.Start"}, signal.CodeBadClaims},
		{"typ", object{"typ": "chat.message"}, signal.CodeBadClaims},
		{"typ", object{"typ": 5}, signal.CodeBadClaims},
		{"jti", object{"jti": absent}, signal.CodeBadClaims},
		{"jti", object{"jti": ""}, signal.CodeBadClaims},
		{"jti", object{"jti": "a b"}, signal.CodeBadClaims},
		{"jti", object{"jti": "a\x00"}, signal.CodeBadClaims},
		{"jti", object{"jti": "ä"}, signal.CodeBadClaims},
		{"jti", object{"jti": 7}, signal.CodeBadClaims},
		{"jti", object{"jti": long(signal.MaxJTI + 1)}, signal.CodeOversized},
		{"iss", object{"iss": absent}, signal.CodeBadClaims},
		{"iss", object{"iss": "*"}, signal.CodeBadClaims},
		{"iss", object{"iss": 1112223334}, signal.CodeBadClaims},
		{"iss", object{"iss": long(65)}, signal.CodeBadClaims},
		{"sub", object{"sub": absent}, signal.CodeBadClaims},
		{"sub", object{"sub": "a.b"}, signal.CodeBadClaims},
		{"sub", object{"sub": []string{"proxy"}}, signal.CodeBadClaims},
		{"aud", object{"aud": "other"}, signal.CodeBadAudience},
		{"aud", object{"aud": []string{"proxy"}}, signal.CodeBadClaims},
		{"iat", object{"iat": absent}, signal.CodeBadClaims},
		{"iat", object{"iat": nil}, signal.CodeBadClaims},
		{"iat", object{"iat": "yesterday"}, signal.CodeBadClaims},
		{"iat", object{"iat": "2026-11-23 12:00:00"}, signal.CodeBadClaims},
		{"iat", object{"iat": "1770000000"}, signal.CodeBadClaims},
		{"iat", object{"iat": 1.5}, signal.CodeBadClaims},
		{"iat", object{"iat": -1}, signal.CodeBadClaims},
		{"iat", object{"iat": json.RawMessage("1e400")}, signal.CodeBadClaims},
		{"iat", object{"iat": json.RawMessage("9223372036854775807")}, signal.CodeBadClaims},
		{"iat", object{"iat": json.RawMessage("9223372036854775808")}, signal.CodeBadClaims},
		{"iat", object{"iat": true}, signal.CodeBadClaims},
		{"iat", object{"iat": "1970-01-01T00:00:00+01:00"}, signal.CodeBadClaims},
		{"exp", object{"exp": absent}, signal.CodeBadClaims},
		{"exp", object{"exp": "0000-01-01T00:00:00Z"}, signal.CodeBadClaims},
		{"exp", object{"exp": "9999-12-31T23:59:59-01:00"}, signal.CodeBadClaims},
		{"exp", object{"exp": object{}}, signal.CodeBadClaims},
		{"cid", object{"cid": absent}, signal.CodeBadClaims},
		{"cid", object{"cid": "a.b"}, signal.CodeBadClaims},
		{"cid", object{"cid": "a~b"}, signal.CodeBadClaims},
		{"cid", object{"cid": "*"}, signal.CodeBadClaims},
		{"cid", object{"cid": long(129)}, signal.CodeBadClaims},
		{"cid", object{"cid": 1}, signal.CodeBadClaims},
		{"cid", object{"typ": "chat.voice.error", "cid": "a b"}, signal.CodeBadClaims},
		{"call_id", object{"call_id": absent}, signal.CodeBadClaims},
		{"call_id", object{"call_id": "a b"}, signal.CodeBadClaims},
		{"call_id", object{"call_id": long(129)}, signal.CodeBadClaims},
		{"call_id", object{"typ": "chat.voice.summary", "call_id": ""}, signal.CodeBadClaims},
		{"peer_info", object{"peer_info": long(signal.MaxPeerInfo + 1)}, signal.CodeOversized},
		{"peer_info", object{"peer_info": object{"sdp": "x"}}, signal.CodeBadClaims},
		{"data", object{"data": "x"}, signal.CodeBadClaims},
		{"data", object{"data": []int{}}, signal.CodeBadClaims},
		{"data", object{"data": 0}, signal.CodeBadClaims},
		{"data", object{"data": false}, signal.CodeBadClaims},
		{"data", object{"data": json.RawMessage(sized(signal.MaxData + 1))}, signal.CodeOversized},
		{"data", object{"data": json.RawMessage(deep(signal.MaxDataDepth + 1))}, signal.CodeOversized},
		{"party", object{"party": "a b"}, signal.CodeBadClaims},
		{"party", object{"party": long(65)}, signal.CodeBadClaims},
		{"party", object{"party": 1}, signal.CodeBadClaims},
		{"reason", object{"reason": long(signal.MaxReason + 1)}, signal.CodeOversized},
		{"reason", object{"reason": 1}, signal.CodeBadClaims},
	} {
		t.Run(fmt.Sprintf("%s %.40v", tc.claim, tc.changes), func(t *testing.T) {
			m, err := signal.Decode(payload(t, tc.changes))
			wantRefusal(t, err, tc.code, tc.claim)
			if !cmp.Equal(m, signal.Message{}, equal) {
				t.Errorf("a message came with the error: %+v", m)
			}
		})
	}
}

// wantRefusal checks that err is a refusal with this code that names the claim.
func wantRefusal(t testing.TB, err error, code signal.Code, claim string) {
	t.Helper()
	var refusal *signal.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("error %v is no refusal, want %s", err, code)
	}
	if refusal.Code != code || !strings.Contains(refusal.Detail, claim) {
		t.Errorf("refused with %s: %q, want %s and the claim %s", refusal.Code, refusal.Detail, code, claim)
	}
}

func TestDecodeRefusesJSON(t *testing.T) {
	good := string(payload(t, nil))
	for name, text := range map[string]string{
		"empty":               "",
		"null":                "null",
		"array":               "[" + good + "]",
		"string":              `"x"`,
		"cut off":             good[:len(good)-1],
		"trailing":            good + "x",
		"two objects":         good + good,
		"duplicate claim":     strings.Replace(good, "{", `{"cid":"c2",`, 1),
		"escaped duplicate":   strings.Replace(good, "{", `{"ci\u0064":"c2",`, 1),
		"duplicate in data":   strings.Replace(good, "{", `{"data":{"a":1,"a":2},`, 1),
		"duplicate unknown":   strings.Replace(good, "{", `{"x":1,"x":1,`, 1),
		"invalid UTF-8":       strings.Replace(good, "offer", "of\xfffer", 1),
		"overlong UTF-8":      strings.Replace(good, "offer", "\xc0\xaf", 1),
		"unpaired surrogate":  strings.Replace(good, "offer", `\udc00`, 1),
		"invalid UTF-8 name":  strings.Replace(good, "{", "{\"\xff\":1,", 1),
		"deep":                strings.Replace(good, "{", `{"x":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+`,`, 1),
		"deep and unbalanced": strings.Repeat(`{"data":`, 20000),
		"JavaScript":          "{typ:'chat.voice.start'}",
		"comment":             good + "// x",
		"NaN":                 strings.Replace(good, `"offer"`, "NaN", 1),
	} {
		_, err := signal.Decode([]byte(text))
		var refusal *signal.Refusal
		if !errors.As(err, &refusal) || refusal.Code != signal.CodeBadClaims {
			t.Errorf("%s: error %v, want bad_claims", name, err)
		}
	}
}

// TestDecodeQuotesNothing: details go into headers and logs; claims are private.
func TestDecodeQuotesNothing(t *testing.T) {
	const secret = "SECRETSECRET"
	for _, changes := range []object{
		{"typ": secret},
		{"jti": secret + " "},
		{"iss": secret + "."},
		{"sub": secret + "."},
		{"aud": secret},
		{"iat": secret},
		{"cid": secret + "."},
		{"call_id": secret + " "},
		{"party": secret + " "},
		{"data": secret},
		{"peer_info": []string{secret}},
		{"data": json.RawMessage(`{"` + secret + `":1,"` + secret + `":1}`)},
		{"peer_info": object{secret: 1}},
	} {
		_, err := signal.Decode(payload(t, changes))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%v: error %v, want one without the content", changes, err)
		}
	}
}
