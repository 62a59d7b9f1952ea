package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/subjects"
)

// runProvision runs "router provision", again if a server did not answer: routes
// may still be joining.
func (c *Cluster) runProvision(ctx context.Context) error {
	for {
		cmd := exec.CommandContext(ctx, c.opts.Binaries.Router, "provision", "--replicas", fmt.Sprint(min(len(c.servers), 3)), "--timeout", "10s")
		cmd.Env = c.environment(broker.UserAdmin, c.directURLs(), 0)
		out, err := cmd.CombinedOutput()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || !strings.Contains(string(out), context.DeadlineExceeded.Error()) {
			return fmt.Errorf("cluster: router provision: %w\n%s", err, out)
		}
	}
}

// provision runs "router provision" and fills the directory of identities.
func (c *Cluster) provision(ctx context.Context) error {
	if err := c.runProvision(ctx); err != nil {
		return err
	}
	nc, err := c.Connect(broker.UserAdmin)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(30*time.Second))
	if err != nil {
		return err
	}
	kv, err := js.KeyValue(ctx, subjects.BucketIdentities)
	if err != nil {
		return fmt.Errorf("cluster: bucket of identities: %w", err)
	}
	for name, i := range c.keys.identities {
		value, err := i.Record.Encode()
		if err == nil {
			_, err = kv.Put(ctx, name, value)
		}
		if err == nil && i.Record.Role == identity.RoleApp {
			err = provision.EnsureApp(ctx, js, i.ID)
		}
		if err != nil {
			return fmt.Errorf("cluster: identity %s: %w", name, err)
		}
	}
	return nil
}
