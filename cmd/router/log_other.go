//go:build !unix

package main

import "os"

// levelSignals do not exist on this system.
var levelSignals []os.Signal
