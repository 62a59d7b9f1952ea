package docs

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestNames(t *testing.T) {
	t.Parallel()
	if want, got := texts(signal.Types()), names(t, table(t, "types")); !slices.Equal(want, got) {
		t.Errorf("types\nwant %q\ngot  %q", want, got)
	}
	same(t, "reasons", texts(signal.Reasons()), names(t, table(t, "reasons")))
	same(t, "codes", texts(signal.Codes()), names(t, table(t, "codes")))
	same(t, "services", []string{
		subjects.ServiceCallCreate, subjects.ServiceCallEnd, subjects.ServiceCallGet, subjects.ServiceCallList,
		subjects.ServiceCallVerify,
	}, names(t, table(t, "services")))
	same(t, "service codes", []string{
		router.ServiceBadRequest, router.ServiceNotFound, router.ServiceExists, router.ServiceFailed,
	}, names(t, table(t, "service codes")))
	same(t, "members of a route", members(reflect.TypeFor[call.Route]()), names(t, table(t, "route")))
	same(t, "members of an identity", members(reflect.TypeFor[identity.Record]()), names(t, table(t, "identity")))
	same(t, "members of a call record", members(reflect.TypeFor[call.State]()), names(t, table(t, "state")))
}

// members returns the names that the fields of a struct have in JSON.
func members(typ reflect.Type) []string {
	var out []string
	for field := range typ.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" { // "" holds what has no name yet
			out = append(out, name)
		}
	}
	return out
}

// TestCarries compares what the types table says a message carries across the
// mask with what the code passes on.
func TestCarries(t *testing.T) {
	t.Parallel()
	for _, row := range table(t, "types") {
		typ, carried := signal.Type(code(row[0])[0]), code(row[2])
		if typ == signal.Setup || typ == signal.Error {
			continue // these do not cross the mask
		}
		if want, got := typ.HasPeerInfo(), slices.Contains(carried, "peer_info"); want != got {
			t.Errorf("%s: peer_info: want %v, got %v", typ, want, got)
		}
		if want, got := typ.HasData(), slices.Contains(carried, "data"); want != got {
			t.Errorf("%s: data: want %v, got %v", typ, want, got)
		}
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	rows := table(t, "claims")
	m := signal.Message{
		Type: signal.Stop, JTI: "j", Issuer: identity.MustID("a"), Recipient: identity.MustID("b"),
		IssuedAt: time.Unix(1, 0), ExpiresAt: time.Unix(2, 0), CID: "c", CallID: "d",
		PeerInfo: "p", Data: jsontext.Value("{}"), Party: "p", Reason: signal.Hangup,
	}
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var encoded map[string]jsontext.Value
	if err := json.Unmarshal(b, &encoded); err != nil {
		t.Fatal(err)
	}
	var want []string
	for name := range encoded {
		want = append(want, name)
	}
	same(t, "claims", want, names(t, rows))

	limits := map[string]int{"jti": signal.MaxJTI, "peer_info": signal.MaxPeerInfo, "data": signal.MaxData, "reason": signal.MaxReason}
	for _, row := range rows {
		name := code(row[0])[0]
		if limit, ok := limits[name]; ok && !strings.Contains(row[2], strconv.Itoa(limit)+" bytes") {
			t.Errorf("claim %s: want its limit of %d bytes, got %q", name, limit, row[2])
		}
		checkRequired(t, m, name, row[1])
	}
}

// checkRequired leaves one claim out and compares the decoder with the table.
func checkRequired(t *testing.T, m signal.Message, name, says string) {
	t.Helper()
	for _, typ := range signal.Types() {
		m.Type = typ
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]jsontext.Value
		if err := json.Unmarshal(b, &claims); err != nil {
			t.Fatal(err)
		}
		delete(claims, name)
		if b, err = json.Marshal(claims); err != nil {
			t.Fatal(err)
		}
		_, err = signal.Decode(b)
		want := strings.HasPrefix(says, "yes") && !slices.Contains(code(says), string(typ))
		if got := err != nil; want != got {
			t.Errorf("%s without claim %s: the table says %q, the decoder %v", typ, name, says, err)
		}
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	const self, typ, key, reason = "<selfid>", "<type>", "<key>", "<reason>"
	same(t, "subjects", []string{
		subjects.Voice(self, typ), subjects.Inbox(self, typ), "live." + subjects.Inbox(self, typ), subjects.Sync(self),
		subjects.State(key), subjects.Timer(key), subjects.Timeout(key), subjects.Check(key), subjects.Rejected(reason, self),
	}, names(t, tableIn(t, "## Subjects")))

	known := []string{
		subjects.StreamIn, subjects.StreamOut, subjects.ConsumerRouter, subjects.ConsumerTimeouts, subjects.ConsumerCalls, subjects.AppConsumer(self),
		subjects.BucketRoutes, subjects.BucketIdentities, subjects.FilterVoice, subjects.FilterInbox, subjects.FilterCall,
		subjects.FilterRejected, subjects.FilterTimeout, subjects.InboxAll(self), subjects.GroupRouter, subjects.GroupApp,
	}
	text := section(t, "## Streams and buckets")
	for _, name := range known {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("streams and buckets: the document lacks %q", name)
		}
	}
	if !strings.Contains(text, "`"+router.HeaderDetail+"`") && !strings.Contains(section(t, "## Subjects"), "`"+router.HeaderDetail+"`") {
		t.Errorf("the document lacks the header %s", router.HeaderDetail)
	}
}

