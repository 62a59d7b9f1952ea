package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/subjects"
)

// unanswered is how long a server takes at least to refuse a connection that the
// auth callout service does not decide about: its own timeout is 2 s by default. The
// service refuses after at most 1 s (ROUTER_AUTH_REFUSAL_DELAY).
const unanswered = 1900 * time.Millisecond

// needCallout is how long to wait for a decision: longer than the timeout of the
// server in the generated configuration, 5 s.
const needCallout = 8 * time.Second

// checkCallout connects as somebody whom the directory does not know, and as the
// test identity.
func checkCallout(ctx context.Context, e *exam) {
	e.tryStrangers()
	if l := e.as(RoleAuth); l != nil {
		e.tryService(ctx, l)
	}
	if e.Identity == nil {
		e.add(Skipped, "test identity", "none is given: --identity FILE.nk shows that identities are let in, and what they may do", "")
		return
	}
	about := "identity " + e.Identity.ID.String()
	nc, err := e.dial(ctx, e.asIdentity(e.Identity.ID.String(), e.Identity.Options))
	if err != nil {
		seen, mend := Explain(err, "the key of "+e.Identity.ID.String())
		if errors.Is(err, nats.ErrAuthorization) {
			mend = "start \"router auth\" if none runs, else look at its log: it names the reason; \"router identity show " + e.Identity.ID.String() + "\" shows the nkey that it compares with"
		}
		e.add(Wrong, about, seen, mend)
		return
	}
	defer nc.Close()
	e.add(OK, about, "is let in", "")
	role := e.roleOf(ctx, e.Identity.ID)
	e.try(ctx, nc, about+" ("+string(role)+")", ofIdentity(e.Identity.ID, role), "start the current version of \"router auth\", which grants what is needed; without it "+mendPermissions)
}

// tryService asks what the auth callout service has to ask in other accounts: the
// directory, and the connections that it may have to close.
func (e *exam) tryService(ctx context.Context, l *link) {
	const about = "user auth"
	bucket := subjects.BucketIdentities
	err := e.ask(ctx, l, func(ctx context.Context) error {
		_, err := msgget.Last(ctx, l.nc, subjects.KV(bucket), subjects.KVKey(bucket, token()))
		return err
	})
	switch {
	case errors.Is(err, msgget.ErrNone):
		e.add(OK, about, "reads the directory", "")
	case missing(err):
		e.add(Skipped, about, "the bucket "+bucket+" does not exist", "")
	default:
		e.add(Wrong, about, fmt.Sprintf("cannot read the directory, so that nobody can connect: %v", err), mendPermissions)
	}
	err = e.ask(ctx, l, func(ctx context.Context) error {
		_, err := l.nc.RequestWithContext(ctx, subjects.RequestVoiceConnections, nil)
		return err
	})
	if err != nil {
		e.add(Wrong, about, fmt.Sprintf("is not told of connections, so that those of revoked identities stay open: %v", err), mendPermissions)
		return
	}
	e.add(OK, about, "is told of the connections of identities", "")
}

// roleOf looks up the role of an identity. If the directory cannot be asked it is
// that of a user: what every identity may.
func (e *exam) roleOf(ctx context.Context, id identity.ID) identity.Role {
	role := identity.RoleUser
	if l := e.account(); l != nil {
		_ = e.ask(ctx, l, func(ctx context.Context) error { // what is wrong with the directory others report
			record, err := e.lookup(ctx, id)
			if err == nil {
				role = record.Role
			}
			return err
		})
	}
	return role
}

// tryStrangers connects with a key that nobody knows, and without any credential.
func (e *exam) tryStrangers() {
	pair, err := nkeys.CreateUser()
	if err != nil {
		e.add(Skipped, "a stranger", err.Error(), "")
		return
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		e.add(Skipped, "a stranger", err.Error(), "")
		return
	}
	e.tryStranger("a stranger with an nkey", []nats.Option{nats.Nkey(public, pair.Sign)})
	e.tryStranger("a stranger without credentials", nil)
}

func (e *exam) tryStranger(about string, credential []nats.Option) {
	begin := time.Now()
	nc, err := e.dialOnce(e.asIdentity(token(), credential))
	took := time.Since(begin)
	switch {
	case err == nil:
		nc.Close()
		e.add(Wrong, about, "is let in: anybody can speak as anybody",
			"remove no_auth_user and users without a credential from the server's configuration: \"router provision --server-config --keys DIR\" prints one without")
	case errors.Is(err, nats.ErrNkeysNotSupported):
		e.add(Wrong, about, "cannot even ask: the server sends no nonce, without which no identity can prove who it is",
			"give at least one user of the server's configuration an nkey; \"router provision --server-config --keys DIR\" does")
	case took >= unanswered:
		e.add(Wrong, about, fmt.Sprintf("is refused only after %s: nobody decides who may connect, and no identity can", took.Round(100*time.Millisecond)),
			"start \"router auth\" with the keys that the server's configuration names (callout-issuer.nk and callout-xkey.nk); its /readyz says whether it is connected")
	case errors.Is(err, nats.ErrAuthorization):
		e.add(OK, about, fmt.Sprintf("is refused within %s", took.Round(time.Millisecond)), "")
	default:
		seen, mend := Explain(err, "an unknown nkey")
		e.add(Wrong, about, seen, mend)
	}
}

// asIdentity are the options of a connection of the account VOICE.
func (e *exam) asIdentity(name string, credential []nats.Option) []nats.Option {
	opts := append(append([]nats.Option{}, e.Transport...), credential...)
	return append(opts, nats.Name(name), nats.CustomInboxPrefix(subjects.InboxPrefix(name)))
}
