package subjects_test

import (
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/subjects"
)

// seeds for every parser: good subjects, and the ways in which they go wrong.
var seeds = []string{
	"voice.1112223334.start", "voice.a.inbox.stop", "live.voice.a.inbox.stop", "call.c1.state",
	"call.c1~AAAAAAAAAAAAAAAA.timer", "call.c1.timeout", "rejected.bad_claims.a", "sync.a", "$KV.voice_routes.c1",
	"voice.*.start", "voice.a.>", "voice..start", "voice.a b.start", "call.>.state", "rejected.*.a", "sync.", "voice.a.st\x00art", "voice.ä.ü",
}

// fuzz holds a parser against its oracle: what is accepted rebuilds to the very
// same subject, and that is a subject one may publish on.
func fuzz(f *testing.F, parse func(string) (a, b string, ok bool), build func(a, b string) string) {
	f.Helper()
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, b, ok := parse(s)
		if !ok {
			return
		}
		if got := build(a, b); got != s {
			t.Errorf("%q parsed to %q %q, which builds %q", s, a, b, got)
		}
		if strings.ContainsAny(s, "*> \t\r\n") {
			t.Errorf("%q was accepted with a wildcard or white space", s)
		}
		for token := range strings.SplitSeq(s, ".") {
			if token == "" {
				t.Errorf("%q was accepted with an empty token", s)
			}
		}
	})
}

func FuzzParseVoice(f *testing.F) { fuzz(f, subjects.ParseVoice, subjects.Voice) }

func FuzzParseInbox(f *testing.F) { fuzz(f, subjects.ParseInbox, subjects.Inbox) }

func FuzzParseLive(f *testing.F) {
	fuzz(f, subjects.ParseLive, func(a, b string) string { return "live." + subjects.Inbox(a, b) })
}

func FuzzParseCall(f *testing.F) {
	build := map[string]func(string) string{"state": subjects.State, "timer": subjects.Timer, "timeout": subjects.Timeout, "check": subjects.Check}
	fuzz(f, subjects.ParseCall, func(key, kind string) string { return build[kind](key) })
}

func FuzzParseRejected(f *testing.F) { fuzz(f, subjects.ParseRejected, subjects.Rejected) }

func FuzzParseSync(f *testing.F) {
	fuzz(f, parseSync, func(a, _ string) string { return subjects.Sync(a) })
}

func FuzzParseKVKey(f *testing.F) {
	fuzz(f, parseKVKey, func(a, _ string) string { return subjects.KVKey(subjects.BucketRoutes, a) })
}
