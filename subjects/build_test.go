package subjects_test

import (
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/subjects"
)

// TestParseOfBuild holds every parser against its builder.
func TestParseOfBuild(t *testing.T) {
	longest := strings.Repeat("a", subjects.MaxSelfID)
	key := strings.Repeat("c", subjects.MaxCID)
	for _, tc := range []struct {
		name, subject, want string
		a, b                string
		parse               func(string) (a, b string, ok bool)
	}{
		{"Voice", subjects.Voice("1112223334", "start"), "voice.1112223334.start", "1112223334", "start", subjects.ParseVoice},
		{"Voice, longest", subjects.Voice(longest, "x"), "voice." + longest + ".x", longest, "x", subjects.ParseVoice},
		{"Inbox", subjects.Inbox("a-B_9", "stop"), "voice.a-B_9.inbox.stop", "a-B_9", "stop", subjects.ParseInbox},
		{"live", "live." + subjects.Inbox("a", "stop"), "live.voice.a.inbox.stop", "a", "stop", subjects.ParseLive},
		{"State", subjects.State(key), "call." + key + ".state", key, "state", subjects.ParseCall},
		{"Timer", subjects.Timer("c1"), "call.c1.timer", "c1", "timer", subjects.ParseCall},
		{"Check", subjects.Check("c1"), "call.c1.check", "c1", "check", subjects.ParseCall},
		{"Timeout", subjects.Timeout("c1"), "call.c1.timeout", "c1", "timeout", subjects.ParseCall},
		{"Rejected", subjects.Rejected("bad_claims", "a"), "rejected.bad_claims.a", "bad_claims", "a", subjects.ParseRejected},
		{"Sync", subjects.Sync("a"), "sync.a", "a", "", parseSync},
		{"KVKey", subjects.KVKey(subjects.BucketRoutes, "c1"), "$KV.voice_routes.c1", "c1", "", parseKVKey},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.subject != tc.want {
				t.Errorf("built %q, want %q", tc.subject, tc.want)
			}
			if a, b, ok := tc.parse(tc.subject); a != tc.a || b != tc.b || !ok {
				t.Errorf("parsed %q %q %v, want %q %q true", a, b, ok, tc.a, tc.b)
			}
		})
	}
}

func parseSync(s string) (a, b string, ok bool) {
	a, ok = subjects.ParseSync(s)
	return a, "", ok
}

func parseKVKey(s string) (a, b string, ok bool) {
	a, ok = subjects.ParseKVKey(subjects.BucketRoutes, s)
	return a, "", ok
}

// TestParseRefuses lists what is nobody's subject.
func TestParseRefuses(t *testing.T) {
	parsers := map[string]func(string) (string, string, bool){
		"voice": subjects.ParseVoice, "inbox": subjects.ParseInbox, "live": subjects.ParseLive,
		"call": subjects.ParseCall, "rejected": subjects.ParseRejected, "sync": parseSync, "kv": parseKVKey,
	}
	long := strings.Repeat("a", subjects.MaxSelfID+1)
	for parser, bad := range map[string][]string{
		"voice": {
			"", "voice", "voice.", "voice.a", "voice.a.", "voice..start", "voice.a.start.x", "voice.a.inbox.stop",
			"voice.*.start", "voice.a.*", "voice.a.>", "voice.>", "Voice.a.start", "live.voice.a.inbox.stop",
			"voice.a b.start", "voice.a.st art", "voice.a.start\n", "voice.ä.start", "voice." + long + ".start", "voice.a\x00.start",
		},
		"inbox": {
			"voice.a.start", "voice.a.inbox", "voice.a.inbox.", "voice.a.inbox.*", "voice.a.inbox.>",
			"voice.*.inbox.stop", "voice..inbox.stop", "voice.a.inbox.stop.x", "voice." + long + ".inbox.stop",
		},
		"live":     {"voice.a.inbox.stop", "live.a.inbox.stop", "live.voice.a.stop", "live.live.voice.a.inbox.stop", "live."},
		"call":     {"call.a", "call..state", "call.a.", "call.a.other", "call.*.state", "call.a.state.x", "call.a~b.state", "call.>.state"},
		"rejected": {"rejected.x", "rejected..a", "rejected.Bad.a", "rejected.bad.*", "rejected.bad.a.b", "rejected.*.a"},
		"sync":     {"sync", "sync.", "sync.*", "sync.>", "sync.a.b", "sync." + long},
		"kv":       {"$KV.voice_routes.", "$KV.voice_identities.a", "$KV.voice_routes.a.b", "$KV.voice_routes.*", "$KV.voice_routes.>"},
	} {
		for _, s := range bad {
			if a, b, ok := parsers[parser](s); ok {
				t.Errorf("%s: %q was accepted as %q %q", parser, s, a, b)
			}
		}
	}
}

