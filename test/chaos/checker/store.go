package checker

import (
	"context"
	"time"
)

// Store is what the routers left behind.
type Store interface {
	// Messages calls visit with every message of VOICE_OUT, in the order of the
	// stream, until visit returns an error.
	Messages(ctx context.Context, visit func(Message) error) error
	// Leftovers tells what should be gone when a run has come to rest.
	Leftovers(ctx context.Context) (Leftovers, error)
}

// Message is one stored message.
type Message struct {
	Seq     uint64
	Time    time.Time // when the broker stored it
	Subject string
	Header  map[string][]string
	Data    []byte
}

// Leftovers is what a run that has come to rest should not have.
type Leftovers struct {
	// Waiting is the number of messages in VOICE_IN.
	Waiting uint64
	// Consumers are the durables of both streams.
	Consumers []Consumer
	// Strangers are consumers of either stream that are none of the durables.
	Strangers []string
	// Resources are gauges of processes, goroutines say, before and after.
	Resources []Resource
}

// Consumer is a durable and what it still has to do.
type Consumer struct {
	Name string
	// Unacked messages are delivered and not acknowledged, Pending ones are not
	// delivered.
	Unacked int
	Pending uint64
}

// Resource is a gauge of one process. It leaks if After exceeds Before by more
// than Slack.
type Resource struct {
	Name                 string
	Before, After, Slack float64
}
