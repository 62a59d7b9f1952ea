package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/identity"
)

// Endings of key files: <selfid>.jwk is the private signing key of an identity,
// <selfid>.nk the seed that opens its NATS connection.
const (
	jwkEnding  = ".jwk"
	seedEnding = ".nk"
)

// keyID names the first key of an identity.
const keyID = "1"

// fleetKeys are the keys of the identities for which the fleet signs.
type fleetKeys struct {
	proxies map[identity.ID]identity.PrivateKey
	router  identity.PrivateKey
}

// loadFleetKeys reads every <selfid>.jwk in dir and reports everything that is
// wrong with them at once, without a byte of their content.
func loadFleetKeys(dir string) (fleetKeys, error) {
	keys := fleetKeys{proxies: map[identity.ID]identity.PrivateKey{}}
	if dir == "" {
		return keys, nil
	}
	names, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*"+jwkEnding))
	if err != nil {
		return keys, fmt.Errorf("key directory %s: %w", dir, err)
	}
	var errs []error
	for _, name := range names {
		id, key, err := loadKey(name)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("key file %s: %w", name, err))
		case id == identity.Router:
			keys.router = key
		default:
			keys.proxies[id] = key
		}
	}
	return keys, errors.Join(errs...)
}

// escapeGlob makes a directory's name mean itself in a pattern.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

// loadKey reads a private JWK; the name of the file says whose it is.
func loadKey(name string) (identity.ID, identity.PrivateKey, error) {
	var key identity.PrivateKey
	id, err := identity.ParseID(strings.TrimSuffix(filepath.Base(name), jwkEnding))
	if err != nil {
		return id, key, err
	}
	key, err = identity.ReadPrivateKey(name)
	return id, key, err
}

// keyFiles are the two files of a generated identity.
type keyFiles struct{ jwk, seed string }

func keyFilesOf(dir, name string) keyFiles {
	return keyFiles{jwk: filepath.Join(dir, name+jwkEnding), seed: filepath.Join(dir, name+seedEnding)}
}

// remove deletes both files, after what they were made for has failed.
func (f keyFiles) remove() { _, _ = os.Remove(f.jwk), os.Remove(f.seed) }

// generateIdentity makes both keys of id, writes them to dir and returns what
// the directory of identities keeps. Existing files are never replaced.
func generateIdentity(dir string, id identity.ID, role identity.Role) (identity.Record, keyFiles, error) {
	files := keyFilesOf(dir, id.String())
	public, err := generateKey(files.jwk)
	if err != nil {
		return identity.Record{}, files, err
	}
	nkey, err := generateSeed(files.seed, nkeys.CreateUser)
	if err != nil {
		_ = os.Remove(files.jwk) // of no use alone
		return identity.Record{}, files, err
	}
	return identity.Record{Role: role, Keys: []identity.PublicKey{public}, NKey: nkey}, files, nil
}

// generateKey writes a new private JWK and returns its public half.
func generateKey(name string) (identity.PublicKey, error) {
	key, err := identity.GenerateKey(keyID)
	if err != nil {
		return identity.PublicKey{}, err
	}
	text, err := json.Marshal(key)
	if err != nil {
		return identity.PublicKey{}, err
	}
	return key.Public(), writeSecret(name, append(text, '\n'))
}

// generateSeed writes the seed of a new key, of a user (nkeys.CreateUser) or
// another kind, and returns its public half.
func generateSeed(name string, create func() (nkeys.KeyPair, error)) (string, error) {
	pair, err := create()
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return "", err
	}
	seed, err := pair.Seed()
	if err != nil {
		return "", err
	}
	return public, writeSecret(name, append(seed, '\n'))
}

// publicOfSeed returns the public half of a seed in a file.
func publicOfSeed(name string) (string, error) {
	if err := identity.CheckKeyFile(name); err != nil {
		return "", err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	seed := bytes.TrimSpace(text)
	var pair nkeys.KeyPair
	if prefix, _, fault := nkeys.DecodeSeed(seed); fault == nil && prefix == nkeys.PrefixByteCurve {
		pair, err = nkeys.FromCurveSeed(seed)
	} else {
		pair, err = nkeys.ParseDecoratedNKey(text)
	}
	if err != nil || pair == nil {
		return "", fmt.Errorf("%s does not contain the seed of an nkey: remove it or name another directory, keys are made where none are", name)
	}
	defer pair.Wipe()
	return pair.PublicKey()
}

// ensureSeed returns the public half of the seed in a file, and makes the seed if
// there is no file.
func ensureSeed(name string, create func() (nkeys.KeyPair, error)) (string, error) {
	public, err := publicOfSeed(name)
	if errors.Is(err, os.ErrNotExist) {
		return generateSeed(name, create)
	}
	return public, err
}

// writeSecret creates a file of mode 0600; it replaces none.
func writeSecret(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s exists already: keys are never replaced, choose another directory or remove it", name)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(name)
	}
	return err
}
