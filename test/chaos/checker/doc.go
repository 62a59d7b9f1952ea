// Package checker judges a run against a fleet: from its history, what every
// endpoint sent and heard, and from what the routers stored, it decides whether
// anything was lost, duplicated, disordered, split, stuck or leaked.
//
// Two judges look at each conversation. One is deliberately dumb: rules copied
// from docs/protocol.md by hand, which share no code with the state machine. The
// other is porcupine, which asks whether the stored transitions are a
// linearization of what was sent, with call.Decide as the sequential model.
//
//   - lost: acknowledged by the broker and never acted upon, though the tables
//     demand an effect; decided and not said; said and not heard by a process that
//     lived all the time.
//   - duplicated: a handler called twice in one process for one message; two
//     transitions from one (sender, jti); said more often than decided.
//   - disordered: a handler saw, or a record did, what the tables forbid.
//   - split: the sides and the record do not agree how a call ended.
//   - stuck: a call rings or is active longer than its timer and 5 s allow. Time in
//     which a fault acts does not count.
//   - leaked: bytes that name the other side; timers of calls that are over;
//     messages that nobody acknowledged; resources that grew.
package checker
