package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/go-json-experiment/json"
)

// ErrKeyFileMode is returned for a private key file that everybody may read.
var ErrKeyFileMode = errors.New("private key file is readable by everybody")

// ReadPrivateKey reads a file with a private JWK, as "router identity add
// --generate" writes it. A file that everybody may read is refused with
// [ErrKeyFileMode]. No error shows any of the content.
func ReadPrivateKey(name string) (PrivateKey, error) {
	if err := CheckKeyFile(name); err != nil {
		return PrivateKey{}, err
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("identity: %w", err)
	}
	var key PrivateKey
	if err := json.Unmarshal(data, &key); err != nil || key.IsZero() {
		return PrivateKey{}, fmt.Errorf("identity: key file %s: want a private JWK with kty OKP, crv Ed25519, kid, x and d", name)
	}
	return key, nil
}

// CheckKeyFile reports whether a file that holds a secret exists and is closed to
// everybody but its owner and group; the group may read, since Kubernetes mounts
// secrets so.
func CheckKeyFile(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if mode := info.Mode().Perm(); mode&fs.FileMode(0o007) != 0 {
		return fmt.Errorf("identity: %w: %s has mode %04o; chmod 600 %s", ErrKeyFileMode, name, mode, name)
	}
	return nil
}
