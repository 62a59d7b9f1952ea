// Package subjects builds and parses every NATS subject of the voice call
// router, and names its streams, consumers and buckets. No other package spells
// a subject.
//
// The grammar, in the words of docs/protocol.md ("Subjects"):
//
//	voice.<selfid>.<type>             written by <selfid>, stored in VOICE_IN
//	voice.<selfid>.inbox.<type>       written by routers, stored in VOICE_OUT
//	live.voice.<selfid>.inbox.<type>  republished by the server after a commit
//	call.<key>.state                  the call record, compare-and-swap only
//	call.<key>.timer                  a JetStream schedule aimed at ...
//	call.<key>.timeout                ... this subject
//	rejected.<reason>.<selfid>        what was refused, as it came
//	sync.<selfid>                     a request: what did I miss?
//
// <key> is the conversation id of a masked call; a direct conversation, which
// has two ends and no route, has a key of its own (see [DirectKey]).
package subjects
