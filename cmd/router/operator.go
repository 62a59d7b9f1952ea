package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker"
)

// credsEnding ends files with a user JWT and the seed that belongs to it.
const credsEnding = ".creds"

// signingKey is the file of the key that signs the user JWTs of a role.
func signingKey(role identity.Role) string { return "signing-" + string(role) + seedEnding }

// printOperatorConfig prints a configuration in operator mode and writes the
// credentials of the users outside the account VOICE.
func (p *provisioning) printOperatorConfig(cmd *cobra.Command) error {
	if p.keys == "" {
		return usagef("--operator-config needs --keys: the directory of its keys")
	}
	operator, err := operatorKeys(p.keys)
	if err != nil {
		return err
	}
	text, err := p.server.RenderOperator(operator)
	if err != nil {
		return usageError{err}
	}
	for _, name := range []string{broker.UserRouter, broker.UserBackend, broker.UserAdmin, broker.UserSystem} {
		if err := userCreds(p.keys, name, operator); err != nil {
			return err
		}
	}
	_, err = cmd.OutOrStdout().Write(text)
	return err
}

// operatorKeys reads the keys of an operator from dir, and makes what is missing.
func operatorKeys(dir string) (broker.Operator, error) {
	var o broker.Operator
	for _, key := range []struct {
		file   string
		create func() (nkeys.KeyPair, error)
		pair   *nkeys.KeyPair
	}{
		{"operator" + seedEnding, nkeys.CreateOperator, &o.Operator},
		{"account-system" + seedEnding, nkeys.CreateAccount, &o.System},
		{"account-router" + seedEnding, nkeys.CreateAccount, &o.Router},
		{"account-voice" + seedEnding, nkeys.CreateAccount, &o.Voice},
		{signingKey(identity.RoleUser), nkeys.CreateAccount, &o.User},
		{signingKey(identity.RoleApp), nkeys.CreateAccount, &o.App},
	} {
		name := filepath.Join(dir, key.file)
		if _, err := ensureSeed(name, key.create); err != nil {
			return o, fmt.Errorf("key of the operator: %w", err)
		}
		pair, err := readPair(name)
		if err != nil {
			return o, err
		}
		*key.pair = pair
	}
	return o, nil
}

// userCreds writes the credentials of a user, unless they exist.
func userCreds(dir, name string, operator broker.Operator) error {
	file := filepath.Join(dir, name+credsEnding)
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	seed := filepath.Join(dir, name+seedEnding)
	public, err := ensureSeed(seed, nkeys.CreateUser)
	if err != nil {
		return fmt.Errorf("nkey of the user %s: %w", name, err)
	}
	token, err := operator.UserJWT(name, public)
	if err != nil {
		return err
	}
	return writeCreds(file, token, seed)
}

// writeCreds writes a user JWT with its seed to a file of mode 0600.
func writeCreds(name, token, seedFile string) error {
	seed, err := os.ReadFile(seedFile)
	if err != nil {
		return err
	}
	text, err := jwt.FormatUserConfig(token, bytes.TrimSpace(seed))
	if err != nil {
		return fmt.Errorf("%s: not the nkey seed of a user (SU...), which credentials need", seedFile)
	}
	return writeSecret(name, text)
}

// readPair reads a seed from a file that not everybody may read.
func readPair(name string) (nkeys.KeyPair, error) {
	if err := identity.CheckKeyFile(name); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	pair, err := nkeys.FromSeed(bytes.TrimSpace(text))
	if err != nil {
		return nil, errors.New(name + " does not contain a seed (S...): name the file that \"router provision --operator-config --keys DIR\" wrote")
	}
	return pair, nil
}
