package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/subjects"
)

// Role is a user of the broker outside the account VOICE.
type Role string

// The roles, named as their users are.
const (
	RoleRouter  Role = broker.UserRouter
	RoleBackend Role = broker.UserBackend
	RoleAdmin   Role = broker.UserAdmin
	RoleAuth    Role = broker.UserAuth
	RoleSystem  Role = broker.UserSystem
)

// Roles lists every role.
func Roles() []Role { return []Role{RoleRouter, RoleBackend, RoleAdmin, RoleAuth, RoleSystem} }

// link is an open connection.
type link struct {
	role Role
	name string
	nc   *nats.Conn
	js   jetstream.JetStream
}

// inboxPrefix is what the role may subscribe to for its replies.
func (r Role) inboxPrefix() string {
	if r == RoleBackend || r == RoleSystem {
		return nats.InboxPrefix[:len(nats.InboxPrefix)-1]
	}
	return subjects.InboxPrefix(string(r))
}

// checkConnection connects with every credential.
func checkConnection(ctx context.Context, e *exam) {
	for _, c := range append([]Credential{e.Credential}, e.Others...) {
		about := "user " + string(c.Role)
		l, err := e.connect(ctx, c)
		if err != nil {
			seen, mend := Explain(err, c.Name)
			e.add(Wrong, about, seen, mend)
			continue
		}
		e.links = append(e.links, l)
		e.add(OK, about, fmt.Sprintf("admitted with %s by server %s", c.Name, l.nc.ConnectedServerName()), "")
	}
}

func (e *exam) connect(ctx context.Context, c Credential) (*link, error) {
	opts := append(append([]nats.Option{}, e.Transport...), c.Options...)
	opts = append(opts, nats.Name("router check as "+string(c.Role)), nats.CustomInboxPrefix(c.Role.inboxPrefix()))
	nc, err := e.dial(ctx, opts)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(e.Timeout))
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &link{role: c.Role, name: c.Name, nc: nc, js: js}, nil
}

// dial opens a connection. A server that is just reloading its configuration
// refuses everybody, so that one refusal is none.
func (e *exam) dial(ctx context.Context, opts []nats.Option) (*nats.Conn, error) {
	nc, err := e.dialOnce(opts)
	if errors.Is(err, nats.ErrAuthorization) {
		select {
		case <-ctx.Done():
		case <-time.After(reloadTime):
			nc, err = e.dialOnce(opts)
		}
	}
	return nc, err
}

// reloadTime is longer than a server takes to reload its users.
const reloadTime = 250 * time.Millisecond

// dialOnce opens a connection that ends when it breaks.
func (e *exam) dialOnce(opts []nats.Option) (*nats.Conn, error) {
	opts = append(opts, nats.NoReconnect(), nats.Timeout(max(e.Timeout, needCallout)),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // LastError tells
	return nats.Connect(strings.Join(e.Servers, ","), opts...)
}

// Explain says in words why a connection did not come about, and what to do. The
// credential is named to whoever reads it.
func Explain(err error, credential string) (seen, mend string) {
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAccountAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return fmt.Sprintf("the server refuses %s: %v", credential, err),
			"name the credential that \"router provision --server-config --keys DIR\" has made for this user, and have the server run with the configuration that it has printed (\"nats-server --signal reload\" after a change)"
	case errors.Is(err, nats.ErrAuthExpired):
		return fmt.Sprintf("%s has expired", credential), "issue new credentials (operator mode: \"router provision --operator-config --keys DIR\" after removing the old .creds file)"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "TLS is asked for here, the server has none", "unset ROUTER_NATS_TLS_*, or configure TLS on the server"
	case errors.Is(err, nats.ErrSecureConnRequired):
		return "the server wants TLS", "write tls://HOST:PORT into ROUTER_NATS_URL and set ROUTER_NATS_TLS_CA"
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, syscall.ECONNREFUSED):
		return "no server listens there", "start the server, or correct its address (ROUTER_NATS_URL)"
	case errors.As(err, new(*net.DNSError)):
		return err.Error(), "correct the name in ROUTER_NATS_URL, or the name service of this machine"
	case errors.As(err, new(x509.CertificateInvalidError)), errors.As(err, new(x509.UnknownAuthorityError)), errors.As(err, new(x509.HostnameError)):
		return err.Error(), "see the check tls of \"router check\""
	case strings.Contains(err.Error(), "remote error: tls"), strings.Contains(err.Error(), "tls: "):
		return err.Error(), "set ROUTER_NATS_TLS_CERT and ROUTER_NATS_TLS_KEY to a certificate that the server's authority has signed"
	case isTimeout(err):
		return "the server does not answer", "see the checks server and tls of \"router check\""
	}
	return err.Error(), "see the log of the server"
}

// ask runs a question with the timeout. A request that is not permitted is never
// answered: the error then says so at once.
func (e *exam) ask(ctx context.Context, l *link, question func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	before := l.nc.LastError()
	var answer error
	done := make(chan struct{})
	go func() { answer = question(ctx); close(done) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return answer
		case <-tick.C:
			if err := l.nc.LastError(); err != before && errors.Is(err, nats.ErrPermissionViolation) { //nolint:errorlint // is it another one
				cancel()
				<-done
				return err
			}
		}
	}
}
