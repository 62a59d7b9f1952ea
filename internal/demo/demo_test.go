package demo

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestDemo plays the demo and reads what it prints.
func TestDemo(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Out: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if want := "9 of 9 scenarios ended as they must"; !strings.Contains(out.String(), want) {
		t.Errorf("output lacks %q:\n%s", want, out.String())
	}
}

// TestDemoJSON: every line is one event with the promised members.
func TestDemoJSON(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Out: &out, JSON: true}); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		var e map[string]string
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, member := range []string{"time", "cid", "from", "to", "type", "state"} {
			if e[member] == "" {
				t.Errorf("%s is missing in %s", member, line)
			}
		}
		reasons[e["reason"]] = true
	}
	for _, want := range []string{"hangup", "busy", "cancelled", "no_answer", "answered_elsewhere", "glare", "error"} {
		if !reasons[want] {
			t.Errorf("no event has the reason %s", want)
		}
	}
}
