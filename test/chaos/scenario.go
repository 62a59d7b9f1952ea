package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// scenario is a way to run.
type scenario struct {
	does   string
	faults []kind
	run    func(context.Context, *run)
	goals  func(*run, *outcome) []goal
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
		"random":   {"every kind of fault", kinds(), breakThings, none},
		"workers":  {"workers are killed, nothing else happens", only("worker killed"), breakThings, workerGoals},
		"leaders":  {"leaders step down, servers are killed", only("leader stepped down", "server killed"), breakThings, leaderGoals},
		"killall":  {"all servers are killed at once, again and again", only("all servers killed"), breakThings, none},
		"overload": {"more messages than the fleet can take", nil, overload, overloadGoals},
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
