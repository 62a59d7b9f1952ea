package broker

import (
	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// Names of the users outside the account VOICE. Router and admin have inboxes of
// their own (see subjects.InboxPrefix), so that the backend, which uses the
// default prefix of every NATS client, does not overhear their replies.
const (
	UserRouter  = "router"
	UserBackend = "backend"
	UserAdmin   = "admin"
	UserSystem  = "system"
	UserAuth    = auth.User
)

// userAnyone is who connects to an insecure server without a credential.
const userAnyone = "anyone"

// Permissions are what a user may publish and subscribe to; nothing else.
type Permissions = auth.Permissions

// crossing is one meeting point of two accounts: exported by one, imported by
// the other.
type crossing struct {
	Kind    string // "service" or "stream"
	Subject string
	// Stream marks a service that answers one request with many messages.
	Stream bool
	// Only is the account that may import it, "" for every one.
	Only string
}

// crossings lists every point where the accounts ROUTER, which exports, and
// VOICE, which imports, meet. The wildcards stand for
// whole tokens; permissions narrow them to the identity's own name.
//
// Nobody in VOICE may ask for the account's limits. They are imported because
// the server otherwise imports all of $JS.API.> from its own account into VOICE,
// and that answers "JetStream not enabled" before ROUTER can describe a consumer.
func crossings() []crossing {
	return []crossing{
		{Kind: "service", Subject: subjects.FilterVoice},
		{Kind: "service", Subject: subjects.FilterSync},
		{Kind: "service", Subject: subjects.RequestAccountInfo},
		{Kind: "service", Subject: subjects.RequestConsumerInfo(subjects.StreamOut, "*")},
		{Kind: "service", Subject: subjects.RequestNext(subjects.StreamOut, "*"), Stream: true},
		{Kind: "service", Subject: subjects.FilterAck(subjects.StreamOut, "*")},
		{Kind: "stream", Subject: subjects.FilterLive},
	}
}

// routerCrossings lists what ROUTER exports to AUTH alone: the directory of
// identities, which a service may read and be told of, and the calls that it may
// list and end.
func routerCrossings() []crossing {
	return []crossing{
		{Kind: "service", Subject: subjects.RequestAccountInfo}, // see crossings
		{Kind: "service", Subject: subjects.RequestMessage(subjects.KV(subjects.BucketIdentities))},
		{Kind: "stream", Subject: subjects.KVKey(subjects.BucketIdentities, "*")},
		{Kind: "service", Subject: subjects.ServiceCallList},
		{Kind: "service", Subject: subjects.ServiceCallEnd},
	}
}

// systemCrossings lists what SYS exports to AUTH alone: the connections of the
// account VOICE, and the closing of connections.
func systemCrossings() []crossing {
	return []crossing{
		{Kind: "service", Subject: subjects.RequestVoiceConnections, Stream: true},
		{Kind: "service", Subject: subjects.FilterKick},
	}
}

// IdentityPermissions returns what an identity may do in the account VOICE.
func IdentityPermissions(id identity.ID, role identity.Role) Permissions {
	return auth.IdentityPermissions(id, role)
}

// anyonePermissions returns what a client without a credential may do in the
// account VOICE of an insecure server: what every identity may.
func anyonePermissions() Permissions {
	p := Permissions{Subscribe: []string{">"}}
	for _, typ := range signal.Types() {
		p.Publish = append(p.Publish, subjects.Voice("*", string(typ)))
	}
	p.Publish = append(p.Publish, subjects.FilterSync,
		subjects.RequestConsumerInfo(subjects.StreamOut, "*"),
		subjects.RequestNext(subjects.StreamOut, "*"),
		subjects.FilterAck(subjects.StreamOut, "*"))
	return p
}

// RouterPermissions returns what a worker may do in the account ROUTER: drain
// its consumers, commit to the outbound stream, read states, routes and
// identities, write routes and answer requests. It may not create or delete
// streams, nor touch identities.
func RouterPermissions() Permissions {
	routes, identities := subjects.KV(subjects.BucketRoutes), subjects.KV(subjects.BucketIdentities)
	p := Permissions{
		Publish: []string{
			subjects.FilterInbox,
			subjects.FilterState,
			subjects.FilterTimer,
			subjects.FilterCheck,
			subjects.FilterRejected,
			subjects.KVKey(subjects.BucketRoutes, "*"),
			subjects.RequestAccountInfo,
			subjects.RequestNext(subjects.StreamIn, subjects.ConsumerRouter),
			subjects.RequestNext(subjects.StreamOut, subjects.ConsumerTimeouts),
			subjects.FilterAck(subjects.StreamIn, subjects.ConsumerRouter),
			subjects.FilterAck(subjects.StreamOut, subjects.ConsumerTimeouts),
			subjects.FilterServiceReplies,
			subjects.FilterInboxes,
			subjects.InboxPrefix(UserAdmin) + ".>",
			// To ask the other workers for their priorities, and answer them.
			subjects.RequestServiceInfo(subjects.ServiceRouter),
			subjects.InboxPrefix(UserRouter) + ".>",
		},
		Subscribe: []string{
			subjects.InboxPrefix(UserRouter) + ".>",
			subjects.FilterServices,
			subjects.FilterServiceCalls,
			subjects.FilterSync,
		},
	}
	for _, stream := range []string{subjects.StreamIn, subjects.StreamOut, routes, identities} {
		p.Publish = append(p.Publish,
			subjects.RequestStreamInfo(stream), subjects.RequestConsumerInfo(stream, "*"))
	}
	for _, stream := range []string{subjects.StreamOut, routes, identities} {
		p.Publish = append(p.Publish,
			subjects.RequestMessage(stream), subjects.RequestDirect(stream), subjects.FilterDirect(stream))
	}
	for _, bucket := range []string{routes, identities} { // watchers
		p.Publish = append(p.Publish, subjects.FilterConsumerCreate(bucket),
			subjects.FilterConsumerDelete(bucket), subjects.FilterFlowControl(bucket))
	}
	return p
}

// BackendPermissions returns what a customer's backend may do in the account
// ROUTER: create and read routes, and ask the routers to create, end, get and
// list calls.
func BackendPermissions() Permissions {
	routes := subjects.KV(subjects.BucketRoutes)
	return Permissions{
		Publish: []string{
			subjects.KVKey(subjects.BucketRoutes, "*"),
			subjects.RequestAccountInfo,
			subjects.RequestStreamInfo(routes),
			subjects.RequestMessage(routes),
			subjects.RequestDirect(routes),
			subjects.FilterDirect(routes),
			subjects.FilterServiceCalls,
			subjects.FilterServices,
		},
		Subscribe: []string{subjects.FilterInboxes},
	}
}

// role is a user outside the account VOICE.
type role struct {
	Name       string
	Account    string
	Credential Credential
	// Permissions are nil for a user who may do everything in the account.
	Permissions *Permissions
}

func (c Config) roles() []role {
	router, backend, service := RouterPermissions(), BackendPermissions(), auth.ServicePermissions()
	return []role{
		{UserRouter, subjects.AccountRouter, c.Router, &router},
		{UserBackend, subjects.AccountRouter, c.Backend, &backend},
		{UserAdmin, subjects.AccountRouter, c.Admin, nil},
		{UserSystem, subjects.AccountSystem, c.System, nil},
		{UserAuth, subjects.AccountAuth, c.Auth, &service},
	}
}
