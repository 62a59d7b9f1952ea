package docs

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
)

func exampleKey(tb testing.TB) identity.PrivateKey {
	tb.Helper()
	var key identity.PrivateKey
	if err := key.UnmarshalJSON(example(tb, "key")); err != nil {
		tb.Fatal(err)
	}
	return key
}

// TestWorkedExample recomputes every intermediate of the worked example.
func TestWorkedExample(t *testing.T) {
	t.Parallel()
	equal := func(name, got string) {
		t.Helper()
		if want := string(example(t, name)); got != want {
			t.Errorf("example %q\nwant %s\ngot  %s", name, want, got)
		}
	}
	m, err := signal.Decode(example(t, "claims"))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	equal("claims", string(claims))

	message := exampleKey(t).Sign(claims)
	equal("message", string(message))
	var parts struct {
		Payload   string `json:"payload"`
		Protected string `json:"protected"`
		Signature string `json:"signature"`
	}
	if err := json.Unmarshal(message, &parts); err != nil {
		t.Fatal(err)
	}
	equal("payload", parts.Payload)
	equal("protected", parts.Protected)
	equal("signature", parts.Signature)
	header, err := base64.RawURLEncoding.DecodeString(parts.Protected)
	if err != nil {
		t.Fatal(err)
	}
	equal("header", string(header))
	if got := base64.RawURLEncoding.EncodeToString(example(t, "claims")); got != parts.Payload {
		t.Errorf("payload is not the base64url of the claims: got %s", got)
	}

	envelope, err := identity.ParseEnvelope(example(t, "message"))
	if err != nil {
		t.Fatal(err)
	}
	if err := envelope.Verify([]identity.PublicKey{exampleKey(t).Public()}); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(envelope.Payload, claims) {
		t.Errorf("envelope holds %s, want %s", envelope.Payload, claims)
	}
}

// TestDelivered decides on the worked example with the example of a route and
// compares what the customer receives.
func TestDelivered(t *testing.T) {
	t.Parallel()
	sent, err := signal.Decode(example(t, "claims"))
	if err != nil {
		t.Fatal(err)
	}
	received, err := signal.Decode(example(t, "delivered"))
	if err != nil {
		t.Fatal(err)
	}
	route, err := call.DecodeRoute(example(t, "route"))
	if err != nil {
		t.Fatal(err)
	}
	d := call.Decide(call.Policy{}, nil, call.Event{Msg: sent, At: sent.IssuedAt, Seq: 1, Delivery: 1, Route: &route})
	if len(d.Say) != 1 {
		t.Fatalf("want one message said, got %+v", d)
	}
	say := d.Say[0]
	if received.Issuer != route.Proxy || received.Recipient != say.To || received.Type != say.Type ||
		received.CID != sent.CID || received.CallID != say.CallID || received.PeerInfo != say.PeerInfo ||
		received.Party != "" || string(received.Data) != string(say.Data) {
		t.Errorf("want %+v\ngot  %+v", say, received)
	}
}

func TestErrorExample(t *testing.T) {
	t.Parallel()
	m, err := signal.Decode(example(t, "error"))
	if err != nil {
		t.Fatal(err)
	}
	fault, ok := m.Fault()
	if !ok || fault.Ref == "" {
		t.Fatalf("want the data of an error, got %s", m.Data)
	}
	if want := call.Detail(fault.Code); want == "" || fault.Detail != want {
		t.Errorf("detail: want %q, got %q", want, fault.Detail)
	}
}

// TestRecords decodes the examples of records and writes them again.
func TestRecords(t *testing.T) {
	t.Parallel()
	check := func(name string, encode func([]byte) ([]byte, error)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := example(t, name)
			out, err := encode(in)
			if err != nil {
				t.Fatal(err)
			}
			if want, got := canonical(t, in), canonical(t, out); want != got {
				t.Errorf("decoded and written again\nwant %s\ngot  %s", want, got)
			}
		})
	}
	check("route", func(b []byte) ([]byte, error) {
		r, err := call.DecodeRoute(b)
		if err != nil {
			return nil, err
		}
		return r.Encode()
	})
	check("identity", func(b []byte) ([]byte, error) {
		r, err := identity.DecodeRecord(b)
		if err != nil {
			return nil, err
		}
		return r.Encode()
	})
	check("state", func(b []byte) ([]byte, error) {
		s, err := call.DecodeState(b)
		if err != nil {
			return nil, err
		}
		return s.Encode()
	})
}

// TestRequests decodes the examples of requests and answers into the types that
// the router uses; members that these do not know are refused.
func TestRequests(t *testing.T) {
	t.Parallel()
	for name, into := range map[string]any{
		"sync request":    new(signal.SyncRequest),
		"sync response":   new(signal.SyncResponse),
		"create request":  new(router.CreateRequest),
		"create response": new(router.CreateResponse),
		"end request":     new(router.EndRequest),
		"end response":    new(router.EndResponse),
		"get request":     new(router.GetRequest),
		"list request":    new(router.ListRequest),
		"list response":   new(router.ListResponse),
		"verify request":  new(router.VerifyRequest),
		"verify response": new(router.VerifyResponse),
		"timer": new(struct {
			Version int    `json:"v"`
			CallID  string `json:"call_id"`
			Epoch   uint64 `json:"epoch"`
		}),
	} {
		in := example(t, name)
		if err := json.Unmarshal(in, into, json.RejectUnknownMembers(true)); err != nil {
			t.Errorf("example %q: %v", name, err)
			continue
		}
		out, err := json.Marshal(into)
		if err != nil {
			t.Fatal(err)
		}
		if want, got := canonical(t, in), canonical(t, out); want != got {
			t.Errorf("example %q decoded and written again\nwant %s\ngot  %s", name, want, got)
		}
	}
}

// TestSyncedMessages reads the messages in the example of a sync answer, which are
// signed with the key of the worked example.
func TestSyncedMessages(t *testing.T) {
	t.Parallel()
	var response signal.SyncResponse
	if err := json.Unmarshal(example(t, "sync response"), &response); err != nil {
		t.Fatal(err)
	}
	if len(response.Messages) == 0 {
		t.Fatal("want a message")
	}
	for _, synced := range response.Messages {
		envelope, err := identity.ParseEnvelope(synced.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := envelope.Verify([]identity.PublicKey{exampleKey(t).Public()}); err != nil {
			t.Error(err)
		}
		m, err := signal.Decode(envelope.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if want, got := synced.Type, string(m.Type); want != got {
			t.Errorf("type of message %d: want %s, got %s", synced.Seq, want, got)
		}
	}
}

// canonical returns a JSON text with its members in order and without space.
func canonical(tb testing.TB, text []byte) string {
	tb.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		tb.Fatal(err)
	}
	out, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}
