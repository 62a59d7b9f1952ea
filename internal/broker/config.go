package broker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/voicerouter/voicerouter/identity"
)

// Config is what a nats-server configuration of the router is made of.
type Config struct {
	// Fragment leaves out what a configuration that includes this one says by
	// itself: name, addresses, TLS and JetStream. Accounts, permissions and the
	// auth callout remain.
	Fragment bool
	// Name is the server's name; "" lets the server choose.
	Name string
	// Host is the address to listen on, default 127.0.0.1.
	Host string
	// Port is the client port: 0 means 4222, -1 any free one.
	Port int
	// MonitorPort serves the monitoring endpoints over HTTP; 0 is off.
	MonitorPort int
	// StoreDir is the directory of JetStream. Required.
	StoreDir string
	// MaxMemory and MaxFile bound JetStream's memory and disk, in bytes; 0 leaves
	// the choice to the server.
	MaxMemory, MaxFile int64
	// SyncInterval is how often the stores are fsynced; 0 is the server's default
	// of 2 minutes.
	SyncInterval time.Duration
	// SyncAlways fsyncs every write before it is acknowledged.
	SyncAlways bool
	// MaxPayload is the largest message in bytes, default 1 MiB. The largest one
	// of the router, an answer of the sync service, stays below that.
	MaxPayload int
	// Batch bounds atomic batches.
	Batch BatchLimits
	// TLS secures client connections if its CertFile is set.
	TLS TLS

	// Cluster makes the server one of several if its Name is set; then Name must be
	// set as well, and differ from server to server.
	Cluster Cluster

	// Router is how the workers authenticate. Required.
	Router Credential
	// Backend creates and reads routes and calls; the zero Credential leaves the
	// user out. So it is with Admin, who may do everything in the account ROUTER,
	// and System, who may do everything in the account SYS.
	Backend, Admin, System Credential

	// Callout has the auth callout service decide who connects to VOICE; then Auth
	// is how the service authenticates.
	Callout Callout
	Auth    Credential

	// Identities are users of the account VOICE that stand in the configuration
	// itself. Without a callout only they can connect; with one there are none.
	Identities []Endpoint

	// WebSocket serves clients in browsers if its Port is set.
	WebSocket WebSocket

	// Insecure lets clients without a credential speak as any identity in VOICE,
	// for experiments on one machine: Host must be a loopback address. Signatures
	// are verified all the same.
	Insecure bool
}

// Callout names the public keys of the auth callout service ([auth.Keys]); the
// zero Callout is none.
type Callout struct {
	Issuer string // of an account, "A..."
	XKey   string // of a curve key, "X..."
}

// IsZero reports whether there is no callout.
func (c Callout) IsZero() bool { return c == Callout{} }

// WebSocket configures the listener for browsers. It needs TLS, unless the server
// listens on a loopback address only; "no TLS" behind a proxy that terminates it
// is NoTLS.
type WebSocket struct {
	Port    int // 0 is off, -1 any free one
	TLS     TLS // default: that of the other clients
	NoTLS   bool
	Origins []string // allowed origins; none: any
}

// BatchLimits are the limits of atomic batches. A zero field is the server's
// default.
type BatchLimits struct {
	PerStream int           // open batches per stream, default 50
	Total     int           // open batches per server, default 1000
	MaxMsgs   int           // messages in a batch, default 1000
	Timeout   time.Duration // a batch without a commit is dropped, default 10 s
}

// IsZero reports whether every limit is the server's default.
func (b BatchLimits) IsZero() bool { return b == BatchLimits{} }

// TLS names PEM files. With a CAFile clients must present a certificate that it
// has signed.
type TLS struct {
	CertFile, KeyFile, CAFile string
	// HandshakeFirst has clients begin with the handshake, before the server says
	// anything in the clear. They need the option as well. Not for WebSocket,
	// where it is always so.
	HandshakeFirst bool
}

func (t TLS) validate() error {
	switch {
	case (t.CertFile == "") != (t.KeyFile == ""):
		return errors.New("TLS needs a certificate and a key, only one is given")
	case t.CertFile == "" && (t.CAFile != "" || t.HandshakeFirst):
		return errors.New("TLS options without a certificate")
	}
	return nil
}

