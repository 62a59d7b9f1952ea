package call

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
)

const goodRoute = `{"proxy":"helpdesk","customer":"1111111111","operator":"1112223334","operator_name":"Bob","start":"both","data_allow":["note"],"expires_at":"2026-03-01T10:00:00+01:00"}`

func TestDecodeRoute(t *testing.T) {
	t.Parallel()
	r, err := DecodeRoute([]byte(goodRoute))
	if err != nil {
		t.Fatal(err)
	}
	want := Route{
		Proxy: proxy, Customer: customer, Operator: operator, OperatorName: "Bob",
		Start: StartBoth, DataAllow: []string{"note"}, ExpiresAt: epoch0,
	}
	if diff := cmp.Diff(want, r, cmp.Comparer(sameID)); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
	if _, err := DecodeRoute([]byte(strings.Replace(goodRoute, "{", `{"newer":[1],`, 1))); err != nil {
		t.Errorf("unknown member: %v", err)
	}
}

func TestDecodeRouteBroken(t *testing.T) {
	t.Parallel()
	none, all := Route{}, Route{Proxy: proxy, Customer: customer, Operator: operator}
	for name, c := range map[string]struct {
		old, new, mention string
		sides             Route
	}{
		"not JSON":             {`{"proxy"`, `{proxy`, "byte 1", none},
		"not an object":        {goodRoute, `[]`, "wrong|want", none},
		"duplicate member":     {`"start":"both"`, `"proxy":"helpdesk"`, "byte", none},
		"invalid UTF-8":        {"Bob", "\xff", "byte", none},
		"proxy missing":        {`"proxy":"helpdesk",`, ``, "proxy", Route{Customer: customer, Operator: operator}},
		"customer null":        {`"1111111111"`, `null`, "customer", Route{Proxy: proxy, Operator: operator}},
		"operator a number":    {`"1112223334"`, `5`, "operator", Route{Proxy: proxy, Customer: customer}},
		"operator no identity": {`1112223334`, `a.b`, "operator", Route{Proxy: proxy, Customer: customer}},
		"sides equal":          {`1112223334`, `1111111111`, "same", Route{Proxy: proxy, Customer: customer, Operator: customer}},
		"proxy is operator":    {`helpdesk`, `1112223334`, "proxy", Route{Proxy: operator, Customer: customer, Operator: operator}},
		"start":                {`"both"`, `"customer"`, "start", all},
		"start of wrong type":  {`"both"`, `true`, "start", all},
		"name too long":        {"Bob", strings.Repeat("b", MaxName+1), "operator_name", all},
		"customer name too long": {
			`"start"`, `"customer_name":"` + strings.Repeat("b", MaxName+1) + `","start"`, "customer_name", all,
		},
		"data_allow empty key":     {`"note"`, `""`, "data_allow", all},
		"data_allow long key":      {`note`, strings.Repeat("n", MaxDataKey+1), "data_allow", all},
		"data_allow too many keys": {`"note"`, `"n"` + strings.Repeat(`,"n"`, MaxDataAllow), "data_allow", all},
		"expires_at":               {`2026-03-01T10:00:00+01:00`, `tomorrow`, "expires_at", all},
		"expires_at long ago":      {`2026`, `0026`, "expires_at", all},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := DecodeRoute([]byte(strings.Replace(goodRoute, c.old, c.new, 1)))
			if !errors.Is(err, ErrRoute) || !mentions(err, c.mention) {
				t.Errorf("want ErrRoute that mentions %q, got %v", c.mention, err)
			}
			if diff := cmp.Diff(c.sides, got, cmp.Comparer(sameID)); diff != "" {
				t.Errorf("sides: want - got +:\n%s", diff)
			}
		})
	}
}

func mentions(err error, any string) bool {
	for word := range strings.SplitSeq(any, "|") {
		if err != nil && strings.Contains(err.Error(), word) {
			return true
		}
	}
	return false
}

