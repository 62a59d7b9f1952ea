// Package history keeps what happened in a run against a fleet: what every
// endpoint sent and what became of it, what its handlers saw, which faults were
// made, and when. Package checker judges it.
//
// A history is a file of JSON lines. Whatever takes time is written twice: when
// it begins and when it ends, under one id. A process that is killed in between
// leaves a beginning without an end, which says just that: a send whose outcome
// is unknown, a handler that has not returned. Each line is one write to the
// file, so that a crash tears the last line at most.
package history
