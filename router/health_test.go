package router

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestHealth: failing commits slow the worker down, make it complain after a
// while, and are forgotten with the first success or when nothing is tried any
// more.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(time.Now)
		if h.manner() != (manner{}) || h.stalled() != 0 || h.complaint() != nil {
			t.Fatal("a new worker complains")
		}
		cause := errors.New("no space")
		var wait time.Duration
		for i := range 12 {
			wait = h.failed(cause)
			if m, few := h.manner(), i+1 >= humbleAfter; m != (manner{wait, few, few}) {
				t.Errorf("after %d failures: %+v, want to wait for %v, and to ask for little: %v", i+1, m, wait, few)
			}
			time.Sleep(time.Second) // virtual time
		}
		if wait < lastBackoff/2 || wait > lastBackoff {
			t.Errorf("after 12 failures: wait %v, want about %v", wait, lastBackoff)
		}
		if d := h.stalled(); d != 12*time.Second {
			t.Errorf("stalled for %v, want 12 s", d)
		}
		if err := h.complaint(); !errors.Is(err, cause) || !strings.Contains(err.Error(), "12s") {
			t.Errorf("complaint %v: want the cause and how long", err)
		}
		time.Sleep(stalledFor) // virtual time
		if err := h.complaint(); err != nil {
			t.Errorf("complains of %v although nothing was tried since", err)
		}
		h.failed(cause)
		if h.cutOff() {
			t.Error("seeks another server although nothing failed for long")
		}
		time.Sleep(moveAfter)
		h.failed(cause)
		if !h.cutOff() || h.cutOff() {
			t.Error("want it to seek another server once after 5 s")
		}
		h.succeeded()
		if h.manner() != (manner{}) || h.stalled() != 0 {
			t.Error("a success does not end the trouble")
		}
	})
}

// TestOneFailure: a batch that fails is one failure, in however many parts it was
// decided; what fails later is another.
func TestOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(time.Now)
		for range 20 {
			if wait := h.failed(context.DeadlineExceeded); wait > firstBackoff {
				t.Fatalf("a part of the first batch that fails waits for %v", wait)
			}
		}
		if h.manner().humble {
			t.Error("one batch that failed makes a worker ask for little")
		}
		time.Sleep(firstBackoff) // virtual time
		h.failed(context.DeadlineExceeded)
		if !h.manner().humble {
			t.Error("a second batch that failed does not")
		}
	})
}

// TestCutOff: a server that answers is not left, whatever the answer.
func TestCutOff(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{context.DeadlineExceeded, true},
		{&jetstream.APIError{ErrorCode: codeNotAvailable}, true}, // it knows no leader
		{&jetstream.APIError{ErrorCode: codeStorageExceeded}, false},
		{&jetstream.APIError{ErrorCode: 19999}, false},
		{errContended, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHealth(time.Now)
			h.failed(test.err)
			time.Sleep(2 * moveAfter) // virtual time
			h.failed(test.err)
			if got := h.cutOff(); got != test.want {
				t.Errorf("%v: leaves the server %v, want %v", test.err, got, test.want)
			}
		})
	}
}
