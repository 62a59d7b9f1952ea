package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/subjects"
)

// proxyIdentities sees to it that the directory knows every proxy whose signing
// key is in the directory of files: workers refuse to speak for others. What is
// there is never replaced, since others may verify with it already.
func proxyIdentities(ctx context.Context, js jetstream.JetStream, dir string, verifyOnly bool, report *provision.Report) error {
	keys, err := proxyKeys(dir)
	if err != nil {
		return err
	}
	kv, err := js.KeyValue(ctx, subjects.BucketIdentities)
	if err != nil {
		return fmt.Errorf("bucket %s: %w", subjects.BucketIdentities, err)
	}
	var errs []error
	for _, id := range slices.SortedFunc(maps.Keys(keys), cmpID) {
		known, err := proxyKnown(ctx, kv, id, keys[id])
		switch name := "identity " + id.String(); {
		case err != nil:
			errs = append(errs, err)
		case known:
			report.Unchanged = append(report.Unchanged, name)
		case verifyOnly:
			errs = append(errs, fmt.Errorf("%s is not in the directory: run provision without --verify", name))
		default:
			record := identity.Record{Role: identity.RoleApp, Keys: []identity.PublicKey{keys[id].Public()}}
			value, err := record.Encode()
			if err == nil {
				_, err = kv.Create(ctx, id.String(), value)
			}
			if err != nil {
				return fmt.Errorf("store %s: %w", name, err)
			}
			report.Created = append(report.Created, name)
		}
	}
	return errors.Join(errs...)
}

// proxyKeys are the signing keys in a directory, that of the fleet itself included.
func proxyKeys(dir string) (map[identity.ID]identity.PrivateKey, error) {
	fleet, err := loadFleetKeys(dir)
	if err != nil {
		return nil, usagef("--proxies: %w", err)
	}
	if !fleet.router.IsZero() {
		fleet.proxies[identity.Router] = fleet.router
	}
	if len(fleet.proxies) == 0 {
		return nil, usagef("--proxies %s: there is no <selfid>%s in it; \"router identity generate\" makes them", dir, jwkEnding)
	}
	return fleet.proxies, nil
}

// proxyKnown reports whether the directory has the proxy with this key; its error
// says what stands in the way of adding it.
func proxyKnown(ctx context.Context, kv jetstream.KeyValue, id identity.ID, key identity.PrivateKey) (bool, error) {
	entry, err := kv.Get(ctx, id.String())
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read identity %s: %w", id, err)
	}
	record, err := identity.DecodeRecord(entry.Value())
	switch {
	case err != nil:
		return false, fmt.Errorf("identity %s: %w", id, err)
	case record.Revoked:
		return false, fmt.Errorf("identity %s is revoked: take %s%s away, or add the identity anew (router identity add %s --replace)", id, id, jwkEnding, id)
	case record.Role != identity.RoleApp:
		return false, fmt.Errorf("identity %s is a %s: a proxy is an app", id, record.Role)
	case !slices.ContainsFunc(record.Keys, sameKey(key.Public())):
		return false, fmt.Errorf("identity %s: the directory does not have the key in %s%s: use the one that it has, or give the identity this one (router identity add %s --role app --jwk PUBLIC.jwk --replace)",
			id, id, jwkEnding, id)
	}
	return true, nil
}

func sameKey(want identity.PublicKey) func(identity.PublicKey) bool {
	return func(have identity.PublicKey) bool { return have.KID == want.KID && have.Key.Equal(want.Key) }
}
