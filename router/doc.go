// Package router is the worker: it drains what identities publish, decides with
// package call, and commits each decision whole.
//
// The way of a message, file by file:
//
//	intake.go    fetch: the shared pull consumers (pull.go), one queue of jobs
//	verify.go    decode and verify, in parallel: bytes -> event
//	worker.go    the column: fetch, verify, load, decide, commit, ack
//	queue.go     where an event waits until its call is free
//	recover.go   what follows when a commit fails: lost races, poison, outages
//	ledger.go    load and commit: records, compare-and-swap
//	commits.go   the atomic batch, shared by all that is decided while another is under way
//	outbound.go  what a decision says becomes signed messages of the batch
//
// The law: for one inbound message, the new call record (compare-and-swap),
// everything it makes us say, its timer and its rejection are one atomic batch.
// Either all of it is stored or nothing. A crash before the commit: redelivery
// starts afresh. A crash after it: redelivery finds the message among the
// applied ones and acknowledges. A lost race: reload from the leader and decide
// again. A decision that writes nothing asserts the record it was taken on. There
// are no locks, no leader, no dedupe window that correctness
// rests on. No sweeper ends calls; timers.go only writes timers anew that died in
// the server while the store was full.
package router