func TestEncodeRouteValidates(t *testing.T) {
	t.Parallel()
	r := testRoute()
	r.Customer = r.Operator
	if _, err := r.Encode(); !errors.Is(err, ErrRoute) {
		t.Errorf("want ErrRoute, got %v", err)
	}
	r = testRoute()
	r.OperatorName = "\xff"
	if _, err := r.Encode(); !errors.Is(err, ErrRoute) {
		t.Errorf("want ErrRoute, got %v", err)
	}
}

// goodState returns the record of an active call with everything in it.
func goodState(t testing.TB) *State {
	t.Helper()
	s := newScript(t)
	s.play("route name=Bob allow=note")
	for line := range strings.SplitSeq(inNextCall+"; customer/k1 ringing n; customer/k2 ringing n; customer/k2 busy n; customer/k1 accept n", ";") {
		s.play(line)
	}
	return s.state
}

func TestStateRecord(t *testing.T) {
	t.Parallel()
	b, err := goodState(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"v":1,"mode":"masked","state":"active","cid":"cid1","call_id":"n","proxy":"helpdesk",` +
		`"customer":"1111111111","operator":"1112223334","operator_name":"Bob","start":"both","data_allow":["note"],` +
		`"caller":"1112223334","caller_party":"o1","offer":"8G99hzYw0Z6TyKOD","parties":[{"name":"k1"},{"name":"k2","busy":true}],"winner":"k1",` +
		`"started_at":"2026-03-01T09:00:03Z","ringing_at":"2026-03-01T09:00:04Z","answered_at":"2026-03-01T09:00:07Z",` +
		`"deadline":"2026-03-01T13:00:07Z","epoch":3,"past":[{"call_id":"m","reason":"cancelled","at":"2026-03-01T09:00:02Z"}],` +
		`"applied":["ANbOfiynTrc.1.mm7iri3s","9cLQU2Yu6PI.2.mm7irivk","YNDtuCjWzi8.3.mm7irjnc","V7STkUSpCBU.4.mm7irkf4","1Sy5BehNK4k.5.mm7irl6w","oM08wZmi8Ag.6.mm7irlyo","nQBSi_4RyK0.7.mm7irmqg"],` +
		`"last":{"type":"accept","from":"1111111111","party":"k1","call_id":"n","at":"2026-03-01T09:00:07Z"}}`
	if string(b) != want {
		t.Errorf("the record has changed: routers of two versions share it\nwant %s\ngot  %s", want, b)
	}
}

// TestUnknownMembersSurvive: what a later release writes into a record without
// raising the version lives through every decision of this one.
func TestUnknownMembersSurvive(t *testing.T) {
	t.Parallel()
	b, err := goodState(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	const later = `"later":{"a":[1,2.50,"é"]}`
	read, err := DecodeState([]byte(strings.Replace(string(b), `{"v":1,`, `{"v":1,`+later+`,`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(t)
	s.state, s.at, s.seq = &read, epoch0.Add(time.Minute), 100
	s.play("operator/o1 stop n")
	s.play("route name=Bob allow=note")
	s.play("operator/o1 start o")
	again, err := s.state.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if s.state.CallID != "o" || !strings.Contains(string(again), later) {
		t.Errorf("want %s in the record of the next call, got %s", later, again)
	}
}

func TestDecodeStateBroken(t *testing.T) {
	t.Parallel()
	good, err := goodState(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, new string
		want     error
	}{
		"not JSON":            {`{"v"`, `{v`, ErrState},
		"newer":               {`"v":1`, `"v":2`, ErrNewerVersion},
		"newer and different": {`"v":1,"mode":"masked"`, `"v":2,"mode":{}`, ErrNewerVersion},
		"older":               {`"v":1`, `"v":0`, ErrState},
		"mode":                {`masked`, `veiled`, ErrState},
		"direct and active":   {`masked`, `direct`, ErrState},
		"state":               {`"active"`, `"held"`, ErrState},
		"none with call_id":   {`"active"`, `"none"`, ErrState},
		"ended, no reason":    {`"active"`, `"ended"`, ErrState},
		"cid":                 {`cid1`, `cid 1`, ErrState},
		"call_id":             {`"call_id":"n"`, `"call_id":"n n"`, ErrState},
		"no call_id":          {`"call_id":"n",`, ``, ErrState},
		"no proxy":            {`"proxy":"helpdesk",`, ``, ErrState},
		"proxy is customer":   {`helpdesk`, `1111111111`, ErrState},
		"sides equal":         {`"operator":"1112223334"`, `"operator":"1111111111"`, ErrState},
		"caller":              {`"caller":"1112223334"`, `"caller":"6666666666"`, ErrState},
		"no deadline":         {`"deadline":"2026-03-01T13:00:07Z",`, ``, ErrState},
		"deadline":            {`2026-03-01T13`, `1926-03-01T13`, ErrState},
		"time in a mark":      {`mm7iri3s`, `MM-7`, ErrState},
		"mark of two fields":  {`.1.mm7iri3s`, `.1`, ErrState},
		"hash":                {`ANbOfiynTrc`, `ANbOfiynTr=`, ErrState},
		"hash too long":       {`ANbOfiynTrc`, `ANbOfiynTrcANbOfiynTrc`, ErrState},
		"past reason":         {`"cancelled"`, `"tired"`, ErrState},
		"reason":              {`"winner"`, `"reason":"tired","winner"`, ErrState},
		"party":               {`"winner":"k1"`, `"winner":"k 1"`, ErrState},
		"parties":             {`"name":"k2"`, `"name":"k 2"`, ErrState},
		"start":               {`"start":"both"`, `"start":"all"`, ErrState},
		"data_allow":          {`["note"]`, `[""]`, ErrState},
		"name":                {`Bob`, strings.Repeat("b", MaxName+1), ErrState},
		"offer":               {`8G99hzYw0Z6TyKOD`, strings.Repeat("b", 65), ErrState},
		"last":                {`"type":"accept"`, `"type":"` + strings.Repeat("b", 33) + `"`, ErrState},
		"last call_id":        {`"party":"k1","call_id":"n"`, `"party":"k1","call_id":"n n"`, ErrState},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := strings.Replace(string(good), c.old, c.new, 1)
			if broken == string(good) {
				t.Fatalf("%q does not occur in %s", c.old, good)
			}
			if _, err := DecodeState([]byte(broken)); !errors.Is(err, c.want) {
				t.Errorf("want %v, got %v", c.want, err)
			}
		})
	}
}

func TestStateLists(t *testing.T) {
	t.Parallel()
	for name, grow := range map[string]func(s *State, i int){
		"past": func(s *State, i int) {
			s.Past = append(s.Past, PastCall{CallID: fmt.Sprint(i), Reason: signal.Glare, At: epoch0})
		},
		"parties": func(s *State, i int) { s.Parties = append(s.Parties, Party{Name: fmt.Sprint(i)}) },
		"applied": func(s *State, i int) {
			s.Applied = append(s.Applied, Mark{Hash: hashOf(customer, fmt.Sprint(i)), At: epoch0})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := goodState(t)
			for i := range MaxMarks + 1 {
				grow(s, i)
			}
			if _, err := s.Encode(); !errors.Is(err, ErrState) {
				t.Errorf("want ErrState, got %v", err)
			}
		})
	}
}

func TestAccessors(t *testing.T) {
	t.Parallel()
	s := goodState(t)
	if !s.Live() || s.Callee() != customer || s.Talked() != 0 {
		t.Errorf("active: live %v callee %v talked %v", s.Live(), s.Callee(), s.Talked())
	}
	later := newScript(t)
	later.state, later.at, later.seq = s, epoch0.Add(time.Minute), 100
	later.play("operator/o1 stop n")
	s = later.state
	if s.Live() || s.Talked() != 54*time.Second {
		t.Errorf("ended: live %v talked %v, want 54s", s.Live(), s.Talked())
	}
	want := Entry{
		Time: epoch0.Add(61 * time.Second), CID: "cid1", CallID: "n", From: operator, Party: "o1", Type: "stop",
		State: Ended, Current: "n", Reason: "hangup",
	}
	if got := s.Entry(); got != want {
		t.Errorf("want %+v\ngot  %+v", want, got)
	}
	var none *State
	if _, ok := none.Counterpart(customer); ok || none.Live() {
		t.Error("a record that does not exist has sides or is live")
	}
	if _, ok := s.Counterpart(stranger); ok {
		t.Error("a stranger has a counterpart")
	}
}

func FuzzDecodeState(f *testing.F) {
	b, err := goodState(f).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"v":2}`))
	f.Add([]byte(strings.Replace(string(b), "{", `{"later":{"a":[1]},`, 1)))
	f.Add([]byte(`{"v":1,"mode":"direct","state":"none","cid":"c","past":[],"last":{"type":"","at":"2026-01-01T00:00:00.1234567+02:00"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeState(data)
		if err != nil {
			if !errors.Is(err, ErrState) && !errors.Is(err, ErrNewerVersion) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		b, err := s.Encode()
		if err != nil {
			t.Fatalf("decoded, does not encode: %v", err)
		}
		if want, err := json.Marshal(&s); err != nil || string(want) != string(b) {
			t.Fatalf("encoded as %s, the full encoder writes %s, %v", b, want, err)
		}
		again, err := DecodeState(b)
		if err != nil {
			t.Fatalf("encoded, does not decode: %v\n%s", err, b)
		}
		if diff := cmp.Diff(s, again, cmp.Comparer(sameID)); diff != "" {
			t.Fatalf("decode(encode(s)) is not s:\n%s", diff)
		}
	})
}

func FuzzDecodeRoute(f *testing.F) {
	f.Add([]byte(goodRoute))
	f.Add([]byte(`{"proxy":"p","customer":"c","operator":5}`))
	f.Add([]byte(`{"proxy":"p","customer":"c","operator":"o","data_allow":[],"expires_at":"0001-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeRoute(data)
		if err != nil {
			if !errors.Is(err, ErrRoute) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		b, err := r.Encode()
		if err != nil {
			t.Fatalf("decoded, does not encode: %v", err)
		}
		again, err := DecodeRoute(b)
		if err != nil {
			t.Fatalf("encoded, does not decode: %v\n%s", err, b)
		}
		if diff := cmp.Diff(r, again, cmp.Comparer(sameID)); diff != "" {
			t.Fatalf("decode(encode(r)) is not r:\n%s", diff)
		}
	})
}

// FuzzValidHash: the hashes of marks are those that the strict decoder reads.
func FuzzValidHash(f *testing.F) {
	f.Add(hashOf(identity.MustID("a"), "j"))
	f.Add("AAAAAAAAAAB")
	f.Add("AAAAAAAAA\nA")
	f.Fuzz(func(t *testing.T, h string) {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(h)
		want := err == nil && len(raw) == hashBytes && base64.RawURLEncoding.EncodeToString(raw) == h
		if got := validHash(h); got != want {
			t.Errorf("%q: valid %v, the decoder says %v", h, got, want)
		}
	})
}

// TestRecordAllocs: a record is encoded into one buffer.
func TestRecordAllocs(t *testing.T) {
	s := goodState(t)
	if got := testing.AllocsPerRun(200, func() {
		if _, err := s.Encode(); err != nil {
			t.Fatal(err)
		}
	}); got > 3 {
		t.Errorf("%.0f allocations, want at most 3", got)
	}
}
