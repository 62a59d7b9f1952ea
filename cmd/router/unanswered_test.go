package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// TestUnanswered: a worker that starts while no server leads JetStream waits, one
// that is told that a stream is not there gives up.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	for want, errs := range map[bool][]error{
		true: {
			&jetstream.APIError{Code: 503, ErrorCode: 10008, Description: "JetStream system temporarily unavailable"},
			&jetstream.APIError{Code: 500, ErrorCode: 10118, Description: "stream is offline"},
			jetstream.ErrJetStreamNotEnabled, context.DeadlineExceeded,
		},
		false: {jetstream.ErrStreamNotFound, errors.New("another"), &jetstream.APIError{Code: 400, ErrorCode: 10003}},
	} {
		for _, err := range errs {
			if got := unanswered(fmt.Errorf("provision: %w", err)); got != want {
				t.Errorf("%v: want %t, got %t", err, want, got)
			}
		}
	}
}
