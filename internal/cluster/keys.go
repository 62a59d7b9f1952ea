package cluster

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/auth"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
)

// Identity is somebody who may connect: what it signs with and the seed of the
// nkey with which it connects.
type Identity struct {
	ID       identity.ID
	Record   identity.Record
	Key      identity.PrivateKey
	NKeySeed []byte
}

// keyRing makes the keys of a cluster.
type keyRing struct {
	dir        string            // of the users' seeds, <user>.nk
	proxies    string            // of the signing keys that the workers hold
	public     map[string]string // nkeys of the users outside VOICE
	callout    broker.Callout
	identities map[string]Identity
}

func newKeyRing(o Options) (*keyRing, error) {
	k := &keyRing{
		dir: filepath.Join(o.Dir, "keys"), proxies: filepath.Join(o.Dir, "proxies"),
		public: map[string]string{}, identities: map[string]Identity{},
	}
	for _, dir := range []string{k.dir, k.proxies} {
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	for _, user := range []string{broker.UserRouter, broker.UserBackend, broker.UserAdmin, broker.UserSystem, broker.UserAuth} {
		seed, public, err := newNKey()
		if err == nil {
			k.public[user], err = public, os.WriteFile(k.seedFile(user), seed, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("cluster: nkey of %s: %w", user, err)
		}
	}
	if o.Callout > 0 {
		if err := k.makeCallout(); err != nil {
			return nil, err
		}
	}
	return k, k.makeIdentities(o)
}

func (k *keyRing) seedFile(name string) string { return filepath.Join(k.dir, name+".nk") }

func (k *keyRing) credential(user string) broker.Credential {
	return broker.Credential{NKey: k.public[user]}
}

func (k *keyRing) makeCallout() error {
	seeds, err := auth.GenerateSeeds()
	if err != nil {
		return fmt.Errorf("cluster: keys of the auth callout service: %w", err)
	}
	keys, err := auth.NewKeys(seeds.Issuer, seeds.XKey)
	if err != nil {
		return fmt.Errorf("cluster: keys of the auth callout service: %w", err)
	}
	k.callout = broker.Callout{Issuer: keys.Issuer(), XKey: keys.XKey()}
	for name, seed := range map[string][]byte{"issuer": seeds.Issuer, "xkey": seeds.XKey} {
		if err := os.WriteFile(k.seedFile(name), seed, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// makeIdentities makes everybody, and writes the signing keys that the workers
// hold.
func (k *keyRing) makeIdentities(o Options) error {
	fleet := append([]string{identity.Router.String()}, o.Proxies...)
	for role, names := range map[identity.Role][]string{identity.RoleUser: o.Users, identity.RoleApp: append(fleet, o.Apps...)} {
		for _, name := range names {
			i, err := newIdentity(name, role)
			if err != nil {
				return fmt.Errorf("cluster: identity %s: %w", name, err)
			}
			k.identities[name] = i
		}
	}
	for _, name := range fleet {
		key, err := json.Marshal(k.identities[name].Key)
		if err == nil {
			err = os.WriteFile(filepath.Join(k.proxies, name+".jwk"), key, 0o600)
		}
		if err != nil {
			return fmt.Errorf("cluster: key of %s: %w", name, err)
		}
	}
	return nil
}

func newIdentity(name string, role identity.Role) (Identity, error) {
	id, err := identity.ParseID(name)
	if err != nil {
		return Identity{}, err
	}
	key, err := identity.GenerateKey("1")
	if err != nil {
		return Identity{}, err
	}
	seed, public, err := newNKey()
	record := identity.Record{Role: role, Keys: []identity.PublicKey{key.Public()}, NKey: public}
	return Identity{ID: id, Record: record, Key: key, NKeySeed: seed}, err
}

func newNKey() (seed []byte, public string, err error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, "", err
	}
	if seed, err = pair.Seed(); err != nil {
		return nil, "", err
	}
	public, err = pair.PublicKey()
	return seed, public, err
}

// endpoints are the users of VOICE as they stand in a configuration without a
// callout.
func (k *keyRing) endpoints() []broker.Endpoint {
	var list []broker.Endpoint
	for _, i := range k.identities {
		if e, ok := broker.EndpointOf(i.ID, i.Record); ok {
			list = append(list, e)
		}
	}
	return list
}
