package router

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestHealth: failing commits slow the worker down, make it complain after a
// while, and are forgotten with the first success or when nothing is tried any
// more.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(time.Now)
		if h.hold() != 0 || h.stalled() != 0 || h.complaint() != nil {
			t.Fatal("a new worker complains")
		}
		cause := errors.New("no space")
		var wait time.Duration
		for range 12 {
			wait = h.failed(cause)
			if hold := h.hold(); hold != wait {
				t.Errorf("hold %v, want %v", hold, wait)
			}
			time.Sleep(time.Second) //nolint // virtual time
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
		time.Sleep(stalledFor) //nolint // virtual time
		if err := h.complaint(); err != nil {
			t.Errorf("complains of %v although nothing was tried since", err)
		}
		h.failed(cause)
		h.succeeded()
		if h.hold() != 0 || h.stalled() != 0 {
			t.Error("a success does not end the trouble")
		}
	})
}