// Credential is how a user of the accounts ROUTER or SYS authenticates: with an
// nkey (a public user key, "U..."), or with a name and a password, which may be
// a bcrypt hash.
type Credential struct {
	NKey           string
	User, Password string
}

// IsZero reports whether there is no such user.
func (c Credential) IsZero() bool { return c == Credential{} }

// String names the user without the password.
func (c Credential) String() string {
	if c.NKey != "" {
		return "nkey " + c.NKey
	}
	return "user " + c.User
}

// GoString is String, so that %#v shows no password either.
func (c Credential) GoString() string { return c.String() }

// Endpoint is a user of the account VOICE.
type Endpoint struct {
	ID   identity.ID
	Role identity.Role
	// NKey is the public user key ("U...") that opens the connection.
	NKey string
}

// EndpointOf returns the user that the directory entry r of id stands for; ok is
// false if it stands for none: revoked, or without an nkey.
func EndpointOf(id identity.ID, r identity.Record) (e Endpoint, ok bool) {
	if r.Revoked || r.NKey == "" {
		return Endpoint{}, false
	}
	return Endpoint{ID: id, Role: r.Role, NKey: r.NKey}, true
}

// Validate reports everything that is wrong with c at once.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("broker: "+format, args...)) }
	if c.StoreDir == "" {
		bad("no store directory: JetStream needs one, also for streams in memory")
	}
	if c.Port < -1 || c.Port > 65535 {
		bad("port %d: want -1 (any) to 65535", c.Port)
	}
	if c.MonitorPort < 0 || c.MonitorPort > 65535 {
		bad("monitor port %d: want 0 (off) to 65535", c.MonitorPort)
	}
	if err := c.TLS.validate(); err != nil {
		bad("%w", err)
	}
	if c.Router.IsZero() {
		bad("no credential for the workers")
	}
	for _, err := range slices.Concat(c.checkCallout(), c.checkWebSocket(), c.checkCluster()) {
		bad("%w", err)
	}
	if c.Insecure && !c.loopback() {
		bad("insecure, but listening on %s: want a loopback address", c.Host)
	}
	seen := map[string]string{}
	once := func(key, who string) {
		if other, dup := seen[key]; dup {
			bad("%s and %s authenticate as the same %s", other, who, key)
		}
		seen[key] = who
	}
	for _, role := range c.roles() {
		if role.Credential.IsZero() {
			continue
		}
		if err := role.Credential.validate(); err != nil {
			bad("%s: %w", role.Name, err)
			continue
		}
		once(role.Credential.String(), role.Name)
	}
	for _, e := range c.Identities {
		if err := e.validate(); err != nil {
			bad("identity %q: %w", e.ID, err)
			continue
		}
		once("nkey "+e.NKey, "identity "+e.ID.String())
	}
	return errors.Join(errs...)
}

func (c Credential) validate() error {
	switch {
	case c.NKey != "" && (c.User != "" || c.Password != ""):
		return errors.New("both an nkey and a password: want one")
	case c.NKey != "" && !nkeys.IsValidPublicUserKey(c.NKey):
		return errors.New("nkey is not a public user key (U...)")
	case c.NKey == "" && (c.User == "" || c.Password == ""):
		return errors.New("want a user and a password, or an nkey")
	case !printable(c.User), !printable(c.Password):
		return errors.New("user and password must be printable ASCII")
	}
	return nil
}

func (e Endpoint) validate() error {
	// The name becomes part of the permissions: a wildcard in it would grant what
	// is everybody's. The type rules that out, the zero value aside.
	if e.ID.IsZero() {
		return errors.New("no name")
	}
	if e.Role != identity.RoleUser && e.Role != identity.RoleApp {
		return fmt.Errorf("role %.16q: want user or app", e.Role)
	}
	if !nkeys.IsValidPublicUserKey(e.NKey) {
		return errors.New("nkey is not a public user key (U...)")
	}
	return nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
