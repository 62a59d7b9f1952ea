package subjects_test

import (
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/subjects"
)

func TestValid(t *testing.T) {
	plain := []string{"a", "Z", "0", "_", "-", "a-B_9"}
	dotted := []string{".", "~", "a.b~c", "-.~_"}
	never := []string{
		"", " ", "a b", "*", ">", "a*", "a>", "$", "a/b", "a\x00", "a\n", "ä", "a\xff", "a,b", "a:b", "a\u200b", "\u0430", // Cyrillic a
	}
	for _, tc := range []struct {
		name   string
		valid  func(string) bool
		limit  int
		dotted bool
	}{
		{"ValidSelfID", subjects.ValidSelfID, subjects.MaxSelfID, false},
		{"ValidCID", subjects.ValidCID, subjects.MaxCID, false},
		{"ValidCallID", subjects.ValidCallID, subjects.MaxCallID, true},
		{"ValidParty", subjects.ValidParty, subjects.MaxParty, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			check := func(s string, want bool) {
				t.Helper()
				if got := tc.valid(s); got != want {
					t.Errorf("%q: got %v, want %v", s, got, want)
				}
			}
			for _, s := range plain {
				check(s, true)
			}
			for _, s := range dotted {
				check(s, tc.dotted)
			}
			for _, s := range never {
				check(s, false)
			}
			check(strings.Repeat("x", tc.limit), true)
			check(strings.Repeat("x", tc.limit+1), false)
		})
	}
}

func TestValidReason(t *testing.T) {
	for s, want := range map[string]bool{
		"bad_claims": true, "a": true, "_": true, strings.Repeat("a", 32): true,
		"": false, strings.Repeat("a", 33): false, "Bad": false, "a1": false, "a.b": false, "a-b": false, "*": false, "ä": false,
	} {
		if got := subjects.ValidReason(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}

func TestValidKey(t *testing.T) {
	hash := strings.Repeat("h", 16)
	for s, want := range map[string]bool{
		"c1": true, "c1~" + hash: true,
		"": false, "~" + hash: false, "c1~": false, "c1~" + hash[1:]: false, "c1~" + hash + "h": false,
		"c1~" + hash[1:] + ".": false, "c1~~" + hash[1:]: false, "c.1": false, "*": false, ">": false,
	} {
		if got := subjects.ValidKey(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}

func TestSafeReply(t *testing.T) {
	for s, want := range map[string]bool{
		"_INBOX.abc.1": true, "_INBOX_1112223334.abc": true, "_R_.abc": true,
		"": false, "call.c1.state": false, "voice.a.inbox.stop": false, "x._INBOX.a": false, "_inbox.a": false, "_R_": false, "$JS.ACK": false,
	} {
		if got := subjects.SafeReply(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	}
}

// TestValidAllocatesNothing: these run on every message.
func TestValidAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		if _, _, ok := subjects.ParseVoice("voice.1112223334.candidate"); !ok {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("ParseVoice allocates %v times, want 0", n)
	}
}
