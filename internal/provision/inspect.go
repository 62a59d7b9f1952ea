package provision

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// Inspection is what [Inspect] found of one stream, bucket or consumer.
type Inspection struct {
	// Asset is "stream VOICE_IN", "consumer router of VOICE_IN" and the like.
	Asset string
	// Differences are settings that are not as they must be.
	Differences []Difference
	// Err wraps [ErrMissing] for what does not exist. Any other error says what
	// must not be, or why the asset could not be looked at.
	Err error
	// Optional is set if routers work without the asset.
	Optional bool
}

// Inspect is [Verify] for a reader who wants to hear of every asset, of those
// that are right as well. It goes on where one cannot be looked at, and does not
// ask how old the server is.
func Inspect(ctx context.Context, js jetstream.JetStream, opts Options) ([]Inspection, error) {
	opts, err := opts.check()
	if err != nil {
		return nil, err
	}
	var inspections []Inspection
	for _, a := range assets(js, opts) {
		differences, err := a.inspect(ctx)
		inspections = append(inspections, Inspection{Asset: a.name, Differences: differences, Err: err, Optional: a.optional})
	}
	return inspections, nil
}

// CheckLevel returns an error that wraps [ErrServerTooOld] if a server of this
// version, with this JetStream API level, lacks what the router needs.
func CheckLevel(level int, version string) error { return checkLevel(level, version) }

// NeedVersion is the first release of nats-server that has what the router needs.
const NeedVersion = needVersion
