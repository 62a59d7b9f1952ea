package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/broker"
)

// How a disk is filled: a stream of its own takes the room that is left.
const (
	filler      = "FILLER"
	fillerChunk = 256 << 10
)

// FillDisks has every server refuse writes because its store is full, until
// FreeDisks. It takes as long as it takes to write what is free: Options.Disk
// and [Cluster.GrowDisks] bound that.
func (c *Cluster) FillDisks(ctx context.Context) error {
	c.note(DiskFull, "all servers", false, "")
	return c.withJetStream(func(js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: filler, Subjects: []string{"filler"}, Replicas: min(len(c.servers), 3), Storage: jetstream.FileStorage,
		})
		if err != nil {
			return fmt.Errorf("cluster: fill disks: %w", err)
		}
		chunk := make([]byte, fillerChunk)
		for {
			_, err := js.Publish(ctx, "filler", chunk)
			if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == insufficientResources {
				return nil
			}
			if err != nil && ctx.Err() != nil {
				return fmt.Errorf("cluster: fill disks: %w", err)
			}
		}
	})
}

// insufficientResources is what JetStream answers when max_file_store is reached.
const insufficientResources = 10023

// FreeDisks ends FillDisks.
func (c *Cluster) FreeDisks(ctx context.Context) error {
	err := c.withJetStream(func(js jetstream.JetStream) error {
		return Wait(ctx, "filler deleted", func(ctx context.Context) error {
			err := js.DeleteStream(ctx, filler)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				return nil
			}
			return err
		})
	})
	c.note(DiskFull, "all servers", true, "")
	return err
}

// GrowDisks sees to it that this many bytes are free on every server that runs.
// Disks never shrink.
func (c *Cluster) GrowDisks(ctx context.Context, free int64) error {
	var errs []error
	for _, s := range c.servers {
		if !s.Running() {
			continue
		}
		usage, err := s.Usage(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if want := int64(usage.Store) + free; want > s.disk() {
			errs = append(errs, s.Reload(func(cfg *broker.Config) { cfg.MaxFile = want + free }))
		}
	}
	return errors.Join(errs...)
}

func (s *Server) disk() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.MaxFile
}

// KeepDisksGrowing calls GrowDisks until ctx ends. What goes wrong is tried again.
func (c *Cluster) KeepDisksGrowing(ctx context.Context, free int64) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = c.GrowDisks(ctx, free)
		}
	}
}
