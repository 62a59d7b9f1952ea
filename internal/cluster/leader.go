package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/subjects"
)

// Leader returns the server that leads a stream, or one of its consumers if it
// is not "". The error says so if nobody does.
func (c *Cluster) Leader(ctx context.Context, stream, consumer string) (*Server, error) {
	var leader *Server
	err := c.withJetStream(func(js jetstream.JetStream) error {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return fmt.Errorf("cluster: %s: %w", stream, err)
		}
		info := s.CachedInfo().Cluster
		if consumer != "" {
			k, err := s.Consumer(ctx, consumer)
			if err != nil {
				return fmt.Errorf("cluster: %s of %s: %w", consumer, stream, err)
			}
			info = k.CachedInfo().Cluster
		}
		if info != nil {
			leader = c.server(info.Leader)
		}
		if leader == nil {
			return fmt.Errorf("cluster: %s %s has no leader", stream, consumer)
		}
		return nil
	})
	return leader, err
}

// StepDown has the leader of a stream, or of one of its consumers if it is not
// "", hand over to another server.
func (c *Cluster) StepDown(ctx context.Context, stream, consumer string) error {
	target, subject := stream, subjects.RequestStepDown(stream)
	if consumer != "" {
		target, subject = stream+" "+consumer, subjects.RequestConsumerStepDown(stream, consumer)
	}
	nc, err := c.Connect(broker.UserAdmin)
	if err != nil {
		return err
	}
	defer nc.Close()
	c.note(LeaderMoved, target, false, "")
	return c.stepDown(ctx, nc, subject)
}

// StepDownMeta has the leader of the whole JetStream hand over.
func (c *Cluster) StepDownMeta(ctx context.Context) error {
	nc, err := c.Connect(broker.UserSystem)
	if err != nil {
		return err
	}
	defer nc.Close()
	c.note(LeaderMoved, "meta", false, "")
	return c.stepDown(ctx, nc, subjects.RequestMetaStepDown)
}

func (c *Cluster) stepDown(ctx context.Context, nc *nats.Conn, subject string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := nc.RequestWithContext(ctx, subject, nil); err != nil {
		return fmt.Errorf("cluster: %s: %w", subject, err)
	}
	return nil
}

// Settled returns nil if every process that should run is ready, every stream
// and consumer has a leader, and all of their replicas are current.
func (c *Cluster) Settled(ctx context.Context) error {
	var errs []error
	for _, s := range c.servers {
		errs = append(errs, s.Healthy(ctx))
	}
	for _, w := range c.Workers() {
		errs = append(errs, w.Ready(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return c.withJetStream(func(js jetstream.JetStream) error {
		for _, name := range []string{subjects.StreamIn, subjects.StreamOut, subjects.KV(subjects.BucketRoutes), subjects.KV(subjects.BucketIdentities)} {
			s, err := js.Stream(ctx, name)
			if err != nil {
				return fmt.Errorf("cluster: %s: %w", name, err)
			}
			if err := current(name, s.CachedInfo().Cluster); err != nil {
				return err
			}
		}
		return nil
	})
}

func current(name string, info *jetstream.ClusterInfo) error {
	if info == nil {
		return nil // a server by itself
	}
	if info.Leader == "" {
		return fmt.Errorf("cluster: %s has no leader", name)
	}
	for _, r := range info.Replicas {
		if !r.Current || r.Offline {
			return fmt.Errorf("cluster: replica %s of %s is not current", r.Name, name)
		}
	}
	return nil
}

func (c *Cluster) withJetStream(do func(jetstream.JetStream) error) error {
	nc, err := c.Connect(broker.UserAdmin)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	return do(js)
}
