package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/subjects"
)

// checkProxies compares the keys of the proxies with the directory: clients
// believe what a proxy signs only if its key stands there.
func checkProxies(ctx context.Context, e *exam) {
	found := false
	for _, k := range e.Keys {
		if k.Err != nil || k.ID == identity.Router {
			continue
		}
		found = true
		var record identity.Record
		err := e.ask(ctx, e.account(), func(ctx context.Context) (err error) {
			record, err = e.lookup(ctx, k.ID)
			return err
		})
		e.judgeProxy(k, record, err)
	}
	if !found {
		e.add(Skipped, "directory", "there is no key of a proxy to look up", "")
	}
}

func (e *exam) judgeProxy(k KeyFile, record identity.Record, err error) {
	about := "proxy " + k.ID.String()
	// What the directory wants is the file without its private member.
	add := fmt.Sprintf("jq 'del(.d)' %s > public.jwk && router identity add %s --role app --jwk public.jwk", k.Name, k.ID)
	switch {
	case errors.Is(err, identity.ErrUnknown):
		e.add(Wrong, about, "is not in the directory: nobody would believe what it signs, and no route can name it", add)
	case missing(err):
		e.add(Skipped, about, "the bucket "+subjects.BucketIdentities+" does not exist", "")
	case err != nil:
		e.add(Wrong, about, err.Error(), "see the check assets; a broken entry is replaced by: "+add+" --replace")
	case record.Revoked:
		e.add(Wrong, about, "is revoked", "remove "+k.Name+"; or, if that was a mistake: "+add+" --replace")
	case record.Role != identity.RoleApp:
		e.add(Wrong, about, fmt.Sprintf("has the role %s: a proxy must be an app", record.Role), add+" --replace")
	case !slices.ContainsFunc(record.Keys, func(public identity.PublicKey) bool { return public.Equal(k.Key.Public()) }):
		e.add(Wrong, about, "has another key in the directory: clients would refuse what it signs",
			"put the key file that belongs to the directory into "+e.KeyDir+", or give the directory this one: "+add+" --replace")
	default:
		e.add(OK, about, fmt.Sprintf("is an app of the directory, with the key %q", k.Key.KID), "")
	}
}

// missing reports whether err says that there is no such stream, which
// checkAssets reports.
func missing(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == jetstream.JSErrCodeStreamNotFound || errors.Is(err, jetstream.ErrNoStreamResponse)
}

// lookup reads an entry of the directory from its leader.
func (e *exam) lookup(ctx context.Context, id identity.ID) (identity.Record, error) {
	bucket := subjects.BucketIdentities
	m, err := msgget.Last(ctx, e.account().nc, subjects.KV(bucket), subjects.KVKey(bucket, id.String()))
	if errors.Is(err, msgget.ErrNone) || err == nil && m.Gone() {
		return identity.Record{}, identity.ErrUnknown
	}
	if err != nil {
		return identity.Record{}, err
	}
	return identity.DecodeRecord(m.Data)
}
