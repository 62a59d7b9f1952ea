package history

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
)

// maxLine is the longest line: an offer of 32 KiB, escaped.
const maxLine = 1 << 20

// History is a run, in the order of its events.
type History struct {
	Processes     []Process
	Conversations []Conversation
	Sends         []Send
	Heard         []Heard
	Faults        []Fault
	Floors        []Floor
	Notes         []Note
	// Torn counts last lines that were cut off.
	Torn int
}

// ReadFiles reads the histories of one run.
func ReadFiles(paths ...string) (*History, error) {
	all := &History{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		err = all.read(f)
		_ = f.Close() // it was only read
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	all.sort()
	return all, nil
}

// Read reads one history. Its error wraps [ErrLine] if a line tells nothing
// known.
func Read(r io.Reader) (*History, error) {
	h := &History{}
	if err := h.read(r); err != nil {
		return nil, err
	}
	h.sort()
	return h, nil
}

// read adds what r holds. A line without its line break is the last one, torn.
func (h *History) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	lines.Split(splitLines)
	open := map[uint64]int{} // where in its list the event with this id stands
	for n := 1; lines.Scan(); n++ {
		text, whole := bytes.CutSuffix(lines.Bytes(), []byte("\n"))
		if !whole {
			h.Torn++
			break
		}
		l, err := decode(text)
		if err == nil {
			err = h.add(l, open)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// splitLines is a [bufio.SplitFunc] that keeps line breaks.
func splitLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// add adds one line. An id may be used anew by a process that was started again;
// what ends belongs to the last that began.
func (h *History) add(l line, open map[uint64]int) error {
	switch l.Kind {
	case kindProcess:
		p := *l.Process
		p.Began = l.At
		open[l.ID], h.Processes = len(h.Processes), append(h.Processes, p)
	case kindConversation:
		h.Conversations = append(h.Conversations, *l.Conversation)
	case kindSend:
		s := *l.Send
		s.At = l.At
		open[l.ID], h.Sends = len(h.Sends), append(h.Sends, s)
	case kindHeard:
		e := *l.Heard
		e.At = l.At
		open[l.ID], h.Heard = len(h.Heard), append(h.Heard, e)
	case kindFault:
		f := *l.Fault
		f.Began = l.At
		open[l.ID], h.Faults = len(h.Faults), append(h.Faults, f)
	case kindFloor:
		h.Floors = append(h.Floors, Floor{Seq: l.Seq, At: l.At})
	case kindNote:
		h.Notes = append(h.Notes, Note{Text: l.Text, At: l.At})
	case kindProcessEnd, kindOutcome, kindReturned, kindFaultEnd:
		i, ok := open[l.ID]
		delete(open, l.ID)
		if !ok || !h.end(l, i) {
			return fmt.Errorf("%w: %s of id %d, which has not begun", ErrLine, l.Kind, l.ID)
		}
	}
	return nil
}

// end completes the i-th event of the list that belongs to l; false if there is
// none.
func (h *History) end(l line, i int) bool {
	switch {
	case l.Kind == kindProcessEnd && i < len(h.Processes):
		h.Processes[i].Ended, h.Processes[i].Killed = l.At, l.Killed
	case l.Kind == kindOutcome && i < len(h.Sends):
		h.Sends[i].Done, h.Sends[i].Outcome = l.At, *l.Outcome
	case l.Kind == kindReturned && i < len(h.Heard):
		h.Heard[i].Returned, h.Heard[i].Error = l.At, l.Error
	case l.Kind == kindFaultEnd && i < len(h.Faults):
		h.Faults[i].Ended, h.Faults[i].Result = l.At, l.Text
	default:
		return false
	}
	return true
}

// sort puts what several files hold into one order.
func (h *History) sort() {
	slices.SortStableFunc(h.Processes, func(a, b Process) int { return a.Began.Compare(b.Began) })
	slices.SortStableFunc(h.Sends, func(a, b Send) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(h.Heard, func(a, b Heard) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(h.Faults, func(a, b Fault) int { return a.Began.Compare(b.Began) })
	slices.SortStableFunc(h.Notes, func(a, b Note) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(h.Floors, func(a, b Floor) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Seq, b.Seq))
	})
}
