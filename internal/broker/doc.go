// Package broker writes the nats-server configuration of the voice call router
// and runs a server from it inside the process, for development and tests.
//
// The configuration is the wall between endpoints and streams: identities live
// in the account VOICE, the streams, buckets and routers in the account ROUTER,
// and they meet only in the exports and imports of accounts.go. The broker does
// not check permissions on reply subjects, so that in one shared account a reply
// subject could overwrite a call; across two accounts it cannot name a stream's
// subject (docs/protocol.md, "Accounts and permissions").
package broker
