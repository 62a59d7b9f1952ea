package voice

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestSilentConnectionsAreGivenUp: an endpoint does not stay for minutes on a
// connection that is dead and was not closed; who wants it otherwise says so.
func TestSilentConnectionsAreGivenUp(t *testing.T) {
	t.Parallel()
	patience := func(o Options) time.Duration {
		o.Logger = slog.New(slog.DiscardHandler)
		list, err := (&Client{opts: o, log: o.Logger}).natsOptions()
		if err != nil {
			t.Fatal(err)
		}
		applied := nats.GetDefaultOptions()
		for _, option := range list {
			if err := option(&applied); err != nil {
				t.Fatal(err)
			}
		}
		return applied.PingInterval * time.Duration(applied.MaxPingsOut+1)
	}
	if got := patience(Options{}); got > 30*time.Second {
		t.Errorf("want a silent connection to be given up within 30 s, got %s", got)
	}
	if got := patience(Options{NATSOptions: []nats.Option{nats.PingInterval(time.Minute)}}); got != 3*time.Minute {
		t.Errorf("want the interval of the options, got %s", got)
	}
}
