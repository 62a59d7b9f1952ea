package router

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/signal"
)

// TestOneLineForACall: at the level info a call leaves one line, when it ends, and
// that line names nobody; refusals and what was said leave none.
func TestOneLineForACall(t *testing.T) {
	b := newBench(t)
	b.route("c1")
	b.route("c2")
	w, r := b.worker()
	var out bytes.Buffer
	w.log = newLogger(slog.New(slog.NewJSONHandler(&out, nil)))
	for _, m := range []struct {
		from, cid string
		typ       signal.Type
	}{
		{operator, "c1", signal.Start},
		{customer, "c1", signal.Ringing},
		{newcomer, "c1", signal.Stop},
		{customer, "c1", signal.Accept},
		{operator, "c1", signal.Update},
		{customer, "c1", signal.Stop},
		{operator, "c1", signal.Summary},
		{operator, "c2", signal.Start},
		{operator, "c2", signal.Stop},
	} {
		b.publish(m.from, m.typ, m.cid, "k1")
		b.work(w, r, 1)
	}
	var lines []map[string]any
	for line := range strings.Lines(out.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, entry)
	}
	if len(lines) != 2 {
		t.Fatalf("want a line for each of two calls, got\n%s", out.String())
	}
	// printf %s c1 | sha256sum
	want := map[string]any{"level": "INFO", "msg": "call ended", "call": "d0f631ca1ddba8db", "reason": "hangup", "by": "callee"}
	for key, value := range want {
		if lines[0][key] != value {
			t.Errorf("answered call: %s is %v, want %v", key, lines[0][key], value)
		}
	}
	for _, key := range []string{"setup_seconds", "ring_seconds", "duration_seconds"} {
		if n, ok := lines[0][key].(float64); !ok || n < 0 {
			t.Errorf("answered call: %s is %v, want a time", key, lines[0][key])
		}
	}
	if lines[1]["reason"] != "cancelled" || lines[1]["by"] != "caller" || lines[1]["duration_seconds"] != nil {
		t.Errorf("cancelled call: got %v", lines[1])
	}
	for _, name := range []string{operator, customer, proxy, `"c1"`, "k1"} {
		if strings.Contains(out.String(), name) {
			t.Errorf("the log names %s:\n%s", name, out.String())
		}
	}
}
