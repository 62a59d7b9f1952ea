package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Recorder writes a history. It is safe for concurrent use, and a nil one records
// nothing. What cannot be written is reported by [Recorder.Close].
type Recorder struct {
	mu   sync.Mutex
	w    io.Writer
	now  func() time.Time
	next uint64
	err  error
}

// Create opens the history in a file for writing behind what stands there. A last
// line that was cut is removed.
func Create(path string) (*Recorder, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	if err := mend(f); err != nil {
		_ = f.Close() // the first error counts
		return nil, fmt.Errorf("history: %s: %w", path, err)
	}
	return NewRecorder(f, time.Now), nil
}

// NewRecorder returns a recorder that writes each line with one call of w.Write.
// If w is an [io.Closer], [Recorder.Close] closes it.
func NewRecorder(w io.Writer, now func() time.Time) *Recorder {
	return &Recorder{w: w, now: now}
}

// mend cuts off an unfinished line and goes to the end of f.
func mend(f *os.File) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	tail := make([]byte, min(end, maxLine))
	if _, err := f.ReadAt(tail, end-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	whole := end - int64(len(tail)) + int64(bytes.LastIndexByte(tail, '\n')+1)
	if whole < end {
		if err := f.Truncate(whole); err != nil {
			return err
		}
	}
	_, err = f.Seek(whole, io.SeekStart)
	return err
}

// write writes one line and returns its id.
func (r *Recorder) write(l line) uint64 {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.ID == 0 {
		r.next++
		l.ID = r.next
	}
	l.At = r.now().UTC()
	data, err := l.encode()
	if err == nil {
		_, err = r.w.Write(data)
	}
	if err != nil && r.err == nil {
		r.err = err
	}
	return l.ID
}

// Process records a client that is ready to receive; end records its end.
func (r *Recorder) Process(p Process) (end func(killed bool)) {
	id := r.write(line{Kind: kindProcess, Process: &p})
	return func(killed bool) { r.write(line{Kind: kindProcessEnd, ID: id, Killed: killed}) }
}

// Conversation records who takes part in a conversation.
func (r *Recorder) Conversation(c Conversation) {
	r.write(line{Kind: kindConversation, Conversation: &c})
}

// Send records a message before it is published; done records the outcome.
func (r *Recorder) Send(s Send) (done func(Outcome)) {
	id := r.write(line{Kind: kindSend, Send: &s})
	return func(o Outcome) { r.write(line{Kind: kindOutcome, ID: id, Outcome: &o}) }
}

// Heard records that a handler was called; returned records what it returned.
func (r *Recorder) Heard(h Heard) (returned func(error)) {
	id := r.write(line{Kind: kindHeard, Heard: &h})
	return func(err error) {
		l := line{Kind: kindReturned, ID: id}
		if err != nil {
			l.Error = err.Error()
		}
		r.write(l)
	}
}

// Fault records a fault as it begins to act; end records that it has been mended,
// and how that went. A fault of a moment ends at once.
func (r *Recorder) Fault(f Fault) (end func(result string)) {
	id := r.write(line{Kind: kindFault, Fault: &f})
	return func(result string) { r.write(line{Kind: kindFaultEnd, ID: id, Text: result}) }
}

// Floor records that every message in VOICE_IN up to seq has been acknowledged.
func (r *Recorder) Floor(seq uint64) { r.write(line{Kind: kindFloor, Seq: seq}) }

// Note records a remark.
func (r *Recorder) Note(format string, args ...any) {
	r.write(line{Kind: kindNote, Text: fmt.Sprintf(format, args...)})
}

// Close closes the file and returns the first error of all writes.
func (r *Recorder) Close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.err
	if c, ok := r.w.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	r.w, r.err = io.Discard, nil
	return err
}
