package signal_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestTypes(t *testing.T) {
	want := []string{"setup", "start", "ringing", "accept", "busy", "stop", "candidate", "update", "summary", "error"}
	var got []string
	for _, typ := range signal.Types() {
		got = append(got, string(typ))
		if parsed, ok := signal.ParseType(string(typ)); !ok || parsed != typ {
			t.Errorf("%s parses as %q %v", typ, parsed, ok)
		}
		if typ.Claim() != "chat.voice."+string(typ) {
			t.Errorf("claim of %s: %s", typ, typ.Claim())
		}
		if self, tok, ok := subjects.ParseVoice(subjects.Voice("a", string(typ))); !ok || self != "a" || tok != string(typ) {
			t.Errorf("%s is no token of a subject", typ)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("types %v, want %v", got, want)
	}
	for _, s := range []string{"", "Start", "start ", "inbox", "*", "chat.voice.start"} {
		if typ, ok := signal.ParseType(s); ok || typ != "" {
			t.Errorf("%q parses as %q", s, typ)
		}
	}
}

func TestTypesCarry(t *testing.T) {
	data := map[signal.Type]bool{signal.Start: true, signal.Accept: true, signal.Update: true, signal.Summary: true}
	peer := map[signal.Type]bool{signal.Start: true, signal.Accept: true, signal.Update: true, signal.Candidate: true}
	for _, typ := range signal.Types() {
		if typ.HasData() != data[typ] || typ.HasPeerInfo() != peer[typ] {
			t.Errorf("%s: data %v, peer_info %v", typ, typ.HasData(), typ.HasPeerInfo())
		}
	}
}

// TestCodes: every code can stand in a subject, none twice.
func TestCodes(t *testing.T) {
	seen := map[signal.Code]bool{}
	for _, code := range signal.Codes() {
		if _, _, ok := subjects.ParseRejected(subjects.Rejected(string(code), "a")); !ok {
			t.Errorf("%q cannot stand in a subject", code)
		}
		if seen[code] {
			t.Errorf("%q is listed twice", code)
		}
		seen[code] = true
	}
}

func TestReasons(t *testing.T) {
	for _, r := range signal.Reasons() {
		if !r.Known() || len(r) > signal.MaxReason || !subjects.ValidReason(string(r)) {
			t.Errorf("%q: known %v", r, r.Known())
		}
	}
	for _, r := range []signal.Reason{"", "Hangup", "went home"} {
		if r.Known() {
			t.Errorf("%q is known", r)
		}
	}
}

func TestFault(t *testing.T) {
	m := message()
	m.Type, m.Data = signal.Error, jsontext.Value(`{"code":"stale","detail":"d","ref":"j0","later":1}`)
	if f, ok := m.Fault(); !ok || f != (signal.Fault{Code: signal.CodeStale, Detail: "d", Ref: "j0"}) {
		t.Errorf("got %+v %v", f, ok)
	}
	for name, change := range map[string]func(*signal.Message){
		"other type": func(m *signal.Message) { m.Type = signal.Stop },
		"no data":    func(m *signal.Message) { m.Data = nil },
		"wrong data": func(m *signal.Message) { m.Data = jsontext.Value(`{"code":1}`) },
	} {
		m := m
		change(&m)
		if f, ok := m.Fault(); ok {
			t.Errorf("%s: got %+v", name, f)
		}
	}
}

func TestRefusalError(t *testing.T) {
	err := error(&signal.Refusal{Code: signal.CodeStale, Detail: "too old"})
	var refusal *signal.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "stale") || !strings.Contains(err.Error(), "too old") {
		t.Errorf("error reads %q", err)
	}
}
