package security

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of attacks into docs/security.md")

// group is attacks of one kind; test runs them, in file.
type group struct {
	name, test, file string
	attacks          []attack
}

// groups lists all attacks, in the order of the table.
func groups() []group {
	return []group{
		{"Subjects", "TestSubjects", "subjects_test.go", subjectAttacks()},
		{"Credentials of the backend and of the workers", "TestRoles", "subjects_test.go", roleAttacks()},
		{"Reply subjects", "TestReplies", "replies_test.go", replyAttacks()},
		{"Headers on one's own subject", "TestHeaders", "headers_test.go", headerAttacks()},
		{"Connecting", "TestConnecting", "connect_test.go", connectAttacks()},
		{"Signatures", "TestSignatures", "jws_test.go", jwsAttacks()},
		{"Replay", "TestReplay", "replay_test.go", replayAttacks()},
		{"Enumeration", "TestEnumeration", "enumeration_test.go", enumerationAttacks()},
		{"Time", "TestClock", "clock_test.go", clockAttacks()},
		{"Sync", "TestSync", "sync_test.go", syncAttacks()},
		{"The mask", "TestMasking", "masking_test.go", maskingAttacks()},
		{"Large and deep messages", "TestHeavy", "flood_test.go", heavyAttacks()},
		{"Floods", "TestFloods", "flood_test.go", floodAttacks()},
	}
}

const (
	document = "../../docs/security.md"
	begin    = "<!-- attacks:begin -->\n"
	end      = "<!-- attacks:end -->"
)

// render writes the tables of docs/security.md.
func render() string {
	var b strings.Builder
	for _, g := range groups() {
		fmt.Fprintf(&b, "\n### %s\n\n`%s` in [%s](../test/security/%s).\n\n| Id | Who tries | What | Stopped by | What is seen |\n|---|---|---|---|---|\n",
			g.name, g.test, g.file, g.file)
		for _, k := range g.attacks {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", k.id, k.who(), k.what, k.want.by, k.want.seen)
		}
	}
	return b.String() + "\n"
}

// who says who tries, for the table.
func (k attack) who() string {
	switch {
	case k.as == gazette:
		return "an app"
	case k.as == "backend", k.as == "router":
		return "the credential `" + k.as + "`"
	case k.insider != "":
		return "somebody past the broker"
	default:
		return "a user"
	}
}

// TestDocument: docs/security.md shows these tables, and what it cites exists.
// Run with -update to write them.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s: want %q and %q", document, begin, end)
	}
	if *update {
		if err := os.WriteFile(document, []byte(before+begin+render()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != render() {
		t.Errorf("%s: the table of attacks is not that of the tests; run \"go test ./test/security -run TestDocument -update\"", document)
	}
	known := map[string]bool{}
	for _, g := range groups() {
		for _, k := range g.attacks {
			if known[k.id] {
				t.Errorf("two attacks are called %s", k.id)
			}
			known[k.id] = true
		}
	}
	for _, k := range limits() {
		known[k.id] = true
	}
	if len(known) < 60 {
		t.Errorf("%d attacks, want at least 60", len(known))
	}
	for _, id := range regexp.MustCompile(`\b[A-Z]\d\d\b`).FindAllString(before+after, -1) {
		if !known[id] {
			t.Errorf("%s cites %s: no such attack", document, id)
		}
	}
	for _, k := range limits() {
		if !strings.Contains(before+after, k.id) {
			t.Errorf("%s does not tell of %s: %s", document, k.id, k.what)
		}
	}
}
