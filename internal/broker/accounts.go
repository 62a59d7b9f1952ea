package broker

import (
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// Names of the users of the account ROUTER. Router and admin have inboxes of
// their own (see subjects.InboxPrefix), so that the backend, which uses the
// default prefix of every NATS client, does not overhear their replies.
const (
	UserRouter  = "router"
	UserBackend = "backend"
	UserAdmin   = "admin"
	UserSystem  = "system"
)

// Permissions are what a user may publish and subscribe to; nothing else.
type Permissions struct {
	Publish, Subscribe []string
}

// crossing is one meeting point of the two accounts: exported by ROUTER,
// imported by VOICE.
type crossing struct {
	Kind    string // "service" or "stream"
	Subject string
	// Stream marks a service that answers one request with many messages.
	Stream bool
}

// crossings lists every point where the accounts meet. The wildcards stand for
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

// IdentityPermissions returns what an identity may do in the account VOICE.
// Types are listed by name: with a wildcard an identity could invent types and
// so get round the limit of messages per subject.
func IdentityPermissions(id identity.ID, role identity.Role) Permissions {
	self := id.String()
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
	router, backend := RouterPermissions(), BackendPermissions()
	return []role{
		{UserRouter, subjects.AccountRouter, c.Router, &router},
		{UserBackend, subjects.AccountRouter, c.Backend, &backend},
		{UserAdmin, subjects.AccountRouter, c.Admin, nil},
		{UserSystem, subjects.AccountSystem, c.System, nil},
	}
}