func TestPermissions(t *testing.T) {
	t.Parallel()
	const self = "1112223334"
	for _, role := range []identity.Role{identity.RoleUser, identity.RoleApp} {
		var publish, subscribe []string
		for _, row := range table(t, "permissions") {
			if !slices.Contains(strings.Split(row[0], ", "), string(role)) {
				continue
			}
			subject := strings.ReplaceAll(code(row[2])[0], "<selfid>", self)
			switch row[1] {
			case "publish":
				publish = append(publish, subject)
			case "subscribe":
				subscribe = append(subscribe, subject)
			default:
				t.Errorf("permissions: action %q", row[1])
			}
		}
		want := broker.IdentityPermissions(identity.MustID(self), role)
		same(t, string(role)+" may publish", want.Publish, publish)
		same(t, string(role)+" may subscribe", want.Subscribe, subscribe)
	}
}

var exported = regexp.MustCompile(`(?m)^\s*\{(service|stream): "([^"]+)"`)

// TestCrossings compares the meeting points of the accounts with the exports of a
// generated configuration.
func TestCrossings(t *testing.T) {
	t.Parallel()
	conf, err := broker.Config{StoreDir: "js", Router: broker.Credential{User: "router", Password: "secret"}}.Render()
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, m := range exported.FindAllSubmatch(conf, -1) {
		want = append(want, string(m[1])+" "+string(m[2]))
	}
	for _, row := range table(t, "crossings") {
		got = append(got, row[0]+" "+code(row[1])[0])
	}
	same(t, "crossings", want, got)
}

// TestNumbers looks for constants of the code in the sections that name them.
func TestNumbers(t *testing.T) {
	t.Parallel()
	seconds := func(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) + " s" }
	for heading, want := range map[string][]string{
		"## Time":      {seconds(signal.Skew) + " of skew"},
		"## Timers":    {seconds(call.DefaultRingTimeout), strconv.Itoa(int(call.DefaultMaxDuration.Hours())) + " h"},
		"### Sync":     {"at most " + strconv.Itoa(signal.MaxSync)},
		"### Apps":     {"every " + seconds(provision.AppPinnedTTL), "within " + seconds(provision.AppAckWait), "`" + subjects.GroupApp + "`"},
		"## Devices":   {strconv.Itoa(call.MaxParties) + " ringing devices"},
		"### Route":    {strconv.Itoa(call.MaxName) + " bytes", "at most " + strconv.Itoa(call.MaxDataAllow), strconv.Itoa(call.MaxDataKey) + " bytes"},
		"### Identity": {"at most " + strconv.Itoa(identity.MaxKeys)},
		"### call_id first": {
			strconv.Itoa(call.MaxPast) + " of the conversation", strconv.Itoa(call.MaxPastBySide) + " that never rang",
			strconv.Itoa(int(call.KeepPast.Minutes())) + " minutes",
		},
		"## Streams and buckets": {strconv.Itoa(int(provision.DefaultMaxAge.Hours())) + " h by default"},
	} {
		text := strings.Join(strings.Fields(section(t, heading)), " ")
		for _, s := range want {
			if !strings.Contains(text, s) {
				t.Errorf("%s: want %q", heading, s)
			}
		}
	}
}

// TestDirectKey follows the recipe for the key of a direct conversation.
func TestDirectKey(t *testing.T) {
	t.Parallel()
	key := subjects.DirectKey("conv-1", "b", "a")
	cid, hash, ok := strings.Cut(key, "~")
	if want := directHash("a.b"); !ok || cid != "conv-1" || hash != want {
		t.Errorf("want conv-1~%s, got %s", want, key)
	}
}
