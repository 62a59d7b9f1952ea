//go:build race

package integration

// raceDetector reports that this binary runs many times slower than one without
// the detector: what it measures means nothing.
const raceDetector = true
