package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
)

// credential says to people with what the command connects.
func (t *target) credential() string {
	switch {
	case t.creds != "":
		return "the credentials in " + t.creds
	case t.nkey != "":
		return "the nkey in " + t.nkey
	case t.context != "":
		return "the context " + t.context
	case t.fromEnvironment():
		cfg, _ := readConfig() // its mistakes have been reported
		return cfg.credentialName()
	case t.server == "" && natscontext.SelectedContext() != "":
		return "the selected context " + natscontext.SelectedContext()
	default:
		return "no credential (see --creds and --nkey)"
	}
}

// advised adds to an error that the server or nobody at all has answered what to
// do about it. cause is why the session ended, if it has.
func (t *target) advised(err, cause error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(cause, nats.ErrPermissionViolation):
		return fmt.Errorf("this credential may not do that: %s: %w: use the user admin, or backend for calls (admin.nk and backend.nk of \"router provision --server-config --keys DIR\")",
			t.credential(), cause)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("%w: connect as a user of the account ROUTER, on a server with JetStream; \"router check\" looks at both", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return fmt.Errorf("%w: no answer within %s: \"router check\" says what is amiss, --timeout waits longer", err, t.timeout)
	case errors.Is(err, identity.ErrUnknown):
		return fmt.Errorf("%w: \"router identity list\" shows who is known", err)
	}
	return err
}
