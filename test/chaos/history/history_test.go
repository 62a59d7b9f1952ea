package history

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/signal"
)

// clock returns one second more each time it is read.
func clock() func() time.Time {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	return func() time.Time {
		at = at.Add(time.Second)
		return at
	}
}

func second(n int) time.Time { return time.Date(2026, 3, 1, 9, 0, n, 0, time.UTC) }

// play records one of everything.
func play(r *Recorder) {
	endProcess := r.Process(Process{ID: "p1", Self: "111", Party: "desk", Knows: []signal.Type{signal.Start}})
	r.Conversation(Conversation{CID: "c1", Mode: call.Masked, Proxy: "proxy", Operator: "111", Customer: "222", Start: call.StartBoth})
	sent := r.Send(Send{Process: "p1", JTI: "j1", Type: signal.Start, CID: "c1", CallID: "k1", From: "111", To: "proxy", Mode: call.Masked, PeerInfo: "v=0"})
	endFault := r.Fault(Fault{Kind: "worker-kill", Target: "w1"})
	sent(Outcome{Result: Acked, Seq: 7, Duplicate: true})
	returned := r.Heard(Heard{Process: "p1", JTI: "j2", Type: signal.Stop, CID: "c1", CallID: "k1", From: "proxy", Reason: signal.Declined, Seq: 9, Stored: second(0)})
	returned(errors.New("not now"))
	endFault("restarted")
	r.Floor(7)
	r.Note("the %s", "end")
	endProcess(true)
}

// played is what play leaves behind.
func played() *History {
	return &History{
		Processes:     []Process{{ID: "p1", Self: "111", Party: "desk", Knows: []signal.Type{signal.Start}, Began: second(1), Ended: second(11), Killed: true}},
		Conversations: []Conversation{{CID: "c1", Mode: call.Masked, Proxy: "proxy", Operator: "111", Customer: "222", Start: call.StartBoth}},
		Sends: []Send{{
			Process: "p1", JTI: "j1", Type: signal.Start, CID: "c1", CallID: "k1", From: "111", To: "proxy", Mode: call.Masked, PeerInfo: "v=0",
			At: second(3), Done: second(5), Outcome: Outcome{Result: Acked, Seq: 7, Duplicate: true},
		}},
		Heard: []Heard{{
			Process: "p1", JTI: "j2", Type: signal.Stop, CID: "c1", CallID: "k1", From: "proxy", Reason: signal.Declined, Seq: 9, Stored: second(0),
			At: second(6), Returned: second(7), Error: "not now",
		}},
		Faults: []Fault{{Kind: "worker-kill", Target: "w1", Began: second(4), Ended: second(8), Result: "restarted"}},
		Floors: []Floor{{Seq: 7, At: second(9)}},
		Notes:  []Note{{Text: "the end", At: second(10)}},
	}
}

