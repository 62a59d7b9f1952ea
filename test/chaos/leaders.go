package main

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// ackWait is when a message that a worker died with is delivered again.
const ackWait = provision.DefaultAckWait

// leaderGoals: work goes on soon after the last of the streams and consumers that
// it needs has a leader again.
func leaderGoals(r *run, _ *outcome) []goal {
	h, err := history.ReadFiles(r.historyFile())
	if err != nil {
		return []goal{{"read the history", "", err.Error(), false}}
	}
	elected, err := elections(r.opts.dir)
	if err != nil {
		return []goal{{"read the servers' logs", "", err.Error(), false}}
	}
	return []goal{atMost("leader lost: after the new leader work resumes within", 3*time.Second, resumed(h, deliveriesOf(h), elected).Max)}
}

// resumed measures, for each fault that an election followed, the time from the
// last of its elections to the first message that was delivered then.
func resumed(h *history.History, all deliveries, elected []time.Time) times {
	heard := make([]time.Time, len(all))
	for i, m := range all {
		heard[i] = m.heard
	}
	slices.SortFunc(heard, time.Time.Compare)
	var took []time.Duration
	for i, f := range h.Faults {
		until := f.Began.Add(15 * time.Second)
		if i+1 < len(h.Faults) && h.Faults[i+1].Began.Before(until) {
			until = h.Faults[i+1].Began
		}
		last := time.Time{}
		for _, at := range elected {
			if at.After(f.Began) && at.Before(until) {
				last = at
			}
		}
		next, found := slices.BinarySearchFunc(heard, last, time.Time.Compare)
		if !last.IsZero() && (found || next < len(heard)) {
			took = append(took, heard[next].Sub(last))
		}
	}
	return timesOf(took)
}

// elections returns when, as the logs of the servers say, a stream or consumer
// that the routers need got a new leader.
func elections(dir string) ([]time.Time, error) {
	logs, err := filepath.Glob(filepath.Join(dir, "logs", "n*.log"))
	if err != nil {
		return nil, err
	}
	var all []time.Time
	for _, name := range logs {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if at, ok := election(lines.Text()); ok {
				all = append(all, at)
			}
		}
		_ = f.Close() // it was only read
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all, nil
}

// election reads "[1] 2026/01/02 15:04:05.000000 [INF] JetStream cluster new stream
// leader for 'ROUTER > VOICE_IN'".
func election(line string) (time.Time, bool) {
	_, what, ok := strings.Cut(line, "JetStream cluster new ")
	if !ok || !strings.Contains(what, " leader for ") {
		return time.Time{}, false
	}
	if !strings.Contains(what, subjects.StreamIn) && !strings.Contains(what, subjects.StreamOut) || strings.Contains(what, "> app-") {
		return time.Time{}, false
	}
	fields := strings.Fields(line)
	at, err := time.ParseInLocation("2006/01/02 15:04:05.000000", fields[1]+" "+fields[2], time.Local)
	return at, err == nil
}
