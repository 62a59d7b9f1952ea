package doctor

import "fmt"

// Status is what a finding says of the thing that was looked at.
type Status string

// The statuses. Wrong ones make the installation unfit; a warning is worth
// knowing before production; skipped says what could not be looked at, and why.
const (
	OK      Status = "ok"
	Warn    Status = "warn"
	Wrong   Status = "wrong"
	Skipped Status = "skipped"
)

// Finding is one line of a report.
type Finding struct {
	// Check is the name of the check (see [Checks]).
	Check string `json:"check"`
	// About is what was looked at: a server, a stream, a file, a user.
	About string `json:"about"`
	// Status is the verdict.
	Status Status `json:"status"`
	// Seen is what was found, in words.
	Seen string `json:"seen"`
	// Mend says what to do: a command where there is one. Only for [Warn] and
	// [Wrong].
	Mend string `json:"mend,omitzero"`
}

// Report is everything that was found, in the order of the checks.
type Report struct {
	Findings []Finding `json:"findings"`
	// How many findings have which status.
	OK      int `json:"ok"`
	Warn    int `json:"warn"`
	Wrong   int `json:"wrong"`
	Skipped int `json:"skipped"`
}

func (r *Report) add(f Finding) {
	r.Findings = append(r.Findings, f)
	switch f.Status {
	case OK:
		r.OK++
	case Warn:
		r.Warn++
	case Wrong:
		r.Wrong++
	case Skipped:
		r.Skipped++
	}
}

// Summary counts the findings in words.
func (r *Report) Summary() string {
	return fmt.Sprintf("%d ok, %d warnings, %d wrong, %d not looked at", r.OK, r.Warn, r.Wrong, r.Skipped)
}
