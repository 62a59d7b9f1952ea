package workload

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/test/chaos/history"
)

// RoutesIn returns a function for [Options].Routes that writes to the bucket, with
// the rights of the backend, and tries until its context ends.
func RoutesIn(js jetstream.JetStream) func(context.Context, string, call.Route) error {
	return func(ctx context.Context, cid string, route call.Route) error {
		data, err := route.Encode()
		if err != nil {
			return err
		}
		for {
			if err = put(ctx, js, cid, data); err == nil {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("workload: route %s: %w", cid, err)
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

func put(ctx context.Context, js jetstream.JetStream, cid string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	kv, err := js.KeyValue(ctx, subjects.BucketRoutes)
	if err != nil {
		return err
	}
	_, err = kv.Put(ctx, cid, data)
	return err
}

// route stores the route of a masked conversation.
func (w *Workload) route(ctx context.Context, c history.Conversation) error {
	return w.opts.Routes(ctx, c.CID, call.Route{
		Proxy: identity.MustID(c.Proxy), Operator: identity.MustID(c.Operator), Customer: identity.MustID(c.Customer),
		OperatorName: "Bob", CustomerName: "Ada", Start: c.Start, MaskCallID: c.MaskCallID,
	})
}
