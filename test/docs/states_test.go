package docs

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
)

// TestCallIDFirst plays the rules about the call_id.
func TestCallIDFirst(t *testing.T) {
	t.Parallel()
	for _, row := range table(t, "call_id first") {
		playRow(t, row[0], func(*stage, call.Decision) string { return row[3] })
	}
}

// TestStates plays the table of states.
func TestStates(t *testing.T) {
	t.Parallel()
	for _, row := range table(t, "states") {
		from := strings.Split(row[1], ", ")
		playRow(t, row[0], func(s *stage, _ call.Decision) string {
			want, _, _ := strings.Cut(row[4], " ")
			if got := string(s.phase()); want != "same" && got != want || want == "same" && !slices.Contains(from, got) {
				s.t.Errorf("new state: the table says %q, got %q", row[4], got)
			}
			if reason := code(row[4]); len(reason) > 0 && string(s.state.Reason) != reason[0] {
				s.t.Errorf("reason: the table says %q, got %q", reason[0], s.state.Reason)
			}
			return row[5]
		})
	}
}

// TestEveryRowIsPlayed compares the ids of the tables with the scenarios.
func TestEveryRowIsPlayed(t *testing.T) {
	t.Parallel()
	var ids []string
	for _, name := range []string{"call_id first", "states"} {
		for _, row := range table(t, name) {
			ids = append(ids, row[0])
		}
	}
	same(t, "rows", slices.Collect(maps.Keys(scenarios)), ids)
}

// playRow plays the scenarios of a row. effect checks what is particular to its
// table and returns the text of the effect.
func playRow(t *testing.T, id string, effect func(*stage, call.Decision) string) {
	t.Helper()
	for scenario := range strings.SplitSeq(scenarios[id], "|") {
		t.Run(id+"/"+scenario, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			lines := strings.Split(scenario, "; ")
			for _, line := range lines[:len(lines)-1] {
				s.play(line)
			}
			d := s.play(lines[len(lines)-1])
			checkEffect(s, d, effect(s, d))
		})
	}
}

// checkEffect compares a decision with what a row says about it.
func checkEffect(s *stage, d call.Decision, text string) {
	s.t.Helper()
	if says := strings.Contains(text, "nothing is said") || strings.Contains(text, "nobody is told"); says && len(d.Say) > 0 {
		s.t.Errorf("the table says %q, got %+v", text, d.Say)
	}
	if strings.HasPrefix(text, "nothing") && (d.Next != nil || len(d.Say) > 0 || d.Verdict == call.Deferred) {
		s.t.Errorf("the table says %q, got %+v", text, d)
	}
	if deferred := strings.HasPrefix(text, "defer"); deferred != (d.Verdict == call.Deferred) {
		s.t.Errorf("the table says %q, got verdict %d", text, d.Verdict)
	} else if deferred {
		s.last.Delivery = call.DefaultMaxDeliveries
		d = s.decide()
	}
	if want, got := strings.Contains(text, "deliver"), delivers(s, d); want != got {
		s.t.Errorf("the table says %q, got delivery %v", text, got)
	}
	if want, got := strings.Contains(text, "timer"), d.Timer.Op == call.TimerSet; want != got {
		s.t.Errorf("the table says %q, got timer %v", text, got)
	}
	wantCodes, wantReasons := mentioned(text)
	gotCodes, gotReasons := said(s, d)
	same(s.t, "codes", gotCodes, wantCodes)
	same(s.t, "reasons", gotReasons, wantReasons)
}

// delivers reports whether the message goes to the counterpart as what it is.
func delivers(s *stage, d call.Decision) bool {
	return slices.ContainsFunc(d.Say, func(say call.Say) bool {
		return s.last.Kind == call.Message && say.Type == s.last.Msg.Type && say.To != s.last.Msg.Issuer && say.Type != signal.Stop
	})
}

// mentioned returns the codes and reasons in a text.
func mentioned(text string) (codes, reasons []string) {
	for _, word := range code(text) {
		switch {
		case slices.Contains(texts(signal.Codes()), word):
			codes = append(codes, word)
		case signal.Reason(word).Known():
			reasons = append(reasons, word)
		}
	}
	return codes, reasons
}

// said returns the codes that a decision says, and the reasons but that of the
// call's end and that of stops beside an error.
func said(s *stage, d call.Decision) (codes, reasons []string) {
	s.t.Helper()
	for _, say := range d.Say {
		switch say.Type {
		case signal.Error:
			var fault signal.Fault
			if err := json.Unmarshal(say.Data, &fault); err != nil {
				s.t.Fatal(err)
			}
			codes = append(codes, string(fault.Code))
		case signal.Stop:
			past := say.Reason == signal.Failed || s.state.Phase == call.Ended && say.Reason == s.state.Reason ||
				slices.ContainsFunc(s.state.Past, func(p call.PastCall) bool {
					return p.CallID == say.CallID && p.Reason == say.Reason && p.ReplacedBy == ""
				})
			if !past && !slices.Contains(reasons, string(say.Reason)) {
				reasons = append(reasons, string(say.Reason))
			}
		default: // what is delivered has neither
		}
	}
	return codes, reasons
}

var edge = regexp.MustCompile(`(?m)^\s*(\w+) --> (\w+)(?:: .*)?$`)

// TestDiagram compares the edges of the diagram with the table of states.
func TestDiagram(t *testing.T) {
	t.Parallel()
	text := section(t, "## State machine")
	want := map[string]bool{"ringing ringing": true} // glare: another call rings
	for _, row := range table(t, "states") {
		to, _, _ := strings.Cut(row[4], " ")
		for from := range strings.SplitSeq(row[1], ", ") {
			if to != "same" && to != from {
				want[from+" "+to] = true
			}
			for _, reason := range code(row[4]) {
				if !strings.Contains(text, "("+reason+")") {
					t.Errorf("diagram: want reason %q", reason)
				}
			}
		}
	}
	got := map[string]bool{}
	for _, m := range edge.FindAllStringSubmatch(text, -1) {
		got[m[1]+" "+m[2]] = true
	}
	same(t, "edges", slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
}
