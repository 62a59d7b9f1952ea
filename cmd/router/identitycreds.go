package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/auth"
)

// credentials holds the flags of "identity creds".
type credentials struct {
	dir, signingKey, account, out string
	expires                       time.Duration
}

func newIdentityCredsCommand(t *target) *cobra.Command {
	var c credentials
	cmd := &cobra.Command{
		Use: "creds <selfid>", Short: "Issue credentials of an identity, for a broker in operator mode", Args: arguments("selfid"),
		Long: `Issues a user JWT for an identity of the directory and writes it, with the seed
of the identity's nkey (<selfid>.nk in --dir), to a file of mode 0600. The JWT is
signed with the scoped signing key of the identity's role, whose template holds
the permissions, and carries the identity as its name: names with wildcards or
dots do not exist. A revoked identity gets none.

Revoke it by "router identity revoke" and in the account ("nsc revocations
add-user --account VOICE --user-public-key <nkey>", then push).`,
		Example: "  router identity creds 1112223334 --dir keys --signing-key keys/signing-user.nk --account ABC... --expires 720h",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !nkeys.IsValidPublicAccountKey(c.account) {
				return usagef("--account: want the public key of the account VOICE (A...)")
			}
			if c.signingKey == "" {
				return usagef("--signing-key: want the file of the scoped signing key of the identity's role")
			}
			if c.expires < 0 {
				return usagef("--expires %s: want a positive duration, or 0 for never", c.expires)
			}
			return t.entry(cmd, args[0], func(_ context.Context, _ jetstream.JetStream, _ jetstream.KeyValue, i listed, _ uint64) error {
				return c.issue(cmd, i)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.dir, "dir", ".", "directory of the identity's nkey seed, <selfid>.nk")
	f.StringVar(&c.signingKey, "signing-key", "", "file with the seed of the role's scoped signing key (SA...)")
	f.StringVar(&c.account, "account", "", "public key of the account VOICE (A...)")
	f.StringVar(&c.out, "out", "", "file to write (default <selfid>.creds in --dir)")
	f.DurationVar(&c.expires, "expires", 0, "life of the credentials (default: they do not expire)")
	return cmd
}

func (c *credentials) issue(cmd *cobra.Command, i listed) error {
	if i.Revoked {
		return fmt.Errorf("identity %s is revoked and gets no credentials: \"router identity add %s --replace\" makes it anew", i.ID, i.ID)
	}
	seed := filepath.Join(c.dir, i.ID.String()+seedEnding)
	public, err := publicOfSeed(seed)
	if err != nil {
		return err
	}
	if public != i.NKey {
		return fmt.Errorf("%s is not the nkey of identity %s in the directory: name the right --dir, or \"router identity add %s --replace\"", seed, i.ID, i.ID)
	}
	signer, err := readPair(c.signingKey)
	if err != nil {
		return err
	}
	defer signer.Wipe()
	var expires time.Time
	if c.expires > 0 {
		expires = time.Now().Add(c.expires)
	}
	claims, err := auth.ScopedUserClaims(public, c.account, i.ID, expires)
	if err != nil {
		return err
	}
	token, err := claims.Encode(signer)
	if err != nil {
		return fmt.Errorf("%s does not contain the seed of an account's signing key (SA...)", c.signingKey)
	}
	out := c.out
	if out == "" {
		out = filepath.Join(c.dir, i.ID.String()+credsEnding)
	}
	if err := writeCreds(out, token, seed); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "credentials of %s (%s): %s\n", i.ID, i.Role, out)
	return nil
}
