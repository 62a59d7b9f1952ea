package router

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/call"
)

// Workers of two releases share the streams while a fleet is upgraded (ADR 0019).
// What the newer ones wrote in a version that this one cannot read it leaves
// alone: it sends the messages back, ever later, and from then on takes only what
// no other worker asks for, so that they reach one that can.

// lastPriority is that of a worker that leaves everything to others that are
// there. No worker draws it.
const lastPriority = 9

// yield is told that this worker met something that a newer one wrote.
func (r *Router) yield(err error) {
	if !r.yields.Swap(true) {
		r.log.Warn("a newer release of the router writes to these streams: other workers are served first from now on; upgrade this one",
			"error", err)
	}
}

// How long a message waits that concerns a call which cannot be decided: doubling
// from a second, up to a minute if somebody has to mend something. If a newer
// worker can decide it, it must not wait long for one to be started.
const (
	firstWait = time.Second
	lastWait  = 64 * time.Second
	newerWait = 8 * time.Second
)

func faultDelay(fault error, delivery int) time.Duration {
	last := lastWait
	if errors.Is(fault, call.ErrNewerVersion) {
		last = newerWait
	}
	return min(firstWait<<min(max(delivery-1, 0), 10), last)
}

// fired is the payload of a timer, and so of the timeout it becomes.
type fired struct {
	// Version is that of the call records; timers without one are of version 1.
	Version int    `json:"v,omitzero"`
	CallID  string `json:"call_id"`
	Epoch   uint64 `json:"epoch"`
}

// decodeFired parses the payload of a timeout. Its error wraps
// [call.ErrNewerVersion] if a newer release wrote the timer.
func decodeFired(data []byte) (fired, error) {
	var f fired
	err := json.Unmarshal(data, &f)
	if err != nil {
		// A newer version may differ in anything but its number.
		var head struct {
			Version int `json:"v"`
		}
		if json.Unmarshal(data, &head) == nil {
			f.Version = head.Version
		}
	}
	if f.Version > call.Version {
		return fired{}, fmt.Errorf("timer: %w: %d, this router knows %d", call.ErrNewerVersion, f.Version, call.Version)
	}
	return f, err
}
