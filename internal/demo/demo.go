package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/voicerouter/voicerouter/identity"
)

// Options configures [Run].
type Options struct {
	// Out receives the timeline.
	Out io.Writer
	// JSON prints one object per event instead of a table.
	JSON bool
	// Logger receives warnings of the routers; default none.
	Logger *slog.Logger
}

// patience is how long one scene may take.
const patience = 15 * time.Second

// Run plays every scene. It returns nil only if each ended as it must.
func Run(ctx context.Context, opts Options) error {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := newStage(ctx, opts.Logger)
	if err != nil {
		return fmt.Errorf("demo: set the stage: %w", err)
	}
	defer s.close()
	t, err := newTimeline(ctx, s.js, opts.Out, opts.JSON)
	if err != nil {
		return fmt.Errorf("demo: timeline: %w", err)
	}
	t.say("An operator and a customer talk through a proxy. Neither learns who the other is:\n" +
		"each signs and sends to the proxy only, and hears from the proxy only.")
	err = s.play(ctx, t)
	t.stop()
	err = errors.Join(err, t.verdict())
	if err != nil {
		t.say("\nFAILED: %v", err)
		return fmt.Errorf("demo: %w", err)
	}
	t.say("\n%d of %d scenarios ended as they must: %d messages delivered, none lost, none doubled, none names the other side (%.1f s).",
		len(scenarios()), len(scenarios()), t.count, time.Since(t.begin).Seconds())
	return nil
}

func (s *stage) play(ctx context.Context, t *timeline) error {
	c := &cast{stage: s, note: func(text string) { t.say("%s", text) }}
	for _, d := range []struct {
		device **device
		id     identity.ID
		party  string
	}{{&c.operator, operator, "desk"}, {&c.phone, customer, "phone"}, {&c.tablet, customer, "tablet"}} {
		device, err := s.device(ctx, d.id, d.party)
		if err != nil {
			return fmt.Errorf("%s %s: %w", d.id, d.party, err)
		}
		defer device.close()
		*d.device = device
	}
	var failed []error
	for i, scene := range scenarios() {
		t.say("\n%d. %s", i+1, scene.title)
		scening, cancel := context.WithTimeout(ctx, patience)
		err := scene.play(scening, c, scene.cid)
		cancel()
		if err == nil {
			err = t.catchUp(ctx, s.nc)
		}
		if err != nil {
			t.say("  NOT as it must: %v", err)
			failed = append(failed, fmt.Errorf("%s: %w", scene.cid, err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(failed...)
}
