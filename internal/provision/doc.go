// Package provision creates and verifies what the router needs of JetStream: the
// streams, their consumers and the buckets (docs/protocol.md, "Streams and
// buckets").
//
// [Ensure] is idempotent: what exists and is right is left alone, what is missing
// is created, and what differs in a setting that matters is an error that names
// the setting, or is changed if the caller asked for that and the server allows
// it. [Verify] changes nothing.
package provision
