package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/nats-io/nats.go"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/subjects"
)

// Cluster is a running fleet. Its methods are safe for concurrent use.
type Cluster struct {
	opts      Options
	keys      *keyRing
	spawner   *spawner
	toxiproxy *toxiproxy.ApiServer
	servers   []*Server
	auth      []*process
	clients   string // where endpoints connect
	ports     portPool
	closing   sync.Once
	full      atomic.Bool // disks are to be full now

	mu         sync.Mutex
	workers    []*Worker
	links      []*Link
	unexpected []error
}

// Start runs the servers, provisions them and starts the workers; it returns
// when all are ready. If it cannot, nothing of it is left running.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Cluster{opts: opts, spawner: newSpawner(), toxiproxy: newToxiproxy()}
	if err := c.run(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) run(ctx context.Context) (err error) {
	if err := os.MkdirAll(filepath.Join(c.opts.Dir, "logs"), 0o700); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if c.keys, err = newKeyRing(c.opts); err != nil {
		return err
	}
	if err := c.runServers(ctx); err != nil {
		return err
	}
	if err := c.provision(ctx); err != nil {
		return err
	}
	if err := c.runAuth(ctx); err != nil {
		return err
	}
	for range c.opts.Workers {
		if _, err := c.AddWorker(ctx, WorkerOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) runServers(ctx context.Context) (err error) {
	for i := range c.opts.Servers {
		s, err := c.newServer(i)
		if err != nil {
			return err
		}
		c.servers = append(c.servers, s)
	}
	if c.clients, err = c.urls(Endpoints); err != nil {
		return err
	}
	for _, s := range c.servers {
		routes, err := c.routesFrom(s)
		if err != nil {
			return err
		}
		if err := errors.Join(s.configure(routes), s.start()); err != nil {
			return err
		}
	}
	for _, s := range c.servers {
		if err := s.await(ctx, "is healthy", s.Healthy); err != nil {
			return err
		}
	}
	return nil
}

// routesFrom returns the addresses of the other servers, as s is to know them.
func (c *Cluster) routesFrom(s *Server) ([]string, error) {
	var routes []string
	for _, to := range c.servers {
		if to == s {
			continue
		}
		at := address(to.routes)
		if c.opts.Links {
			l, err := c.newLink(s.Name, to.Name, to.routes)
			if err != nil {
				return nil, err
			}
			at = l.address()
		}
		routes = append(routes, "nats://"+at)
	}
	return routes, nil
}

// urls returns where a client connects; with links, those of its own.
func (c *Cluster) urls(from string) (string, error) {
	var urls []string
	for _, to := range c.servers {
		url := to.URL()
		if c.opts.Links {
			l, err := c.newLink(from, to.Name, to.client)
			if err != nil {
				return "", err
			}
			url = "nats://" + l.address()
		}
		urls = append(urls, url)
	}
	return strings.Join(urls, ","), nil
}

func (c *Cluster) runAuth(ctx context.Context) error {
	for i := range c.opts.Callout {
		ports, err := c.ports.free(1)
		if err != nil {
			return err
		}
		env := append(c.environment(broker.UserAuth, c.directURLs(), ports[0]),
			"ROUTER_AUTH_ISSUER_FILE="+c.keys.seedFile("issuer"), "ROUTER_AUTH_XKEY_FILE="+c.keys.seedFile("xkey"))
		p := c.newProcess(fmt.Sprintf("a%d", i+1), []string{c.opts.Binaries.Router, "auth"}, env)
		c.auth = append(c.auth, p)
		if err := p.start(); err != nil {
			return err
		}
		err = p.await(ctx, "is ready", func(ctx context.Context) error {
			return get(ctx, "http://"+address(ports[0])+"/readyz", nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) newProcess(name string, argv, env []string) *process {
	return &process{
		name: name, argv: argv, env: env, spawner: c.spawner,
		log: filepath.Join(c.opts.Dir, "logs", name+".log"),
		unexpected: func(err error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.unexpected = append(c.unexpected, err)
		},
	}
}

// Unexpected returns an error for every process that ended without being told
// to. Nothing that happens to a cluster is a reason for that.
func (c *Cluster) Unexpected() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.unexpected...)
}

// Servers returns the servers, n1 first.
func (c *Cluster) Servers() []*Server { return c.servers }

// Workers returns the workers, w1 first, those that were killed included.
func (c *Cluster) Workers() []*Worker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Worker(nil), c.workers...)
}

// server returns a server by name, nil if it is none.
func (c *Cluster) server(name string) *Server {
	for _, s := range c.servers {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Identity returns the keys of somebody of the options.
func (c *Cluster) Identity(name string) (Identity, error) {
	i, ok := c.keys.identities[name]
	if !ok {
		return Identity{}, fmt.Errorf("cluster: no identity %q", name)
	}
	return i, nil
}

// ClientURL is where endpoints connect: all servers, through the links if there
// are any.
func (c *Cluster) ClientURL() string { return c.clients }

// KeyFile is the file with the nkey seed of a user outside the account VOICE
// (broker.UserAdmin, say).
func (c *Cluster) KeyFile(user string) string { return c.keys.seedFile(user) }

// Connect connects as a user outside the account VOICE, past all links, and
// comes back after every fault. Its caller closes the connection.
func (c *Cluster) Connect(user string, opts ...nats.Option) (*nats.Conn, error) {
	nkey, err := nats.NkeyOptionFromSeed(c.keys.seedFile(user))
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	all := []nats.Option{
		nkey, nats.Name("harness"), nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.RetryOnFailedConnect(true),
	}
	if user == broker.UserRouter || user == broker.UserAuth {
		all = append(all, nats.CustomInboxPrefix(subjects.InboxPrefix(user)))
	}
	nc, err := nats.Connect(c.directURLs(), append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("cluster: connect as %s: %w", user, err)
	}
	return nc, nil
}

// directURLs are the servers' own addresses.
func (c *Cluster) directURLs() string {
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, s.URL())
	}
	return strings.Join(urls, ",")
}

// Close ends everything at once, without grace, and waits until it has ended.
// What lies in the directory stays.
func (c *Cluster) Close() error {
	var errs []error
	c.closing.Do(func() {
		processes := append([]*process(nil), c.auth...)
		for _, w := range c.Workers() {
			if w.process != nil {
				processes = append(processes, w.process)
			}
		}
		for _, s := range c.servers {
			processes = append(processes, s.process)
		}
		for _, p := range processes {
			if err := p.kill(); err != nil && !errors.Is(err, ErrNotRunning) {
				errs = append(errs, err)
			}
		}
		for _, l := range c.Links(nil) {
			l.proxy.Stop()
		}
		c.spawner.stop()
	})
	return errors.Join(errs...)
}

// KillServers kills all servers at once.
func (c *Cluster) KillServers() error {
	errs := make([]error, len(c.servers))
	var wg sync.WaitGroup
	for i, s := range c.servers {
		wg.Go(func() { errs[i] = s.Kill() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
