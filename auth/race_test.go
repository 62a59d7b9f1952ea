//go:build race

package auth_test

// raced says that the race detector is on.
const raced = true
