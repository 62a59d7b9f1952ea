package voice

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"go.opentelemetry.io/otel/trace"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// Options configures a [Client]. SelfID and SigningKey are required; the zero
// value of every other field means its default.
type Options struct {
	// URL of the NATS server; several are separated by commas. Default
	// nats://127.0.0.1:4222.
	URL string
	// SelfID is the identity that sends and receives.
	SelfID string
	// Role is identity.RoleUser (default) for an endpoint, or identity.RoleApp for
	// an app, which receives through its durable consumer.
	Role identity.Role
	// SigningKey signs every message. It is not the key of the connection.
	SigningKey identity.PrivateKey
	// NKeySeed opens the connection (a seed "SU..."); NKeyFile names a file that
	// holds it. Without either, URL or NATSOptions must say how to log in.
	NKeySeed []byte
	NKeyFile string
	// Party names this device among those of the identity. Empty: the identity has
	// one device.
	Party string
	// Trusted returns the public keys of an issuer. A message of an issuer for
	// whom it returns some must verify with one of them, or it is not handed over.
	// Nil, and issuers without keys, mean that the broker is trusted: its
	// permissions let routers alone write to an inbox. Trusted must not block.
	Trusted func(iss identity.ID) []identity.PublicKey
	// Unsigned is for a closed network whose routers run with
	// ROUTER_SIGNATURES=off: messages are sent without a signature, and taken from
	// the broker without one. SigningKey may be missing then, and Trusted must be.
	// Without this option an unsigned message is not handed over.
	Unsigned bool
	// Logger receives warnings about what could not be delivered, and the errors
	// for which there is no handler; nothing of peer_info or data is ever logged.
	// Default: slog.Default().
	Logger *slog.Logger
	// Stored is called, before the send returns, with every message that the broker
	// has stored and where it stands in the stream VOICE_IN. Default: nil.
	Stored func(m signal.Message, receipt Receipt)
	// Lifetime of sent messages: exp is iat and this, at most 24 hours. Default 5
	// minutes.
	Lifetime time.Duration
	// SendTimeout bounds a send whose context has no earlier deadline, retries
	// included. Default 10 seconds.
	SendTimeout time.Duration
	// SyncEvery is the time between two sync requests of an endpoint. Default 10
	// seconds.
	SyncEvery time.Duration
	// HoldFor bounds how long messages behind a gap wait for the sync service
	// before they are handed over without what is missing. Default 2 seconds.
	HoldFor time.Duration
	// Workers is the number of conversations whose handlers run at once. Default
	// 64.
	Workers int
	// Queue is the number of messages that may wait for handlers; beyond it
	// nothing more is taken in. Default 1024. That of an app should not be below
	// the 1000 messages that its durable delivers at once: an app that takes
	// nothing in for 3 seconds hands over to another process.
	Queue int
	// TracerProvider makes a span of every send and of every message that is handed
	// over, in the trace of its call, which spans both sides and the routers
	// (docs/protocol.md, "Traces"). Its sampler should go by the trace id: a call's
	// first span has a parent. Default: none, at no cost.
	TracerProvider trace.TracerProvider
	// Now is the clock for iat. Default time.Now.
	Now func() time.Time
	// NATSOptions are applied to the connection. The inbox prefix and the handlers
	// of reconnects and errors are the client's own.
	NATSOptions []nats.Option
}

// maxLifetime bounds Options.Lifetime: signalling of yesterday is of no use.
const maxLifetime = 24 * time.Hour

// withDefaults returns o with every default filled in, and the identity, or all
// that is wrong with o.
func (o Options) withDefaults() (Options, identity.ID, error) {
	var faults []error
	self, err := identity.ParseID(o.SelfID)
	if err != nil {
		faults = append(faults, fmt.Errorf("option SelfID: %w", err))
	}
	if o.SigningKey.IsZero() && !o.Unsigned {
		faults = append(faults, errors.New("option SigningKey is missing"))
	}
	if o.Unsigned && o.Trusted != nil {
		faults = append(faults, errors.New("options Trusted and Unsigned exclude each other: nothing unsigned verifies"))
	}
	if o.Party != "" && !subjects.ValidParty(o.Party) {
		faults = append(faults, fmt.Errorf("option Party %.80q: want 1 to %d characters of A-Z a-z 0-9 _ . ~ -", o.Party, subjects.MaxParty))
	}
	o.Role = or(o.Role, identity.RoleUser)
	if o.Role != identity.RoleUser && o.Role != identity.RoleApp {
		faults = append(faults, fmt.Errorf("option Role %.16q: want user or app", o.Role))
	}
	if len(o.NKeySeed) > 0 && o.NKeyFile != "" {
		faults = append(faults, errors.New("options NKeySeed and NKeyFile are both set"))
	}
	for name, d := range map[string]time.Duration{"Lifetime": o.Lifetime, "SendTimeout": o.SendTimeout, "SyncEvery": o.SyncEvery, "HoldFor": o.HoldFor} {
		if d < 0 {
			faults = append(faults, fmt.Errorf("option %s is negative: %v", name, d))
		}
	}
	if o.Lifetime > maxLifetime {
		faults = append(faults, fmt.Errorf("option Lifetime %v: want at most %v", o.Lifetime, maxLifetime))
	}
	if o.Workers < 0 || o.Queue < 0 {
		faults = append(faults, errors.New("options Workers and Queue must not be negative"))
	}
	o.URL = or(o.URL, nats.DefaultURL)
	o.Lifetime = or(o.Lifetime, 5*time.Minute)
	o.SendTimeout = or(o.SendTimeout, 10*time.Second)
	o.SyncEvery = or(o.SyncEvery, 10*time.Second)
	o.HoldFor = or(o.HoldFor, 2*time.Second)
	o.Workers = or(o.Workers, 64)
	o.Queue = or(o.Queue, 1024)
	o.Logger = or(o.Logger, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(faults) > 0 {
		return o, self, fmt.Errorf("voice: %w", errors.Join(faults...))
	}
	return o, self, nil
}

// login returns the option that opens the connection with the nkey, nil if there
// is none.
func (o Options) login() (nats.Option, error) {
	if o.NKeyFile != "" {
		opt, err := nats.NkeyOptionFromSeed(o.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("voice: option NKeyFile %q: %w", o.NKeyFile, err)
		}
		return opt, nil
	}
	if len(o.NKeySeed) == 0 {
		return nil, nil
	}
	pair, err := nkeys.FromSeed(o.NKeySeed)
	if err != nil {
		return nil, errors.New("voice: option NKeySeed is not an nkey seed (SU...)")
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("voice: option NKeySeed: %w", err)
	}
	return nats.Nkey(public, pair.Sign), nil
}

func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
