package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/subjects"
)

// Whether a credential may do something is known only by doing it. A probe is
// done so that it has no effect where it is permitted:
//
//   - a message for a stream expects the stream to have a name that no stream has,
//     and is refused before anything else is looked at;
//   - a request to the JetStream API or to the server has a body that is no JSON,
//     also where the request has no body: it is answered with an error. A pull
//     request is refused as well; a stream is not deleted by it;
//   - an acknowledgement is of a delivery that never was, and says only that work
//     goes on;
//   - everything else goes to a name that nobody has;
//   - a subscription is ended at once.
//
// Where a pattern has wildcards, a name that is drawn anew each time stands for
// them. The server logs each probe that it refuses.
const (
	noStream    = "router-check-no-such-stream"
	noJSON      = "{"
	ackProgress = "+WPI"
)

// token returns a name that nobody has, valid as an identity and as a cid.
func token() string { return "check-" + strings.ToLower(rand.Text()) }

// concrete puts name in the place of the wildcards of a pattern.
func concrete(pattern, name string) string {
	parts := strings.Split(pattern, ".")
	for i, p := range parts {
		if p == "*" || p == ">" {
			parts[i] = name
		}
	}
	return strings.Join(parts, ".")
}

// probeMessage is a message on subject that has no effect.
func probeMessage(nc *nats.Conn, subject string) *nats.Msg {
	msg := nats.NewMsg(subject)
	switch subjects.KindOf(subject) {
	case subjects.Stored:
		msg.Header.Set(jetstream.ExpectedStreamHeader, noStream)
	case subjects.API:
		msg.Data, msg.Reply = []byte(noJSON), nc.NewInbox()
	case subjects.Ack:
		msg.Data = []byte(ackProgress)
	case subjects.Plain:
		msg.Data, msg.Reply = []byte(noJSON), nc.NewInbox() // a service answers that it cannot read this
	}
	return msg
}

// mayPublish reports whether the connection may publish to a subject.
func mayPublish(ctx context.Context, nc *nats.Conn, subject string) (bool, error) {
	return permitted(ctx, nc, func() error { return nc.PublishMsg(probeMessage(nc, subject)) })
}

// maySubscribe reports whether the connection may subscribe to a subject.
func maySubscribe(ctx context.Context, nc *nats.Conn, subject string) (bool, error) {
	var sub *nats.Subscription
	ok, err := permitted(ctx, nc, func() (err error) {
		sub, err = nc.SubscribeSync(subject)
		return err
	})
	if sub != nil {
		_ = sub.Unsubscribe()
	}
	return ok, err
}

// permitted does something and asks the server whether it minds: a refusal comes
// before the answer to the ping behind it.
func permitted(ctx context.Context, nc *nats.Conn, do func() error) (bool, error) {
	before := nc.LastError()
	if err := do(); err != nil {
		return false, err
	}
	if err := nc.FlushWithContext(ctx); err != nil {
		return false, err
	}
	err := nc.LastError()
	refused := err != before && errors.Is(err, nats.ErrPermissionViolation) //nolint:errorlint // is it another one
	return !refused, nil
}
