package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

const mendPermissions = "write the server's configuration anew (\"router provision --server-config --keys DIR\" as when it was made) and run \"nats-server --signal reload\"; " +
	"in operator mode issue the credentials anew (\"router provision --operator-config\")"

// permissions are what a credential must be able to do, and what it must not.
type permissions struct{ needed, forbidden auth.Permissions }

// ofRole returns the permissions of a user outside the account VOICE. What is
// needed is what the generated configuration grants; of what is forbidden, the
// part that would break the design: to write as an identity, to read what people
// say, to change streams.
func ofRole(role Role) permissions {
	identities, me := subjects.KV(subjects.BucketIdentities), "*"
	entry := subjects.KVKey(subjects.BucketIdentities, me)
	destroy := []string{
		subjects.RequestStreamCreate(me), subjects.RequestStreamUpdate(subjects.StreamOut), subjects.RequestStreamDelete(subjects.StreamOut),
		subjects.RequestStreamPurge(subjects.StreamOut), subjects.RequestMessageDelete(subjects.StreamOut),
		subjects.RequestStreamDelete(subjects.StreamIn), subjects.RequestStreamPurge(subjects.StreamIn), subjects.RequestStreamPurge(identities),
		subjects.RequestConsumerDelete(subjects.StreamIn, subjects.ConsumerRouter),
		subjects.FilterConsumerCreate(subjects.StreamIn), subjects.FilterConsumerCreate(subjects.StreamOut),
	}
	overhear := []string{subjects.FilterVoice, subjects.FilterState, subjects.FilterLive}
	switch role {
	case RoleRouter:
		return permissions{broker.RouterPermissions(), auth.Permissions{
			Publish:   append(destroy, entry, subjects.Voice(me, string(signal.Start))),
			Subscribe: append(overhear, subjects.FilterInboxes, subjects.InboxPrefix(broker.UserAdmin)+".>"),
		}}
	case RoleBackend:
		return permissions{broker.BackendPermissions(), auth.Permissions{
			Publish: append(destroy, entry, subjects.Voice(me, string(signal.Start)), subjects.FilterInbox, subjects.FilterState, subjects.FilterTimer,
				subjects.RequestMessage(subjects.StreamOut), subjects.RequestNext(subjects.StreamIn, subjects.ConsumerRouter)),
			Subscribe: append(overhear, subjects.InboxPrefix(broker.UserRouter)+".>", subjects.InboxPrefix(broker.UserAdmin)+".>"),
		}}
	case RoleAuth:
		return permissions{auth.ServicePermissions(), auth.Permissions{
			Publish:   append(destroy, entry, subjects.ServiceCallCreate, subjects.RequestMessage(subjects.StreamOut)),
			Subscribe: append(overhear, subjects.FilterInboxes),
		}}
	case RoleAdmin:
		return permissions{needed: auth.Permissions{
			Publish: append(destroy, entry, subjects.RequestAccountInfo), Subscribe: []string{subjects.InboxPrefix(broker.UserAdmin) + ".>"},
		}}
	case RoleSystem:
		return permissions{needed: auth.Permissions{Publish: []string{subjects.RequestServers}, Subscribe: []string{subjects.FilterInboxes}}}
	}
	return permissions{}
}

// ofIdentity returns the permissions of an identity.
func ofIdentity(id identity.ID, role identity.Role) permissions {
	self, other := id.String(), "*"
	durable := subjects.AppConsumer(token()) // of another app
	return permissions{auth.IdentityPermissions(id, role), auth.Permissions{
		Publish: []string{
			subjects.Voice(other, string(signal.Start)), subjects.Voice(self, "*"), subjects.FilterInbox, subjects.FilterState, subjects.FilterTimer,
			subjects.Sync(other), subjects.FilterConsumerCreate(subjects.StreamOut), subjects.RequestStreamDelete(subjects.StreamOut),
			subjects.KVKey(subjects.BucketIdentities, self), subjects.KVKey(subjects.BucketRoutes, "*"),
			subjects.RequestNext(subjects.StreamOut, durable), subjects.FilterAck(subjects.StreamOut, durable),
		},
		Subscribe: []string{subjects.FilterLive, subjects.FilterVoice, subjects.FilterInboxes},
	}}
}

// checkPermissions tries what every credential may do.
func checkPermissions(ctx context.Context, e *exam) {
	for _, l := range e.links {
		e.try(ctx, l.nc, "user "+string(l.role), ofRole(l.role), mendPermissions+"; or the credential ("+l.name+") is that of another user: say which with --as")
	}
}

// try makes every probe on a connection and reports what is missing and what is
// too much.
func (e *exam) try(ctx context.Context, nc *nats.Conn, about string, p permissions, mend string) {
	missing, err := e.probes(ctx, nc, p.needed, false)
	if err != nil {
		e.add(Wrong, about, "permissions cannot be tried: "+err.Error(), "see the check connection")
		return
	}
	total := len(p.needed.Publish) + len(p.needed.Subscribe)
	if len(missing) > 0 {
		e.add(Wrong, about, fmt.Sprintf("%d of %d needed permissions are missing: %s", len(missing), total, few(missing)), mend)
	} else {
		e.add(OK, about, fmt.Sprintf("all %d needed permissions are granted", total), "")
	}
	if total = len(p.forbidden.Publish) + len(p.forbidden.Subscribe); total == 0 {
		return
	}
	excess, err := e.probes(ctx, nc, p.forbidden, true)
	switch {
	case err != nil:
		e.add(Wrong, about, "permissions cannot be tried: "+err.Error(), "see the check connection")
	case len(excess) > 0:
		e.add(Wrong, about, fmt.Sprintf("%d of %d things that it must not do are permitted: %s", len(excess), total, few(excess)), mend)
	default:
		e.add(OK, about, fmt.Sprintf("all %d things that it must not do are refused", total), "")
	}
}

// probes returns those permissions that are granted, or not.
func (e *exam) probes(ctx context.Context, nc *nats.Conn, p auth.Permissions, granted bool) (found []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	name := token()
	for _, pattern := range p.Publish {
		ok, err := mayPublish(ctx, nc, concrete(pattern, name))
		if err != nil {
			return nil, err
		}
		if ok == granted {
			found = append(found, "publish "+pattern)
		}
	}
	for _, pattern := range p.Subscribe {
		subject := pattern
		if granted { // a name that nobody has: what must not be heard is not
			subject = concrete(pattern, name)
		}
		ok, err := maySubscribe(ctx, nc, subject)
		if err != nil {
			return nil, err
		}
		if ok == granted {
			found = append(found, "subscribe "+pattern)
		}
	}
	return found, nil
}

// few shows the first of a list.
func few(list []string) string {
	const most = 6
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}
