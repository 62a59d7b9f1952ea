package voice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
)

// Client is the connection of one identity. It is safe for concurrent use.
type Client struct {
	opts  Options
	self  identity.ID
	log   *slog.Logger
	nc    *nats.Conn
	spans *tracer
	gate  gate
	lanes *lanes
	voice *Voice
	mine  *callSet // calls that this process has sent something about
	talks *talks   // the call that goes on in each conversation

	denied  sync.Map   // subjects that the broker does not permit, string -> struct{}
	refused chan error // holds the first denial of all

	stop      context.CancelFunc // ends the intake
	ctx       context.Context
	intake    sync.WaitGroup
	tail      sync.WaitGroup // what outlives the intake until closed
	begin     sync.Once
	wake      chan struct{} // holds one token when the receiver should sync
	closing   sync.Mutex
	closed    chan struct{} // closed when Close begins to close the connection
	closeOnce sync.Once
}

// Connect opens the connection and makes one request, to find out whether the
// broker takes it for the identity: if not, the error wraps [ErrNotPermitted].
// That no router answers within 2 seconds is logged and no error. ctx bounds this
// call alone. The client reconnects for as long as it is not closed.
func Connect(ctx context.Context, options Options) (*Client, error) {
	opts, self, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{
		opts: opts, self: self,
		log:    opts.Logger.With("self", self.String()),
		gate:   gate{self: self, trusted: opts.Trusted, unsigned: opts.Unsigned},
		mine:   newCallSet(),
		talks:  newTalks(),
		spans:  newTracer(opts.TracerProvider),
		wake:   make(chan struct{}, 1),
		closed: make(chan struct{}), refused: make(chan error, 1),
	}
	c.voice = newVoice(c)
	c.lanes = newLanes(opts.Workers, opts.Queue, c.voice.handle)
	c.ctx, c.stop = context.WithCancel(context.Background())
	natsOptions, err := c.natsOptions()
	if err != nil {
		return nil, err
	}
	if c.nc, err = dial(ctx, opts.URL, natsOptions); err != nil {
		c.stop()
		return nil, fmt.Errorf("voice: connect to %s as %s: %w", redact(opts.URL), self, opts.explain(err))
	}
	if err := c.check(ctx); err != nil {
		_ = c.Close(ctx) // there is nothing to lose
		return nil, fmt.Errorf("voice: connect to %s as %s: %w", redact(opts.URL), self, err)
	}
	return c, nil
}

// Voice returns the calls of this client; it is the same one every time.
func (c *Client) Voice() *Voice { return c.voice }

// Self returns the identity of this client.
func (c *Client) Self() string { return c.self.String() }

func (c *Client) natsOptions() ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name(c.self.String()),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectDelay),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(maxSilence),
		nats.IgnoreAuthErrorAbort(), // who is unknown today may be known tomorrow
	}
	login, err := c.opts.login()
	if err != nil {
		return nil, err
	}
	if login != nil {
		options = append(options, login)
	}
	options = append(options, c.opts.NATSOptions...)
	return append(options,
		nats.CustomInboxPrefix(subjects.InboxPrefix(c.self.String())),
		nats.ConnectHandler(func(*nats.Conn) { c.wakeUp() }),
		nats.ReconnectHandler(c.reconnected),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				c.log.Warn("connection lost, reconnecting", "err", err)
			}
		}),
		nats.ErrorHandler(c.asyncError),
	), nil
}

// A connection on which nothing comes back is given up after maxSilence + 1 pings: in
// half a minute. nats.go's own default is six minutes, in which an endpoint whose
// network changed under it rings for nobody.
const (
	pingEvery  = 10 * time.Second
	maxSilence = 2
)

// reconnectDelay is the wait before the n-th round of attempts to connect again:
// short at first, because a connection also ends when what the broker granted
// expires and is granted anew; never longer than 2 s, and never the same for all
// that were cut off at once.
func reconnectDelay(n int) time.Duration {
	delay := min(50*time.Millisecond<<min(n, 6), 2*time.Second)
	return delay + rand.N(delay/2)
}

// dial connects; nats.Connect knows no context.
func dial(ctx context.Context, url string, options []nats.Option) (*nats.Conn, error) {
	type result struct {
		nc  *nats.Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		nc, err := nats.Connect(url, options...)
		done <- result{nc, err}
	}()
	select {
	case r := <-done:
		return r.nc, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.nc != nil {
				r.nc.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// wakeUp asks the receiver to sync as soon as it can.
func (c *Client) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Client) reconnected(nc *nats.Conn) {
	c.log.Info("reconnected", "server", redact(nc.ConnectedUrl()))
	c.denied.Clear() // another login may permit more
	c.wakeUp()
}

// asyncError receives what the server or the library reports out of band.
func (c *Client) asyncError(_ *nats.Conn, sub *nats.Subscription, err error) {
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		for _, s := range quoted(err.Error()) {
			c.denied.Store(s, struct{}{})
		}
		select {
		case c.refused <- err:
		default:
		}
		c.log.Error("the broker denies permission", "err", err)
	case errors.Is(err, nats.ErrSlowConsumer):
		c.log.Warn("handlers are too slow, live messages dropped: they will be synced")
		c.wakeUp()
	default:
		subject := ""
		if sub != nil {
			subject = sub.Subject
		}
		c.log.Warn("connection error", "subject", subject, "err", err)
	}
}

// receive starts the intake, once.
func (c *Client) receive() {
	c.begin.Do(func() {
		c.closing.Lock()
		defer c.closing.Unlock()
		if c.ctx.Err() != nil {
			return
		}
		run := c.runInbox
		if c.opts.Role == identity.RoleApp {
			run = c.runApp
		}
		c.intake.Go(func() { run(c.ctx) })
	})
}

// Close takes nothing more in, waits until the handlers of what has been taken in
// have returned, and closes the connection. Sends work until then. If ctx ends
// first, the contexts of the running handlers end, what waits is left (an app's
// messages go to another process), and Close returns the error of ctx. Close must
// not be called by a handler. Later calls do nothing and return nil.
func (c *Client) Close(ctx context.Context) error {
	var err error
	c.closeOnce.Do(func() { err = c.close(ctx) })
	return err
}

func (c *Client) close(ctx context.Context) error {
	c.closing.Lock() // no receive may slip in behind the stop
	c.stop()
	c.closing.Unlock()
	c.intake.Wait()

	err := c.lanes.drain(ctx)
	if err == nil {
		err = c.flush(ctx)
	}
	close(c.closed)
	c.tail.Wait()
	c.nc.Close()
	return err
}

// flush waits until the server has all that was published: acknowledgements.
func (c *Client) flush(ctx context.Context) error {
	if !c.nc.IsConnected() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.SendTimeout)
	defer cancel()
	if err := c.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("voice: close: flush: %w", err)
	}
	return nil
}
