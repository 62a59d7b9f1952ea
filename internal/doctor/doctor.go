package doctor

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/provision"
)

// Credential is how a user connects.
type Credential struct {
	Role Role
	// Name says to people which credential it is: "nkey UAB..., keys/router.nk".
	// It must not contain secrets.
	Name    string
	Options []nats.Option
}

// Identity is an identity of the directory with which a connection may be tried.
type Identity struct {
	ID      identity.ID
	Options []nats.Option // nkey or credentials
}

// TLS names the files (PEM) that a connection uses.
type TLS struct {
	CA, Cert, Key string
	// First begins with the handshake.
	First bool
}

// KeyFile is one file of the directory of proxy keys.
type KeyFile struct {
	Name string
	ID   identity.ID
	Key  identity.PrivateKey
	Err  error // why the file cannot be used; nothing of its content
}

// Suspicion is a variable that can be used, and should be thought about.
type Suspicion struct{ Variable, Seen, Mend string }

// Options says what to examine.
type Options struct {
	// Servers are the URLs of the servers.
	Servers []string
	// Credential is that of the environment.
	Credential Credential
	// Others are further users whose permissions are tried.
	Others []Credential
	// Identity, if not nil, is connected as a client would be.
	Identity *Identity
	TLS      TLS
	// Transport are the options of every connection: TLS.
	Transport []nats.Option
	// Provision is what streams and buckets must be.
	Provision provision.Options
	// Keys are the files of the proxies' keys, in the directory KeyDir.
	Keys   []KeyFile
	KeyDir string
	// Mistakes are what is wrong with the environment itself; Suspicions what is
	// odd about it.
	Mistakes   []error
	Suspicions []Suspicion
	// Variables is the number of variables that are set.
	Variables int
	// Now is the clock of this machine; default time.Now.
	Now func() time.Time
	// Timeout bounds each question to a server; default 10 s.
	Timeout time.Duration
}

// exam is one examination: the options, what has been learnt, and the report.
type exam struct {
	Options
	report  Report
	current string // name of the running check

	reachable bool       // a server said INFO, or cannot be asked so
	server    serverInfo // of the first that did
	shown     []shownCertificate
	links     []*link // every connection, main first
	jetstream bool    // JetStream answers on account()
}

// Run examines the installation.
func Run(ctx context.Context, opts Options) Report {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 10 * time.Second
	}
	e := &exam{Options: opts}
	defer e.close()
	for _, c := range checks() {
		e.current = c.name
		if reason := c.blocked(e); reason != "" {
			e.add(Skipped, c.about, reason, "")
			continue
		}
		c.run(ctx, e)
	}
	return e.report
}

func (e *exam) add(status Status, about, seen, mend string) {
	e.report.add(Finding{Check: e.current, About: about, Status: status, Seen: seen, Mend: mend})
}

func (e *exam) close() {
	for _, l := range e.links {
		l.nc.Close()
	}
}

// account returns a connection that may ask JetStream about streams, nil if
// there is none.
func (e *exam) account() *link {
	for _, l := range e.links {
		if l.role == RoleRouter || l.role == RoleAdmin {
			return l
		}
	}
	return nil
}

// as returns the connection of a role, nil if there is none.
func (e *exam) as(role Role) *link {
	for _, l := range e.links {
		if l.role == role {
			return l
		}
	}
	return nil
}
