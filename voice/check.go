package voice

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// checkFor bounds the request with which Connect finds out whether the broker
// takes the connection for the identity.
const checkFor = 2 * time.Second

// check returns an error if the broker does not permit the connection to act as
// the identity, or if ctx is cancelled. That nobody answers is no error: a client
// may connect before there is a router, and receives when there is one.
func (c *Client) check(ctx context.Context) error {
	try, cancel := context.WithTimeout(ctx, checkFor)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- c.probe(try) }()
	var denial, err error
	select {
	case denial = <-c.refused: // a forbidden request has no other answer
		cancel()
		err = <-answered
	case err = <-answered:
	}
	switch {
	case denial != nil:
		return fmt.Errorf("%w: %w: is the key of the connection that of %s, and is %s its role?",
			ErrNotPermitted, denial, c.self, c.opts.Role)
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case err != nil:
		c.log.Warn("connected, but nothing can be received yet: no answer from the service", "role", c.opts.Role, "err", err)
	}
	return nil
}

// probe makes one request that nobody but the identity, in its role, may make.
func (c *Client) probe(ctx context.Context) error {
	if c.opts.Role == identity.RoleApp {
		js, err := jetstream.New(c.nc)
		if err != nil {
			return err
		}
		_, err = js.Consumer(ctx, subjects.StreamOut, subjects.AppConsumer(c.self.String()))
		return err
	}
	request, err := json.Marshal(signal.SyncRequest{Max: 1})
	if err != nil {
		return err
	}
	_, err = c.nc.RequestWithContext(ctx, subjects.Sync(c.self.String()), request)
	return err
}

// explain adds to an error of opening the connection what a program forgot.
func (o Options) explain(err error) error {
	if !errors.Is(err, nats.ErrAuthorization) || len(o.NKeySeed) > 0 || o.NKeyFile != "" || o.otherLogin() {
		return err
	}
	return fmt.Errorf("%w: neither NKeySeed nor NKeyFile is set", err)
}

// otherLogin reports whether the URL or NATSOptions say how to log in.
func (o Options) otherLogin() bool {
	if strings.Contains(o.URL, "@") {
		return true
	}
	var n nats.Options
	for _, option := range o.NATSOptions {
		if option != nil && option(&n) != nil {
			return true // it is not known what they say
		}
	}
	return n.Nkey != "" || n.UserJWT != nil || n.User != "" || n.UserInfo != nil || n.Token != "" || n.TokenHandler != nil ||
		n.TLSCertCB != nil || n.TLSConfig != nil && len(n.TLSConfig.Certificates) > 0
}
