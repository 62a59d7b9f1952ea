package main

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/identity"
)

func newIdentityGenerateCommand() *cobra.Command {
	var dir string
	var signingOnly bool
	c := &cobra.Command{
		Use: "generate <selfid>", Short: "Make the keys of an identity, without a server", Args: arguments("selfid"),
		Long: `Writes <selfid>.jwk, which signs messages, and <selfid>.nk, which opens the NATS
connection, to files of mode 0600. Nothing is told to a server: "router provision
--proxies" adds the proxies whose signing keys are in a directory, "router identity
add --jwk" anybody. A proxy that the fleet serves needs the signing key alone.`,
		Example: "  router identity generate proxy --signing-only --dir proxies\n  router provision --proxies proxies",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := identity.ParseID(args[0])
			if err != nil {
				return usageError{err}
			}
			files := keyFilesOf(dir, id.String())
			public, err := generateKey(files.jwk)
			if err != nil {
				return err
			}
			jwk, err := json.Marshal(public)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "signing key:  %s\npublic half:  %s\n", files.jwk, jwk)
			if signingOnly {
				return nil
			}
			if _, err := generateSeed(files.seed, nkeys.CreateUser); err != nil {
				return err
			}
			_, err = fmt.Fprintf(out, "nkey seed:    %s\n", files.seed)
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", ".", "directory of the key files")
	c.Flags().BoolVar(&signingOnly, "signing-only", false, "make no key for a connection")
	return c
}
