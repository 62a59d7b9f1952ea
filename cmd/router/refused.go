package main

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/internal/doctor"
)

// connection is the one that a process works with, for whoever asks why the
// process is not ready. The zero value is of no credential.
type connection struct {
	credential string // for people: see config.credentialName
	conn       atomic.Pointer[nats.Conn]
	cause      atomic.Pointer[error] // of the last attempt that did not succeed
}

// reason says more about err, why the process cannot work, if it is for want of a
// connection.
func (c *connection) reason(err error) error {
	nc, cause := c.conn.Load(), c.cause.Load()
	if err == nil || nc == nil || nc.IsConnected() || cause == nil {
		return err
	}
	seen, mend := doctor.Explain(*cause, c.credential)
	return fmt.Errorf("not connected to NATS: %s; %s", seen, mend)
}

// attempts logs attempts to connect that do not succeed. It tells the refusal of a
// credential from a server that is away: the one is mended by waiting, the other
// is not. The process goes on trying in both cases, since a server that reloads its
// configuration refuses everybody for a moment, and credentials are replaced under
// a running process.
func (c *connection) attempts(log *slog.Logger) nats.Option {
	return nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
		c.cause.Store(&err)
		if !refused(err) {
			log.Warn("NATS not reachable, trying again", "error", err)
			return
		}
		_, mend := doctor.Explain(err, c.credential)
		log.Error("NATS refuses the credential, trying again", "refused", c.credential, "error", err, "remedy", mend)
	})
}

// refused reports whether err says that the server does not admit a credential.
func refused(err error) bool {
	for _, target := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
