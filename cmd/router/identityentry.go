package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/identity"
)

func newIdentityShowCommand(t *target) *cobra.Command {
	return &cobra.Command{
		Use: "show <selfid>", Short: "Print the record of an identity as JSON", Args: arguments("selfid"),
		Example: "  router identity show 1112223334",
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.entry(cmd, args[0], func(_ context.Context, _ jetstream.JetStream, _ jetstream.KeyValue, i listed, _ uint64) error {
				return printJSON(cmd.OutOrStdout(), i)
			})
		},
	}
}

func newIdentityRevokeCommand(t *target) *cobra.Command {
	return &cobra.Command{
		Use: "revoke <selfid>", Short: "Refuse everything that an identity sends", Args: arguments("selfid"),
		Long: `Marks an identity as revoked: routers refuse its messages and "router auth"
its connections from now on. Open connections are closed and live calls ended
within a second. The entry stays, so that nobody else can take the name.

Where the server knows the identities by itself, its configuration must be made
anew (router provision --server-config --with-identities); in operator mode the
user is to be revoked in the account (nsc revocations add-user). Live calls are
ended in any case, if a router runs.`,
		Example: "  router identity revoke 1112223334",
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.entry(cmd, args[0], func(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, i listed, revision uint64) error {
				if i.Revoked {
					_, err := fmt.Fprintf(cmd.OutOrStdout(), "identity %s was revoked before\n", i.ID)
					return err
				}
				i.Revoked = true
				value, err := i.Encode()
				if err != nil {
					return err
				}
				if _, err := kv.Update(ctx, i.ID.String(), value, revision); err != nil {
					return fmt.Errorf("revoke identity %s: %w", i.ID, err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "identity %s revoked\n", i.ID)
				return endCalls(ctx, cmd, js.Conn(), i.ID)
			})
		},
	}
}

// entry runs do with the record of one identity and its revision.
func (t *target) entry(cmd *cobra.Command, name string, do func(context.Context, jetstream.JetStream, jetstream.KeyValue, listed, uint64) error) error {
	id, err := identity.ParseID(name)
	if err != nil {
		return usageError{err}
	}
	return t.directory(cmd, func(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue) error {
		entry, err := kv.Get(ctx, id.String())
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return fmt.Errorf("identity %s: %w", id, identity.ErrUnknown)
		}
		if err != nil {
			return fmt.Errorf("read identity %s: %w", id, err)
		}
		i, err := decodeEntry(entry)
		if err != nil {
			return fmt.Errorf("identity %s: %w", id, err)
		}
		return do(ctx, js, kv, i, entry.Revision())
	})
}

// endCalls ends the live calls of an identity that has been revoked.
func endCalls(ctx context.Context, cmd *cobra.Command, nc *nats.Conn, id identity.ID) error {
	n, err := auth.EndCalls(ctx, nc, id)
	if errors.Is(err, nats.ErrNoResponders) {
		fmt.Fprintln(cmd.ErrOrStderr(), "router: no router runs: live calls are not ended")
		return nil
	}
	if n > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "%d live calls ended\n", n)
	}
	return err
}
