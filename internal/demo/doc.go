// Package demo plays calls: an embedded server, routers and people, each on a
// connection of its own, in one process. It shows what the router does and fails
// if it does not.
package demo
