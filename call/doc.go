// Package call is the state machine of calls. It is pure: no I/O, no clock, no
// NATS. A record and an event go in, a [Decision] comes out; carrying it out is
// the business of package router. The table that it implements stands in
// docs/protocol.md, "State machine".
package call
