//go:build unix

package main

import (
	"os"
	"syscall"
)

// levelSignals change the level of the log: to debug, and back.
var levelSignals = []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2}