// TestDirectKey holds the key of a direct conversation against its promises.
func TestDirectKey(t *testing.T) {
	key := subjects.DirectKey("c1", "alice", "bob")
	if other := subjects.DirectKey("c1", "bob", "alice"); other != key {
		t.Errorf("%q in one order, %q in the other", key, other)
	}
	if subjects.ValidCID(key) {
		t.Errorf("%q could be the cid of a masked call", key)
	}
	if !subjects.ValidKey(key) {
		t.Errorf("%q is not the key of a record", key)
	}
	longest := subjects.DirectKey(strings.Repeat("c", subjects.MaxCID), "alice", "bob")
	if got, _, ok := subjects.ParseCall(subjects.State(longest)); !ok || got != longest {
		t.Errorf("%q does not survive its subject: %q %v", longest, got, ok)
	}
	seen := map[string]string{}
	for _, ends := range [][3]string{
		{"c1", "alice", "bob"}, {"c2", "alice", "bob"}, {"c1", "alice", "bo"}, {"c1", "alic", "ebob"}, {"c1", "alice", "carol"}, {"c1", "alice", "alice"},
	} {
		k := subjects.DirectKey(ends[0], ends[1], ends[2])
		if first, taken := seen[k]; taken {
			t.Errorf("%v and %s share the key %s", ends, first, k)
		}
		seen[k] = strings.Join(ends[:], " ")
	}
}

// TestFilters holds the filters against the subjects they are for.
func TestFilters(t *testing.T) {
	for _, tc := range []struct {
		filter, subject string
		want            bool
	}{
		{subjects.FilterVoice, subjects.Voice("a", "start"), true},
		{subjects.FilterVoice, subjects.Inbox("a", "start"), false},
		{subjects.FilterInbox, subjects.Inbox("a", "start"), true},
		{subjects.FilterInbox, subjects.Voice("a", "start"), false},
		{subjects.InboxAll("a"), subjects.Inbox("a", "start"), true},
		{subjects.InboxAll("a"), subjects.Inbox("b", "start"), false},
		{subjects.LiveAll("a"), "live." + subjects.Inbox("a", "stop"), true},
		{subjects.LiveAll("a"), "live." + subjects.Inbox("b", "stop"), false},
		{subjects.FilterLive, "live." + subjects.Inbox("b", "stop"), true},
		{subjects.FilterCall, subjects.State("c"), true},
		{subjects.FilterState, subjects.State(subjects.DirectKey("c", "a", "b")), true},
		{subjects.FilterState, subjects.Timer("c"), false},
		{subjects.FilterTimer, subjects.Timer("c"), true},
		{subjects.FilterTimeout, subjects.Timeout("c"), true},
		{subjects.FilterRejected, subjects.Rejected("stale", "a"), true},
		{subjects.FilterSync, subjects.Sync("a"), true},
		{subjects.FilterServiceCalls, subjects.ServiceCallEnd, true},
	} {
		if got := matches(tc.filter, tc.subject); got != tc.want {
			t.Errorf("%s matches %s: %v, want %v", tc.filter, tc.subject, got, tc.want)
		}
	}
}

// matches is NATS subject matching, plainly.
func matches(filter, subject string) bool {
	f, s := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, token := range f {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s), token != "*" && token != s[i]:
			return false
		}
	}
	return len(f) == len(s)
}
