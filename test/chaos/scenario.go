package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/voicerouter/voicerouter/test/chaos/checker"
)

// scenario is a way to run.
type scenario struct {
	does   string
	faults []kind
	run    func(context.Context, *run)
	goals  func(*run, *outcome) []goal
	// env are variables of the workers, patience is how long a side of a call waits
	// for the other.
	env      []string
	patience time.Duration
	// slots is how many calls each pair may have at once; 0 is a few.
	slots int
}

// goal is a number to reach.
type goal struct {
	What    string `json:"what"`
	Want    string `json:"want"`
	Got     string `json:"got"`
	Reached bool   `json:"reached"`
}

func scenarios() map[string]scenario {
	none := func(*run, *outcome) []goal { return nil }
	return map[string]scenario{
		"random": {does: "every kind of fault", faults: kinds(), run: breakThings, goals: none},
		"workers": {
			does: "workers are killed, nothing else happens", faults: only("worker killed"),
			run: breakThings, goals: workerGoals,
		},
		"rolling": {
			does: "workers are told to end, one after another, and started again", faults: only("worker terminated"),
			run: breakThings, goals: rollingGoals,
		},
		"leaders": {
			does: "leaders step down, servers are killed", faults: only("leader stepped down", "server killed"),
			run: breakThings, goals: leaderGoals,
		},
		"partitions": {
			does:   "the network between servers, and to them, breaks",
			faults: only("server cut off", "route cut", "link cut", "leader stepped down"), run: breakThings, goals: none,
		},
		"disks": {
			does: "the stores are full, again and again", faults: only("disk full"),
			run: breakThings, goals: none,
		},
		"killall": {
			does: "all servers are killed at once, again and again", faults: only("all servers killed"),
			run: breakThings, goals: killGoals,
		},
		// One message a commit makes a fleet slow enough for this machine to ask for
		// twice as much; endpoints that hardly wait go on asking.
		"overload": {
			does: "more messages than the fleet can take", run: overload, goals: overloadGoals,
			env: []string{"ROUTER_BATCH_SIZE=1"}, patience: 2 * time.Second, slots: 64,
		},
	}
}

func scenarioNames() string {
	return strings.Join(slices.Sorted(maps.Keys(scenarios())), ", ")
}

func only(names ...string) []kind {
	return slices.DeleteFunc(kinds(), func(k kind) bool { return !slices.Contains(names, k.name) })
}

// workerGoals: whoever was in the middle of a call when a worker died waits for
// no more than the ack wait and a second.
func workerGoals(_ *run, o *outcome) []goal {
	return []goal{atMost("worker killed: messages on their way are delivered within", ackWait+time.Second, worst(o, "worker killed"))}
}

// rollingGoals: nobody notices that workers are replaced.
func rollingGoals(_ *run, o *outcome) []goal {
	return []goal{
		atMost("workers replaced one by one: the slowest start is delivered within", time.Second, o.Setup.Max),
		atMost("workers replaced one by one: the slowest accept is delivered within", time.Second, o.Answer.Max),
	}
}

// killGoals: what a broker that fsyncs has acknowledged outlives all of its
// servers.
func killGoals(_ *run, o *outcome) []goal {
	lost := o.Counts[string(checker.Lost)]
	return []goal{{"all servers killed at once: acknowledged messages that are lost", "0", strconv.Itoa(lost), lost == 0}}
}

func worst(o *outcome, kind string) time.Duration {
	for _, f := range o.Faults {
		if f.Kind == kind {
			return f.Caught.Max
		}
	}
	return 0
}

func atMost(what string, want, got time.Duration) goal {
	return goal{what, "at most " + want.String(), got.Round(time.Millisecond).String(), got <= want}
}
