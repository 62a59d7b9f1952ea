package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is one of the six things that must not happen.
type Kind string

// The kinds.
const (
	Lost       Kind = "lost"
	Duplicated Kind = "duplicated"
	Disordered Kind = "disordered"
	Split      Kind = "split"
	Stuck      Kind = "stuck"
	Leaked     Kind = "leaked"
)

// Kinds lists the kinds in the order of reports.
func Kinds() []Kind { return []Kind{Lost, Duplicated, Disordered, Split, Stuck, Leaked} }

// Finding is one defect.
type Finding struct {
	Kind Kind
	// Rule says in a few words which rule is broken, Detail by what.
	Rule   string
	Detail string
	// CID, CallID, Who and JTI are set as far as they apply.
	CID, CallID, Who, JTI string
	// At is when, to find the faults around it.
	At time.Time
}

// String returns one line.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s:", f.Kind, f.Rule)
	for _, member := range [][2]string{{"cid", f.CID}, {"call_id", f.CallID}, {"who", f.Who}, {"jti", f.JTI}} {
		if member[1] != "" {
			fmt.Fprintf(&b, " %s=%s", member[0], member[1])
		}
	}
	if !f.At.IsZero() {
		fmt.Fprintf(&b, " at=%s", f.At.UTC().Format(time.RFC3339Nano))
	}
	if f.Detail != "" {
		fmt.Fprintf(&b, " (%s)", f.Detail)
	}
	return b.String()
}

// Report is the verdict on a run.
type Report struct {
	// Findings are the defects, by kind and time.
	Findings []Finding
	// Calls rang; Messages are different (sender, jti); Unknown of them have no
	// known outcome. Transitions are versions of records, Stored are messages in
	// inboxes, Handled are calls of handlers.
	Calls, Messages, Unknown, Transitions, Stored, Handled int
	// Overtaken messages reached a process under a fault only when another had made
	// them moot, and were dropped there; or, when others had been heard, an error
	// or the stop of a call of another device: they mean the same at any time.
	Overtaken int
	// Live are conversations whose call goes on and whose timer is not yet due.
	Live []string
	// Notes say what could not be judged.
	Notes []string
}

// Counts returns the number of defects of each kind; every kind is there.
func (r *Report) Counts() map[Kind]int {
	counts := map[Kind]int{}
	for _, k := range Kinds() {
		counts[k] = 0
	}
	for _, f := range r.Findings {
		counts[f.Kind]++
	}
	return counts
}

// Clean reports whether there is no defect.
func (r *Report) Clean() bool { return len(r.Findings) == 0 }

// String returns the counts in one line: "0 lost, 0 duplicated, ...".
func (r *Report) String() string {
	counts := r.Counts()
	words := make([]string, 0, len(counts))
	for _, k := range Kinds() {
		words = append(words, fmt.Sprintf("%d %s", counts[k], k))
	}
	return strings.Join(words, ", ")
}

func (r *Report) add(f Finding) { r.Findings = append(r.Findings, f) }

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// sort orders the findings for readers, and drops what two judges found alike.
func (r *Report) sort() {
	rank := map[Kind]int{}
	for i, k := range Kinds() {
		rank[k] = i
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank[a.Kind], rank[b.Kind]), a.At.Compare(b.At), cmp.Compare(a.CID, b.CID), cmp.Compare(a.Rule, b.Rule))
	})
	r.Findings = slices.Compact(r.Findings)
}
