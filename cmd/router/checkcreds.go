package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/doctor"
)

// credential is how the environment says to connect. What cannot be used is
// reported as a mistake of the environment (configcheck.go); the connection is then
// tried without.
func (c *config) credential(role doctor.Role) doctor.Credential {
	found := doctor.Credential{Role: role, Name: c.credentialName()}
	opts, err := c.natsOptions()
	if err != nil || c.NATS.Creds+c.NATS.NkeyFile+c.NATS.User == "" {
		return found
	}
	found.Options = opts
	return found
}

// credentialName says to people how the environment says to connect.
func (c *config) credentialName() string {
	switch n := c.NATS; {
	case n.Creds != "":
		return "the credentials in ROUTER_NATS_CREDS"
	case n.NkeyFile != "":
		if public, err := publicOfSeed(n.NkeyFile); err == nil {
			return "the nkey " + public + " of ROUTER_NATS_NKEY_FILE"
		}
		return "the nkey of ROUTER_NATS_NKEY_FILE"
	case n.User != "":
		return "the user " + n.User + " with the password in ROUTER_NATS_PASSWORD_FILE"
	default:
		return "no credential (ROUTER_NATS_CREDS, ROUTER_NATS_NKEY_FILE and ROUTER_NATS_USER are unset)"
	}
}

// credentialIn looks for a user's credentials in a directory.
func credentialIn(dir string, role doctor.Role) (doctor.Credential, bool) {
	if dir == "" {
		return doctor.Credential{}, false
	}
	for _, ending := range []string{credsEnding, seedEnding} {
		file := filepath.Join(dir, string(role)+ending)
		if _, opts, err := credentialFile(file); err == nil {
			return doctor.Credential{Role: role, Name: file, Options: opts}, true
		}
	}
	return doctor.Credential{}, false
}

// credentialFile returns how to connect with a file of credentials or an nkey
// seed, and the file's name without its ending.
func credentialFile(file string) (name string, opts []nats.Option, err error) {
	if err := identity.CheckKeyFile(file); err != nil {
		return "", nil, err
	}
	base := filepath.Base(file)
	if name, ok := strings.CutSuffix(base, credsEnding); ok {
		return name, []nats.Option{nats.UserCredentials(file)}, nil
	}
	name, ok := strings.CutSuffix(base, seedEnding)
	if !ok {
		return "", nil, fmt.Errorf("want a file SELFID%s or SELFID%s", seedEnding, credsEnding)
	}
	nkey, err := nats.NkeyOptionFromSeed(file)
	if err != nil {
		return "", nil, errors.New("want the nkey seed of a user (SU...)") // the cause may quote the file
	}
	return name, []nats.Option{nkey}, nil
}

// keyFileNames lists the files of a directory of proxy keys.
func keyFileNames(dir string) []string {
	if dir == "" {
		return nil
	}
	names, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*"+jwkEnding))
	if err != nil {
		return nil // not for a pattern that is escaped
	}
	return names
}
