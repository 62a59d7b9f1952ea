package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/provision"
)

// checkJetStream asks for the account's limits.
func checkJetStream(ctx context.Context, e *exam) {
	l := e.account()
	if l == nil {
		e.add(Skipped, "account", "the user "+string(e.Credential.Role)+" may not ask about the account: needs router or admin", "")
		return
	}
	var info *jetstream.AccountInfo
	err := e.ask(ctx, l, func(ctx context.Context) (err error) {
		info, err = l.js.AccountInfo(ctx)
		return err
	})
	if err != nil {
		e.add(Wrong, "account", "JetStream does not answer: "+err.Error(), mendJetStream(err))
		return
	}
	e.jetstream = true
	if err := provision.CheckLevel(info.API.Level, l.nc.ConnectedServerVersion()); err != nil {
		e.add(Wrong, "features", fmt.Sprintf("JetStream API level %d of nats-server %s: atomic batches and schedules are missing or not safe",
			info.API.Level, l.nc.ConnectedServerVersion()), "install nats-server "+provision.NeedVersion+" or later on every server of the cluster")
	} else {
		e.add(OK, "features", fmt.Sprintf("JetStream API level %d: atomic batches, schedules, priorities", info.API.Level), "")
	}
	e.judgeRoom("disk", info.Store, info.ReservedStore, info.Limits.MaxStore, "max_file_store of the server or the account's limit")
	e.judgeRoom("memory", info.Memory, info.ReservedMemory, info.Limits.MaxMemory, "max_memory_store of the server or the account's limit")
	e.judgeCount("streams", info.Streams, info.Limits.MaxStreams, needStreams)
	e.judgeCount("consumers", info.Consumers, info.Limits.MaxConsumers, needConsumers)
}

func mendJetStream(err error) string {
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return "enable JetStream in the account ROUTER (jetstream: enabled), and connect with a credential of that account"
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		return "add the block jetstream { store_dir: ... } to the server's configuration; \"router provision --server-config\" prints one"
	case errors.Is(err, nats.ErrPermissionViolation):
		return mendPermissions
	default:
		return "look at the server's log, and whether the cluster has a JetStream leader (\"nats server report jetstream\")"
	}
}

// judgeRoom says how much of a limit is used. A full account refuses every
// commit.
func (e *exam) judgeRoom(what string, used, reserved uint64, limit int64, remedy string) {
	if limit <= 0 {
		e.add(OK, what, fmt.Sprintf("%s used; the account has no limit of its own, the server's counts", size(used)), "")
		return
	}
	share := int(100 * max(used, reserved) / uint64(limit))
	seen := fmt.Sprintf("%s of %s used (%d%%)", size(max(used, reserved)), size(uint64(limit)), share)
	mend := "raise " + remedy + ", or shorten ROUTER_STREAM_MAX_AGE and run \"router provision --update\""
	switch {
	case share >= 95:
		e.add(Wrong, what, seen+": when it is full, every commit is refused", mend)
	case share >= 80:
		e.add(Warn, what, seen, mend)
	default:
		e.add(OK, what, seen, "")
	}
}

// What the router needs of an account: two streams and two buckets; two durables
// of the fleet, and two watchers of each worker for a few workers.
const (
	needStreams   = 4
	needConsumers = 16
)

func (e *exam) judgeCount(what string, have, limit, need int) {
	switch seen := fmt.Sprintf("%d of at most %d", have, limit); {
	case limit <= 0:
		e.add(OK, what, fmt.Sprintf("%d, no limit", have), "")
	case limit < need:
		e.add(Wrong, what, seen+fmt.Sprintf(": the router needs %d", need), "raise the account's limit of "+what)
	case 10*have >= 9*limit && have > need:
		e.add(Warn, what, seen, "raise the account's limit of "+what)
	default:
		e.add(OK, what, seen, "")
	}
}

func size(n uint64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n)/unit, 0
	for value >= unit {
		value /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[prefix])
}

// checkAssets compares everything that must exist with what does.
func checkAssets(ctx context.Context, e *exam) {
	l := e.account()
	var inspections []provision.Inspection
	err := e.ask(ctx, l, func(ctx context.Context) (err error) {
		inspections, err = provision.Inspect(ctx, l.js, e.Provision)
		return err
	})
	if err != nil {
		e.add(Wrong, "streams, buckets, consumers", err.Error(), "correct ROUTER_REPLICAS, ROUTER_STREAM_MAX_AGE and ROUTER_MAX_CALL_DURATION, or see the check permissions")
		return
	}
	var missing []string // streams whose consumers are missing with them
	for _, i := range inspections {
		e.judgeAsset(i, &missing)
	}
}

func (e *exam) judgeAsset(i provision.Inspection, missing *[]string) {
	const create = "router provision"
	_, stream, isConsumer := strings.Cut(i.Asset, " of ")
	switch {
	case i.Optional && errors.Is(i.Err, provision.ErrMissing):
		e.add(Warn, i.Asset, "does not exist: routers work without it, the number of live calls is not known", e.command(create))
		return
	case errors.Is(i.Err, provision.ErrMissing):
		*missing = append(*missing, i.Asset)
		seen := "does not exist"
		if isConsumer && slices.Contains(*missing, "stream "+stream) {
			seen += ", nor does its stream"
		}
		e.add(Wrong, i.Asset, seen, e.command(create))
		return
	case errors.Is(i.Err, nats.ErrPermissionViolation):
		e.add(Wrong, i.Asset, i.Err.Error(), mendPermissions)
		return
	case i.Err != nil:
		e.add(Wrong, i.Asset, i.Err.Error(), "set ROUTER_STREAM_MAX_AGE or ROUTER_MAX_CALL_DURATION alike for all, then "+e.command(create+" --update"))
		return
	case len(i.Differences) == 0:
		e.add(OK, i.Asset, "as it must be", "")
		return
	}
	for _, d := range i.Differences {
		mend := e.command(create + " --update")
		if d.Fixed {
			kind, name, _ := strings.Cut(i.Asset, " ")
			mend = fmt.Sprintf("it cannot be changed: let the fleet drain it, then delete the %s (%s) and run %s", kind, removal(kind, name), e.command(create))
		}
		e.add(Wrong, i.Asset, fmt.Sprintf("%s is %s, want %s", d.Setting, d.Have, d.Want), mend)
	}
}

// command completes a call of "router provision" with the settings that it has
// to share with the routers.
func (e *exam) command(text string) string {
	if n := e.Provision.Replicas; n != 0 {
		text += fmt.Sprintf(" --replicas %d", n)
	}
	return `"` + text + `" with the credential of the user admin`
}

// removal is the command that deletes an asset.
func removal(kind, name string) string {
	switch kind {
	case "stream":
		return "nats stream rm " + name
	case "bucket":
		return "nats kv del " + name
	default:
		consumer, stream, _ := strings.Cut(name, " of ")
		return "nats consumer rm " + stream + " " + consumer
	}
}
