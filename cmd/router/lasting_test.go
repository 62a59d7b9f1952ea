package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/monitor"
)

// TestLastingConnectionIsNotSilentForLong: services do not stay for minutes on a
// connection that is dead and was not closed.
func TestLastingConnectionIsNotSilentForLong(t *testing.T) {
	t.Parallel()
	var cfg config
	cfg.NATS.URL = "nats://127.0.0.1:1" // where nobody listens: it goes on trying
	nc, err := connectLasting(cfg, broker.UserAuth, "test", slog.New(slog.DiscardHandler), new(connection), monitor.New("auth", monitor.Build{}, func() error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if got := nc.Opts.PingInterval * time.Duration(nc.Opts.MaxPingsOut+1); got > 30*time.Second {
		t.Errorf("want a silent connection to be given up within 30 s, got %s", got)
	}
}
