package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/subjects"
)

func newIdentityCommand() *cobra.Command {
	var t target
	c := group("identity", "Add, show and revoke identities",
		"  router identity add 1112223334 --generate --dir keys\n  router identity list",
		newIdentityAddCommand(&t), newIdentityGenerateCommand(), newIdentityListCommand(&t), newIdentityShowCommand(&t), newIdentityCredsCommand(&t), newIdentityRevokeCommand(&t))
	c.Long = "Identities live in the bucket " + subjects.BucketIdentities + `: a role, the public keys that verify
their messages, and the public nkey that opens their NATS connection. These
commands need a credential that may write that bucket (admin).`
	t.flags(c.PersistentFlags())
	return c
}

// directory opens the bucket of identities.
func (t *target) directory(cmd *cobra.Command, do func(context.Context, jetstream.JetStream, jetstream.KeyValue) error) error {
	return t.withJetStream(cmd, func(ctx context.Context, js jetstream.JetStream) error {
		var kv jetstream.KeyValue
		err := patiently(ctx, func() (err error) {
			kv, err = js.KeyValue(ctx, subjects.BucketIdentities)
			return err
		})
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			return fmt.Errorf("bucket %s does not exist: run \"router provision\"", subjects.BucketIdentities)
		}
		if err != nil {
			return fmt.Errorf("bucket %s: %w", subjects.BucketIdentities, err)
		}
		return do(ctx, js, kv)
	})
}

// newIdentity is what "identity add" is to add.
type newIdentity struct {
	id            identity.ID
	role          string
	generate      bool
	dir           string
	jwkFile, nkey string
	replace       bool
}

func newIdentityAddCommand(t *target) *cobra.Command {
	var n newIdentity
	c := &cobra.Command{
		Use: "add <selfid>", Short: "Add an identity", Args: arguments("selfid"),
		Long: `Adds an identity to the directory. With --generate both of its keys are made
here and written to files of mode 0600: <selfid>.jwk signs messages, <selfid>.nk
opens the NATS connection. Private keys are never printed, and only the public
halves leave this machine. Without --generate name the public keys.

An app also gets the durable consumer of its inbox.`,
		Example: `  router identity add 1112223334 --generate --dir keys
  router identity add proxy --role app --generate --dir keys
  router identity add 1112223334 --jwk public.jwk --public-nkey UAB...`,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := identity.ParseID(args[0])
			if err != nil {
				return usageError{err}
			}
			n.id = id
			return n.add(cmd, t)
		},
	}
	f := c.Flags()
	f.StringVar(&n.role, "role", string(identity.RoleUser), "user (speaks with apps) or app (may address anybody)")
	f.BoolVar(&n.generate, "generate", false, "make the keys here and write them to --dir")
	f.StringVar(&n.dir, "dir", ".", "directory of the generated key files")
	f.StringVar(&n.jwkFile, "jwk", "", "file with the public signing key (JWK)")
	f.StringVar(&n.nkey, "public-nkey", "", "public nkey (U...) of the NATS connection")
	f.BoolVar(&n.replace, "replace", false, "replace an identity that exists, and its keys")
	return c
}

func (n *newIdentity) add(cmd *cobra.Command, t *target) error {
	if err := onlyWith(cmd.Flags(), []string{"generate"}, "dir"); err != nil {
		return err
	}
	if n.generate == (n.jwkFile != "") {
		return usagef("want either --generate or --jwk")
	}
	if n.generate && n.nkey != "" {
		return usagef("--generate makes the nkey: leave out --public-nkey")
	}
	record := identity.Record{Role: identity.Role(n.role), NKey: n.nkey}
	if err := record.Validate(); err != nil {
		return usageError{err}
	}
	return t.directory(cmd, func(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue) error {
		files, err := n.keys(&record)
		if err != nil {
			return err
		}
		if err := n.store(ctx, js, kv, record); err != nil {
			if n.generate {
				files.remove()
			}
			return err
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "identity %s added as %s\n", n.id, n.role)
		if n.generate {
			fmt.Fprintf(out, "signing key:  %s\nnkey seed:    %s\nkeep both secret; the identity itself needs them, nobody else\n", files.jwk, files.seed)
		}
		return nil
	})
}

