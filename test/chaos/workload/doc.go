// Package workload makes calls: many endpoints over the SDK, whose calls take
// every turn that the protocol knows, in an order drawn from a seed, while whatever
// else happens to the fleet. Everything that they send and hear goes into a
// history, for package checker.
//
// An endpoint that gets no answer repeats a message until it knows that it is
// stored. A call that does not go as it should is stopped by both sides, and timers
// of the fleet end what nobody stops: a workload always comes to rest.
package workload
