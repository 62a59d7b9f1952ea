// Package doctor examines an installation of the router from where one of its
// processes runs, and says of everything that it looks at whether it is right,
// what was seen, and how to mend what is not.
//
// [Run] executes the checks of one table, in order; [Checks] lists them. A check
// that cannot be made, since there is no connection, say, is reported as skipped.
//
// Nothing is left behind. What must be known by trying is tried with messages
// that are refused for another reason than permission, and so are never stored or
// acted on: see probe.go.
package doctor