// keys fills in the public keys of the record.
func (n *newIdentity) keys(record *identity.Record) (files keyFiles, err error) {
	if n.generate {
		*record, files, err = generateIdentity(n.dir, n.id, record.Role)
		return files, err
	}
	text, err := os.ReadFile(n.jwkFile)
	if err != nil {
		return files, usageError{err}
	}
	var key identity.PublicKey
	if err := json.Unmarshal(text, &key); err != nil {
		return files, usagef("%s: want a public JWK with kty OKP, crv Ed25519, kid and x, and no private member", n.jwkFile)
	}
	record.Keys = []identity.PublicKey{key}
	return files, nil
}

func (n *newIdentity) store(ctx context.Context, js jetstream.JetStream, kv jetstream.KeyValue, record identity.Record) error {
	value, err := record.Encode()
	if err != nil {
		return err
	}
	if record.Role == identity.RoleApp { // first: who can connect as an app finds its durable
		if err := patiently(ctx, func() error { return provision.EnsureApp(ctx, js, n.id) }); err != nil {
			return err
		}
	}
	if n.replace {
		_, err = kv.Put(ctx, n.id.String(), value)
	} else {
		_, err = kv.Create(ctx, n.id.String(), value)
	}
	if errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("identity %s exists already: use --replace to give it new keys", n.id)
	}
	if err != nil {
		return fmt.Errorf("store identity %s: %w", n.id, err)
	}
	return nil
}

// listed is one identity as "identity list" and "identity show" print it.
type listed struct {
	ID identity.ID `json:"selfid"`
	identity.Record
}

func newIdentityListCommand(t *target) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List all identities", Args: arguments(),
		Example: "  router identity list\n  router identity list --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.directory(cmd, func(ctx context.Context, _ jetstream.JetStream, kv jetstream.KeyValue) error {
				identities, err := readIdentities(ctx, kv, func(key string, err error) {
					fmt.Fprintf(cmd.ErrOrStderr(), "router: skipped %q: %s\n", key, err)
				})
				if err != nil {
					return err
				}
				return printIdentities(cmd.OutOrStdout(), identities, asJSON)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON for each")
	return c
}

// readIdentities reads the whole directory, sorted; entries that are broken are
// reported and left out.
func readIdentities(ctx context.Context, kv jetstream.KeyValue, skipped func(key string, err error)) ([]listed, error) {
	var w jetstream.KeyWatcher
	err := patiently(ctx, func() (err error) {
		w, err = kv.WatchAll(ctx, jetstream.IgnoreDeletes())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", kv.Bucket(), err)
	}
	defer func() { _ = w.Stop() }()
	var all []listed
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("read bucket %s: %w", kv.Bucket(), ctx.Err())
		case entry, ok := <-w.Updates():
			if !ok || entry == nil {
				slices.SortFunc(all, func(a, b listed) int { return cmpID(a.ID, b.ID) })
				return all, nil
			}
			i, err := decodeEntry(entry)
			if err != nil {
				skipped(entry.Key(), err)
				continue
			}
			all = append(all, i)
		}
	}
}

func cmpID(a, b identity.ID) int {
	if a.String() < b.String() {
		return -1
	}
	return 1
}

func decodeEntry(entry jetstream.KeyValueEntry) (listed, error) {
	id, err := identity.ParseID(entry.Key())
	if err != nil {
		return listed{}, err
	}
	record, err := identity.DecodeRecord(entry.Value())
	return listed{id, record}, err
}

func printIdentities(out io.Writer, identities []listed, asJSON bool) error {
	var rows [][]string
	for _, i := range identities {
		if asJSON {
			if err := printJSON(out, i); err != nil {
				return err
			}
			continue
		}
		state := "active"
		if i.Revoked {
			state = "revoked"
		}
		rows = append(rows, []string{i.ID.String(), string(i.Role), state, fmt.Sprint(len(i.Keys)), i.NKey})
	}
	if asJSON {
		return nil
	}
	return table(out, []string{"SELFID", "ROLE", "STATE", "KEYS", "NKEY"}, rows)
}
