package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/subjects"
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
	c.full.Store(true)
	return c.withJetStream(func(js jetstream.JetStream) error {
		err := Wait(ctx, "filler created", func(ctx context.Context) error {
			_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
				Name: filler, Subjects: []string{"filler"}, Replicas: min(len(c.servers), 3), Storage: jetstream.FileStorage,
			})
			return err
		})
		if err != nil {
			return err
		}
		return Wait(ctx, "disks full", func(ctx context.Context) error { return c.fill(ctx, js) })
	})
}

// fill writes until the leader of the filler refuses. It is a server's own store
// that counts: a leader that is full hands over to one that is not.
func (c *Cluster) fill(ctx context.Context, js jetstream.JetStream) error {
	chunk := make([]byte, fillerChunk)
	for {
		_, err := js.Publish(ctx, "filler", chunk)
		if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == insufficientResources {
			break
		}
		if err != nil {
			return err
		}
	}
	for _, s := range c.servers {
		usage, err := s.Usage(ctx)
		if err != nil {
			return err
		}
		if int64(usage.Store) <= s.disk() {
			_, _ = js.Conn().RequestWithContext(ctx, subjects.RequestStepDown(filler), nil)
			return fmt.Errorf("cluster: %s stores %d bytes of %d", s.Name, usage.Store, s.disk())
		}
	}
	return nil
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
	c.full.Store(false)
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

// KeepDisksGrowing calls GrowDisks until ctx ends, but for the time in which disks
// are to be full. What goes wrong is tried again.
func (c *Cluster) KeepDisksGrowing(ctx context.Context, free int64) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !c.full.Load() {
				_ = c.GrowDisks(ctx, free)
			}
		}
	}
}
