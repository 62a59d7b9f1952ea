package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
)

// The values of ROUTER_SIGNATURES.
const (
	signaturesRequired = "required"
	signaturesOff      = "off"
)

// check reports every value that cannot be used, without showing it where it may
// be a secret. Variables that could not be read at all are skipped.
func (c *config) check(unreadable map[string]bool) []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	between := func(key string, d, low, high time.Duration) {
		if !unreadable[key] && (d < low || d > high) {
			bad("%s is %s: want %s to %s", key, d, low, high)
		}
	}
	count := func(key string, n, low, high int) {
		if !unreadable[key] && (n < low || n > high) {
			bad("%s is %d: want %d to %d", key, n, low, high)
		}
	}
	errs = append(errs, c.checkNATS()...)
	if c.LogFormat != formatText && c.LogFormat != formatJSON && !unreadable["ROUTER_LOG_FORMAT"] {
		bad("ROUTER_LOG_FORMAT: want text or json")
	}
	if c.Signatures != signaturesRequired && c.Signatures != signaturesOff {
		bad("ROUTER_SIGNATURES: want %s or %s", signaturesRequired, signaturesOff)
	}
	if _, _, err := net.SplitHostPort(c.HTTPAddr); err != nil && !unreadable["ROUTER_HTTP_ADDR"] {
		bad("ROUTER_HTTP_ADDR: want host:port or :port")
	}
	between("ROUTER_RING_TIMEOUT", c.RingTimeout, 5*time.Second, 180*time.Second)
	between("ROUTER_MAX_CALL_DURATION", c.MaxCallDuration, time.Minute, 7*24*time.Hour)
	between("ROUTER_MAX_MESSAGE_AGE", c.MaxMessageAge, 10*time.Second, 24*time.Hour)
	between("ROUTER_SHUTDOWN_TIMEOUT", c.ShutdownTimeout, time.Second, 10*time.Minute)
	between("ROUTER_ROTATE_EVERY", c.RotateEvery, 100*time.Millisecond, time.Hour)
	between("ROUTER_AUTH_TTL", c.Auth.TTL, time.Minute, 24*time.Hour)
	between("ROUTER_AUTH_REFUSAL_DELAY", c.Auth.RefusalDelay, 0, time.Second)
	count("ROUTER_AUTH_PARALLEL", c.Auth.Parallel, 1, 1024)
	count("ROUTER_REPLICAS", max(c.Replicas, 1), 1, 5)
	count("ROUTER_BATCH_SIZE", c.BatchSize, 1, 1000)
	count("ROUTER_CACHE_SIZE", c.CacheSize, 1, 1_000_000)
	count("ROUTER_LIMITS_MESSAGES", c.Limits.Messages, -1, 1_000_000)
	count("ROUTER_LIMITS_STARTS", c.Limits.Starts, -1, 1_000_000)
	count("ROUTER_LIMITS_APP_MESSAGES", c.Limits.AppMessages, -1, 1_000_000)
	if c.StreamMaxAge != 0 && c.StreamMaxAge <= 2*c.MaxCallDuration && !unreadable["ROUTER_MAX_CALL_DURATION"] {
		bad("ROUTER_STREAM_MAX_AGE is %s: want more than twice ROUTER_MAX_CALL_DURATION (%s), else the record of a live call could age away", c.StreamMaxAge, c.MaxCallDuration)
	}
	return errs
}

func (c *config) checkNATS() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	n := c.NATS
	for server := range strings.SplitSeq(n.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		switch {
		case err != nil, u.Host == "":
			bad("ROUTER_NATS_URL: want URLs like nats://host:4222, comma-separated")
		case u.User != nil:
			bad("ROUTER_NATS_URL contains a user: use ROUTER_NATS_USER and ROUTER_NATS_PASSWORD_FILE, so that no secret stands in the environment")
		}
	}
	var ways []string
	for _, way := range []struct{ key, value string }{
		{"ROUTER_NATS_CREDS", n.Creds}, {"ROUTER_NATS_NKEY_FILE", n.NkeyFile}, {"ROUTER_NATS_USER", n.User},
	} {
		if way.value != "" {
			ways = append(ways, way.key)
		}
	}
	if len(ways) > 1 {
		bad("%s are set together: want one way to authenticate", strings.Join(ways, " and "))
	}
	if (n.User == "") != (n.PasswordFile == "") {
		bad("ROUTER_NATS_USER and ROUTER_NATS_PASSWORD_FILE belong together: only one is set")
	}
	if (n.TLS.Cert == "") != (n.TLS.Key == "") {
		bad("ROUTER_NATS_TLS_CERT and ROUTER_NATS_TLS_KEY belong together: only one is set")
	}
	for _, file := range []struct {
		key, name string
		secret    bool
	}{
		{"ROUTER_NATS_CREDS", n.Creds, true},
		{"ROUTER_NATS_NKEY_FILE", n.NkeyFile, true},
		{"ROUTER_NATS_PASSWORD_FILE", n.PasswordFile, true},
		{"ROUTER_NATS_TLS_CA", n.TLS.CA, false},
		{"ROUTER_NATS_TLS_CERT", n.TLS.Cert, false},
		{"ROUTER_NATS_TLS_KEY", n.TLS.Key, true},
		{"ROUTER_AUTH_ISSUER_FILE", c.Auth.IssuerFile, true},
		{"ROUTER_AUTH_XKEY_FILE", c.Auth.XkeyFile, true},
	} {
		switch {
		case file.name == "":
		case !readable(file.name):
			bad("%s: no file can be read at the path that it names", file.key)
		case file.secret && errors.Is(identity.CheckKeyFile(file.name), identity.ErrKeyFileMode):
			bad("%s: the file that it names is readable by everybody: chmod 600", file.key)
		}
	}
	if n.NkeyFile != "" && readable(n.NkeyFile) {
		if _, err := nats.NkeyOptionFromSeed(n.NkeyFile); err != nil { // the error may quote the file
			bad("ROUTER_NATS_NKEY_FILE does not contain the nkey seed of a user (SU...)")
		}
	}
	if c.ProxyKeys != "" {
		if info, err := os.Stat(c.ProxyKeys); err != nil || !info.IsDir() {
			bad("ROUTER_PROXY_KEYS: there is no directory at the path that it names")
		}
	}
	return errs
}

// readable reports whether name is a file that can be opened. Errors of the
// operating system would quote the path, and a path may be a secret that was
// put into a variable for files.
func readable(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	info, err := f.Stat()
	return errors.Join(err, f.Close()) == nil && !info.IsDir()
}
