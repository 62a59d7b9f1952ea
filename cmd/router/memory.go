package main

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much a worker's heap may grow, in percent of what is live, before
// garbage is collected. Little of it is live, some 10 MiB, and nearly everything
// that is allocated dies with its batch: with Go's 100 a tenth of the worker's time
// goes into collecting it.
const gcPercent = 200

// tuneGC sets gcPercent unless the environment says otherwise (GOGC).
func tuneGC() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
}
