package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/cluster/clustertest"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/test/chaos/checker"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

func TestMain(m *testing.M) { os.Exit(clustertest.Main(m)) }

// TestAMinuteOfFaults is a run: calls for a minute, and at least ten faults.
func TestAMinuteOfFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a fleet for a minute and more")
	}
	numbers, again := filepath.Join(t.TempDir(), "run.json"), filepath.Join(t.TempDir(), "again.md")
	o, err := parse([]string{
		"--seed", "20", "--dir", t.TempDir(),
		"--json", numbers, "--report", filepath.Join(t.TempDir(), "report.md"),
	}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if acts := o.schedule(); len(acts) < 10 {
		t.Fatalf("want at least 10 faults, the schedule has %d", len(acts))
	}
	var out bytes.Buffer
	clean, err := chaos(t.Context(), o, clustertest.Binaries(t), &out)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	if !clean {
		t.Error("want nothing lost, duplicated, disordered, split, stuck or leaked, and no problem")
	}
	text, err := os.ReadFile(o.report)
	if err != nil || !bytes.Contains(text, []byte("| worker killed |")) {
		t.Errorf("want a report with a row for each fault, got error %v and\n%s", err, text)
	}
	if code := command(t.Context(), []string{"--from", numbers, "--report", again}, &out, os.Stderr); code != 0 {
		t.Errorf("want the same report from the numbers alone, got exit code %d", code)
	}
	if second, err := os.ReadFile(again); err != nil || !bytes.Equal(second, text) {
		t.Errorf("want the same report from the numbers alone, got error %v and\n%s", err, second)
	}
}

// TestScheduleOfASeed: the seed is the schedule; other seeds have others.
func TestScheduleOfASeed(t *testing.T) {
	t.Parallel()
	print := func(seed uint64) string {
		var out bytes.Buffer
		if code := command(t.Context(), []string{"--print-schedule", "--duration", "10m", "--seed", strings.Repeat("7", int(seed))}, &out, os.Stderr); code != 0 {
			t.Fatalf("want exit code 0, got %d", code)
		}
		return out.String()
	}
	first := print(1)
	if again := print(1); again != first {
		t.Errorf("want the same schedule from the same seed, got\n%s\nand\n%s", first, again)
	}
	if first == print(2) {
		t.Error("want another schedule from another seed")
	}
}

// TestScheduleKeepsItsRules: every kind comes, none of a scope before the last one
// is over, none outlasts the run.
func TestScheduleKeepsItsRules(t *testing.T) {
	t.Parallel()
	const duration = 10 * time.Minute
	for seed := range uint64(50) {
		acts := schedule(seed, kinds(), duration, 4*time.Second)
		if len(acts) < 100 {
			t.Errorf("seed %d: want at least 100 faults in %s, got %d", seed, duration, len(acts))
		}
		seen, free := map[string]bool{}, map[scope]time.Duration{}
		for _, a := range acts {
			seen[a.kind.name] = true
			if a.at < free[a.kind.scope] {
				t.Errorf("seed %d: %s at %s, before the last of the %s is over at %s", seed, a.kind.name, a.at, a.kind.scope, free[a.kind.scope])
			}
			free[a.kind.scope] = a.ends()
			if a.ends() > duration || a.lasts < a.kind.least || a.lasts > a.kind.most {
				t.Errorf("seed %d: %s at %s for %s", seed, a.kind.name, a.at, a.lasts)
			}
		}
		for _, k := range kinds() {
			if !seen[k.name] {
				t.Errorf("seed %d: no %s", seed, k.name)
			}
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--duration 1s":              "--duration 1s",
		"--workers 1":                "at least 2 workers",
		"--scenario storm":           "random",
		"--fault-every 1ms":          "--fault-every",
		"--ring 1s --duration 2m":    "--ring 1s",
		"and":                        "want flags only",
		"--calls-per-second -1":      "want calls",
		"--no-such-flag --seed nine": "no-such-flag",
	} {
		var stderr bytes.Buffer
		if code := command(t.Context(), strings.Fields(args), os.Stdout, &stderr); code != 2 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: want exit code 2 and %q, got %d and %q", args, want, code, stderr.String())
		}
	}
}

// TestRecovery measures a history of three calls around two faults.
func TestRecovery(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	h := &history.History{
		Processes:     []history.Process{{ID: "b.1", Self: "b"}},
		Conversations: []history.Conversation{{CID: "c", Mode: call.Masked, Operator: "a", Customer: "b"}},
	}
	for _, c := range [][3]int{{100, 105, 150}, {900, 910, 3000}, {1500, 1510, 3100}} {
		h.Sends = append(h.Sends, history.Send{
			CID: "c", Type: signal.Start, From: "a", At: at(c[0]), Done: at(c[1]), Outcome: history.Outcome{Result: history.Acked},
		})
		h.Heard = append(h.Heard, history.Heard{Process: "b.1", CID: "c", Type: signal.Start, At: at(c[2])})
	}
	// The second start was heard after the third was sent: the first is the one to
	// take away.
	h.Sends[2].At, h.Sends[2].Done, h.Heard[2].At = at(3005), at(3010), at(3100)
	h.Faults = []history.Fault{
		{Kind: "worker killed", Began: at(1000), Ended: at(2000)},
		{Kind: "disk full", Began: at(2900), Ended: at(3001)},
	}
	d := deliveriesOf(h)
	if want := (times{3, 95 * time.Millisecond, 2100 * time.Millisecond, 2100 * time.Millisecond}); d.starts() != want {
		t.Errorf("starts: want %v, got %v", want, d.starts())
	}
	one := func(ms int) times {
		d := time.Duration(ms) * time.Millisecond
		return times{1, d, d, d}
	}
	want := []faultStatistics{
		{"disk full", 1, true, one(99), one(100)},
		{"worker killed", 1, false, one(2100), one(2000)},
	}
	if got := recoveries(h, d); !slices.Equal(got, want) {
		t.Errorf("want %+v, got %+v", want, got)
	}
}

