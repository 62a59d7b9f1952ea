package main

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much a worker's heap may grow, in percent of what is live, before
// garbage is collected. Nearly everything that is allocated dies with its batch. With
// Go's 100 a worker that is behind does a tenth less; with 200 it takes 20 MiB more.
const gcPercent = 125

// tuneGC sets gcPercent unless the environment says otherwise (GOGC).
func tuneGC() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
}
