package auth

import (
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// Permissions are what a user may publish and subscribe to; nothing else.
type Permissions struct {
	Publish, Subscribe []string
}

// IdentityPermissions returns what an identity may do in the account VOICE
// (docs/protocol.md, "Accounts and permissions"). Types are listed by name: with
// a wildcard an identity could invent types and so get round the limit of
// messages per subject.
func IdentityPermissions(id identity.ID, role identity.Role) Permissions {
	return permissions(id.String(), role)
}

// ScopePermissions returns the same for the template of a scoped signing key, for
// a broker in operator mode: the server puts the name of the user JWT in. Whoever
// signs user JWTs with such a key must therefore see to the name: a wildcard
// would grant what is everybody's (see [ScopedUserClaims]).
func ScopePermissions(role identity.Role) Permissions {
	return permissions("{{name()}}", role)
}

func permissions(self string, role identity.Role) Permissions {
	var p Permissions
	for _, typ := range signal.Types() {
		p.Publish = append(p.Publish, subjects.Voice(self, string(typ)))
	}
	p.Publish = append(p.Publish, subjects.Sync(self))
	p.Subscribe = []string{subjects.LiveAll(self), subjects.InboxPrefix(self) + ".>"}
	if role == identity.RoleApp {
		// Never the creation of consumers: a consumer's deliver subject gets round
		// the permissions to publish.
		durable := subjects.AppConsumer(self)
		p.Publish = append(p.Publish,
			subjects.RequestConsumerInfo(subjects.StreamOut, durable),
			subjects.RequestNext(subjects.StreamOut, durable),
			subjects.FilterAck(subjects.StreamOut, durable))
	}
	return p
}

// ServicePermissions returns what the service itself may do in the account AUTH:
// answer the server, read the directory, list and close connections, list and
// end calls.
func ServicePermissions() Permissions {
	inbox := subjects.InboxPrefix(User) + ".>"
	return Permissions{
		Publish: []string{
			subjects.FilterCalloutReplies,
			subjects.RequestMessage(subjects.KV(subjects.BucketIdentities)),
			subjects.RequestVoiceConnections,
			subjects.FilterKick,
			subjects.ServiceCallList,
			subjects.ServiceCallEnd,
			subjects.FilterInboxes, inbox, // answers about its own state
		},
		Subscribe: []string{
			subjects.CalloutRequest,
			subjects.KVKey(subjects.BucketIdentities, "*"),
			subjects.FilterServices,
			inbox,
		},
	}
}

// User is the name of the service's user in the account AUTH.
const User = "auth"
