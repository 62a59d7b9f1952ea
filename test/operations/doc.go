// Package operations does to a running fleet what its operators do: upgrades it
// from the release before, with both at work on the same streams, and restores its
// streams from a backup. Calls in progress go on.
//
// Servers and workers are processes of their own; see package internal/cluster.
package operations
