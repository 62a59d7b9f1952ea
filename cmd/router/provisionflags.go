package main

import (
	"errors"

	"github.com/spf13/pflag"
)

// checkProvisionFlags refuses flags of "provision" that would do nothing: those of
// streams when a configuration is printed, and the other way round.
func checkProvisionFlags(f *pflag.FlagSet) error {
	streams := []string{"replicas", "storage", "max-age", "max-call-duration", "update", "verify", "proxies"}
	whole := []string{
		"store-dir", "host", "port", "sync-always", "sync-interval", "server-cert", "server-key", "server-ca", "handshake-first",
		"websocket-port", "websocket-origin", "websocket-no-tls", "max-file", "max-memory", "server-name",
	}
	server := append([]string{"keys", "accounts-only"}, whole...)
	return errors.Join(
		notWith(f, "server-config", streams...),
		notWith(f, "server-config", "operator-config"),
		notWith(f, "operator-config", streams...),
		notWith(f, "operator-config", "with-identities"),
		notWith(f, "accounts-only", whole...),
		notWith(f, "verify", "update"),
		notWith(f, "sync-always", "sync-interval"),
		onlyWith(f, []string{"server-config", "operator-config"}, server...),
		onlyWith(f, []string{"server-config"}, "with-identities"),
	)
}
