package identity_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/voicerouter/voicerouter/identity"
)

func TestReadPrivateKey(t *testing.T) {
	key := newKey(t, "1")
	jwk, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(data string, mode os.FileMode) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "key.jwk")
		if err := os.WriteFile(name, []byte(data), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
		return name
	}
	for _, mode := range []os.FileMode{0o600, 0o400, 0o640} {
		got, err := identity.ReadPrivateKey(write(string(jwk), mode))
		if err != nil || !got.Public().Key.Equal(key.Public().Key) {
			t.Errorf("mode %o: key %v, error %v", mode, got, err)
		}
	}
	for _, mode := range []os.FileMode{0o604, 0o644, 0o666, 0o602, 0o601} {
		if got, err := identity.ReadPrivateKey(write(string(jwk), mode)); !errors.Is(err, identity.ErrKeyFileMode) || !got.IsZero() {
			t.Errorf("mode %o: key %v, error %v, want ErrKeyFileMode", mode, got, err)
		}
	}
	public, err := json.Marshal(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"empty": "", "null": "null", "public": string(public), "trailing": string(jwk) + "x",
		"secret in the wrong place": `{"kty":"` + rfcD + `","crv":"Ed25519","kid":"` + rfcD + `"}`,
	} {
		file := write(data, 0o600)
		_, err := identity.ReadPrivateKey(file)
		if err == nil || strings.Contains(err.Error(), rfcD) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error %v, want one that names the file and nothing in it", name, err)
		}
	}
	if _, err := identity.ReadPrivateKey(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: error %v, want fs.ErrNotExist", err)
	}
}