// TestOutcomeIsReadBack: what --json writes is what --with reads, and a document
// is made of it.
func TestOutcomeIsReadBack(t *testing.T) {
	t.Parallel()
	o := &outcome{
		Scenario: "workers", Seed: 7, Duration: 90 * time.Second, Command: "go run ./test/chaos --seed 7", Begun: 12,
		Turns: map[string]int{"answered": 12}, Verdict: &checker.Report{Calls: 11}, Counts: map[string]int{"lost": 3},
		Faults: []faultStatistics{{Kind: "worker killed", Count: 2, Again: times{2, time.Second, time.Second, time.Second}}},
		Goals:  []goal{atMost("delivered within", 6*time.Second, 7*time.Second)},
	}
	name := filepath.Join(t.TempDir(), "o.json")
	if err := o.save(name); err != nil {
		t.Fatal(err)
	}
	read, err := loadOutcome(name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := document(runs{o, read})
	if err != nil {
		t.Fatal(err)
	}
	const row = "| workers, seed 7, 1m30s | 12 | 0 | 2 | 3 | 0 | 0 | 0 | 0 | 0 |\n"
	if !strings.Contains(string(text), row+row) {
		t.Errorf("want the row twice:\n%s, got\n%s", row, text)
	}
	if !strings.Contains(string(text), "| workers | delivered within | at most 6s | 7s **missed** |") {
		t.Errorf("want the goal that was missed in\n%s", text)
	}
}

// TestWhatIsNotClean: a defect, a number that was not reached, and a run that went
// wrong, each for itself.
func TestWhatIsNotClean(t *testing.T) {
	t.Parallel()
	reached, missed := goal{Reached: true}, goal{}
	for name, c := range map[string]struct {
		outcome outcome
		want    bool
	}{
		"all is well":    {outcome{Verdict: &checker.Report{}, Goals: []goal{reached}}, true},
		"a defect":       {outcome{Verdict: &checker.Report{Findings: []checker.Finding{{Kind: checker.Lost}}}}, false},
		"a missed goal":  {outcome{Verdict: &checker.Report{}, Goals: []goal{reached, missed}}, false},
		"a process died": {outcome{Verdict: &checker.Report{}, Problems: []string{"w1 ended by itself"}}, false},
		"no verdict":     {outcome{}, false},
	} {
		if got := c.outcome.clean(); got != c.want {
			t.Errorf("%s: want clean %t, got %t", name, c.want, got)
		}
	}
}

func TestElection(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"[7] 2026/11/24 15:44:08.313858 [INF] JetStream cluster new stream leader for 'ROUTER > VOICE_IN'":                        true,
		"[7] 2026/11/24 15:44:08.313858 [INF] JetStream cluster new consumer leader for 'ROUTER > VOICE_OUT > timeouts'":          true,
		"[7] 2026/11/24 15:44:08.826892 [INF] JetStream cluster new consumer leader for 'ROUTER > VOICE_OUT > app-relay-2'":       false,
		"[7] 2026/11/24 15:44:08.826892 [INF] JetStream cluster new stream leader for 'ROUTER > KV_voice_identities'":             false,
		"[7] 2026/11/24 15:44:32.072258 [INF] JetStream cluster no metadata leader":                                               false,
		"[7] 2026/11/24 15:44:34.468278 [WRN] JetStream cluster consumer 'ROUTER > VOICE_OUT > timeouts' has NO quorum, stalled.": false,
	} {
		at, ok := election(line)
		if ok != want || ok && at.Nanosecond() != 313858000 {
			t.Errorf("%s: want %t, got %t at %s", line, want, ok, at)
		}
	}
}

// TestResumed: the time counts from the last election that belongs to a fault.
func TestResumed(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))) }
	h := &history.History{Faults: []history.Fault{
		{Kind: "server killed", Began: at(0)}, {Kind: "leader stepped down", Began: at(20)}, {Kind: "worker killed", Began: at(30)},
	}}
	elected := []time.Time{at(4), at(6), at(20.5)}
	var all deliveries
	for _, heard := range []float64{1, 5, 7.5, 8, 20.7, 31} {
		all = append(all, delivery{heard: at(heard)})
	}
	want := times{2, 1500 * time.Millisecond, 1500 * time.Millisecond, 1500 * time.Millisecond}
	if got := resumed(h, all, elected); got.N != want.N || got.Max != want.Max {
		t.Errorf("want %v, got %v: 1.5 s behind the second election, 0.2 s behind the third", want, got)
	}
}