func TestRoundTrip(t *testing.T) {
	var file bytes.Buffer
	r := NewRecorder(&file, clock())
	play(r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(played(), got); diff != "" {
		t.Errorf("read is not what was written (-want +got):\n%s", diff)
	}
}

// TestTornAnywhere cuts a history after every byte, as a crash would: what was
// whole is read, and recording goes on behind it.
func TestTornAnywhere(t *testing.T) {
	var whole bytes.Buffer
	play(NewRecorder(&whole, clock()))
	path := filepath.Join(t.TempDir(), "history.jsonl")
	for cut := range whole.Len() + 1 {
		head := whole.Bytes()[:cut]
		h, err := Read(bytes.NewReader(head))
		if err != nil {
			t.Fatalf("cut after byte %d: %v", cut, err)
		}
		lines := bytes.Count(head, []byte("\n"))
		if torn := cut > 0 && head[cut-1] != '\n'; torn != (h.Torn == 1) {
			t.Fatalf("cut after byte %d: Torn is %d", cut, h.Torn)
		}
		if err := os.WriteFile(path, head, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		r.Note("again")
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(data, []byte("\n")); got != lines+1 {
			t.Fatalf("cut after byte %d: %d lines, want %d and one more", cut, got, lines)
		}
		if h, err := ReadFiles(path); err != nil || h.Torn != 0 || h.Notes[len(h.Notes)-1].Text != "again" {
			t.Fatalf("cut after byte %d and gone on: %v, %+v", cut, err, h)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	const note = `{"kind":"note","at":"2026-03-01T09:00:00Z","text":"x"}` + "\n"
	for name, text := range map[string]string{
		"a torn line in the middle":  `{"kind":"no` + "\n" + note,
		"an unknown kind":            `{"kind":"rumour","at":"2026-03-01T09:00:00Z"}` + "\n",
		"an unknown member":          `{"kind":"note","at":"2026-03-01T09:00:00Z","tone":"x"}` + "\n",
		"an outcome without a send":  `{"kind":"outcome","id":3,"at":"2026-03-01T09:00:00Z","outcome":{}}` + "\n",
		"the outcome of a fault":     `{"kind":"fault","id":3,"at":"2026-03-01T09:00:00Z","fault":{"kind":"x"}}` + "\n" + `{"kind":"outcome","id":3,"at":"2026-03-01T09:00:00Z","outcome":{}}` + "\n",
		"a send that says nothing":   `{"kind":"send","id":3,"at":"2026-03-01T09:00:00Z"}` + "\n",
		"a duplicate name":           `{"kind":"note","kind":"note","at":"2026-03-01T09:00:00Z"}` + "\n",
		"a line that is far too big": strings.Repeat("x", maxLine+1),
	} {
		if h, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s: read as %+v", name, h)
		}
	}
}

// TestConcurrent records from many goroutines into a file.
func TestConcurrent(t *testing.T) {
	const writers, each = 8, 100
	path := filepath.Join(t.TempDir(), "history.jsonl")
	r, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r.Send(Send{JTI: strconv.Itoa(w*each + i)})(Outcome{Result: Acked, Seq: uint64(w*each+i) + 1})
			}
		})
	}
	wg.Wait()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := ReadFiles(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Sends) != writers*each {
		t.Fatalf("%d sends, want %d", len(h.Sends), writers*each)
	}
	for _, s := range h.Sends {
		if s.JTI != strconv.FormatUint(s.Outcome.Seq-1, 10) || s.Done.Before(s.At) {
			t.Fatalf("outcome of another send: %+v", s)
		}
	}
}

// TestWriteError: what could not be written is not forgotten.
func TestWriteError(t *testing.T) {
	r := NewRecorder(full{}, time.Now)
	r.Note("lost")
	if err := r.Close(); !errors.Is(err, errFull) {
		t.Errorf("close: %v, want %v", err, errFull)
	}
	var none *Recorder
	play(none) // records nothing and does not panic
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

// FuzzRead: bytes never panic, and a line that is read is written as it was read.
func FuzzRead(f *testing.F) {
	var whole bytes.Buffer
	play(NewRecorder(&whole, clock()))
	for text := range bytes.Lines(whole.Bytes()) { // short inputs are minimized quickly
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := Read(bytes.NewReader(data))
		if err != nil && h != nil || err == nil && h.Torn > 1 {
			t.Fatalf("history %+v, error %v", h, err)
		}
		for text := range bytes.SplitSeq(data, []byte("\n")) {
			first, err := decode(text)
			if err != nil {
				continue
			}
			again, err := first.encode()
			if err != nil {
				continue // a time that RFC 3339 cannot write
			}
			second, err := decode(bytes.TrimSuffix(again, []byte("\n")))
			if err != nil || !cmp.Equal(first, second, cmpopts.EquateEmpty()) {
				t.Fatalf("decode(encode(l)) differs: %v\n%s\n%s", err, text, again)
			}
		}
	})
}
