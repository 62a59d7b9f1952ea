package broker

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"

	"github.com/nats-io/nkeys"
)

// checkCallout reports what is wrong with the auth callout.
func (c Config) checkCallout() (errs []error) {
	switch {
	case c.Callout.IsZero() && c.Auth.IsZero():
		return nil
	case c.Callout.IsZero():
		return []error{errors.New("a credential for the auth callout service, but no callout")}
	case c.Auth.IsZero():
		errs = append(errs, errors.New("no credential for the auth callout service"))
	}
	if !nkeys.IsValidPublicAccountKey(c.Callout.Issuer) {
		errs = append(errs, errors.New("callout issuer is not a public account key (A...)"))
	}
	if !nkeys.IsValidPublicCurveKey(c.Callout.XKey) {
		errs = append(errs, errors.New("callout xkey is not a public curve key (X...)"))
	}
	if len(c.Identities) > 0 {
		errs = append(errs, errors.New("both a callout and identities: with a callout they come from the directory"))
	}
	if !c.hasNKey() {
		errs = append(errs, errors.New("a callout needs a user with an nkey: the server sends no nonce else, and a signature of none can be replayed"))
	}
	return errs
}

func (c Config) hasNKey() bool {
	return slices.ContainsFunc(c.roles(), func(r role) bool { return r.Credential.NKey != "" })
}

// checkWebSocket reports what is wrong with the listener for browsers.
func (c Config) checkWebSocket() (errs []error) {
	w := c.WebSocket
	if w.Port == 0 {
		return nil
	}
	if w.Port < -1 || w.Port > 65535 {
		errs = append(errs, fmt.Errorf("WebSocket port %d: want 0 (off), -1 (any) to 65535", w.Port))
	}
	if err := w.TLS.validate(); err != nil {
		errs = append(errs, fmt.Errorf("WebSocket: %w", err))
	}
	if w.TLS.CertFile == "" && c.TLS.CertFile == "" && !w.NoTLS && !c.loopback() {
		errs = append(errs, errors.New("WebSocket without TLS: name a certificate, or say that a proxy in front terminates TLS"))
	}
	for _, origin := range w.Origins {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || !printable(origin) {
			errs = append(errs, fmt.Errorf("WebSocket origin %.80q: want a URL such as https://example.org", origin))
		}
	}
	return errs
}

// loopback reports whether only this machine reaches the server.
func (c Config) loopback() bool { return loopback(c.Host) }

func loopback(host string) bool {
	if host == "" || host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
