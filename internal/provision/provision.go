package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
)

// The JetStream API level that the router needs, and the first release that has
// it. Atomic batches, schedules and the prioritized pull policy exist since
// 2.12; that a client may cancel a schedule with Nats-Schedule-Next, and cannot
// forge one, is checked since 2.14.
const (
	needLevel   = 4
	needVersion = "2.14.0"
)

// Report says what Ensure did, asset by asset, in order.
type Report struct {
	Created, Updated, Unchanged []string
}

// asset is one thing in JetStream that must exist.
type asset struct {
	name string
	// optional is set if Verify accepts that the asset does not exist: a fleet that
	// was provisioned by an older version goes on.
	optional bool
	// inspect returns what differs from what is wanted. If the asset does not
	// exist its error wraps ErrMissing.
	inspect func(context.Context) ([]Difference, error)
	create  func(context.Context) error
	// update mends what the last inspect found.
	update func(context.Context) error
}

// Ensure creates what is missing and verifies what exists. It needs a connection
// that may do everything in the account ROUTER. Its errors wrap
// [ErrServerTooOld] or are a [*MismatchError] where that is what is wrong; the
// report is valid also then.
func Ensure(ctx context.Context, js jetstream.JetStream, opts Options) (Report, error) {
	var report Report
	opts, err := prepare(ctx, js, opts)
	if err != nil {
		return report, err
	}
	var mismatch MismatchError
	for _, a := range assets(js, opts) {
		differences, err := a.inspect(ctx)
		switch {
		case errors.Is(err, ErrMissing):
			if err := a.create(ctx); err != nil {
				return report, fmt.Errorf("provision: create %s: %w", a.name, err)
			}
			report.Created = append(report.Created, a.name)
		case err != nil:
			return report, err
		case len(differences) == 0:
			report.Unchanged = append(report.Unchanged, a.name)
		case !opts.Update || anyFixed(differences):
			mismatch.Differences = append(mismatch.Differences, differences...)
		default:
			if err := a.update(ctx); err != nil {
				return report, fmt.Errorf("provision: update %s: %w", a.name, err)
			}
			report.Updated = append(report.Updated, a.name)
		}
	}
	if len(mismatch.Differences) > 0 {
		return report, &mismatch
	}
	return report, nil
}

// Verify checks that everything that routers need exists and is right, and changes
// nothing. The worker's credential suffices. It reports all that is missing or different at
// once.
func Verify(ctx context.Context, js jetstream.JetStream, opts Options) error {
	opts, err := prepare(ctx, js, opts)
	if err != nil {
		return err
	}
	var errs []error
	var mismatch MismatchError
	for _, a := range assets(js, opts) {
		differences, err := a.inspect(ctx)
		if err != nil && !errors.Is(err, ErrMissing) {
			return err
		}
		if a.optional {
			err = nil
		}
		errs = append(errs, err)
		mismatch.Differences = append(mismatch.Differences, differences...)
	}
	if len(mismatch.Differences) > 0 {
		errs = append(errs, &mismatch)
	}
	return errors.Join(errs...)
}

// EnsureApp creates or verifies the durable of one app; the streams must exist.
func EnsureApp(ctx context.Context, js jetstream.JetStream, id identity.ID) error {
	a := consumer(js, subjects.StreamOut, appConsumer(id))
	differences, err := a.inspect(ctx)
	switch {
	case errors.Is(err, ErrMissing):
		if err := a.create(ctx); err != nil {
			return fmt.Errorf("provision: create %s: %w", a.name, err)
		}
		return nil
	case err != nil:
		return err
	case len(differences) > 0:
		return &MismatchError{differences}
	}
	return nil
}

func prepare(ctx context.Context, js jetstream.JetStream, opts Options) (Options, error) {
	opts, err := opts.check()
	if err != nil {
		return opts, err
	}
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return opts, fmt.Errorf("provision: ask the server for its JetStream: %w", err)
	}
	return opts, checkLevel(info.API.Level, js.Conn().ConnectedServerVersion())
}

func checkLevel(level int, version string) error {
	if level < needLevel {
		return fmt.Errorf("provision: %w: version %s has JetStream API level %d, the router needs level %d: nats-server %s or later",
			ErrServerTooOld, version, level, needLevel, needVersion)
	}
	return nil
}

func anyFixed(differences []Difference) bool {
	for _, d := range differences {
		if d.Fixed {
			return true
		}
	}
	return false
}
