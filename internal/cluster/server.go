package cluster

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/go-json-experiment/json"

	"github.com/voicerouter/voicerouter/internal/broker"
)

// Server is one nats-server process.
type Server struct {
	*process
	Name string

	cluster                  *Cluster
	client, routes, monitors int // ports
	mu                       sync.Mutex
	cfg                      broker.Config
}

func (c *Cluster) newServer(i int) (*Server, error) {
	ports, err := c.ports.free(3)
	if err != nil {
		return nil, err
	}
	s := &Server{Name: fmt.Sprintf("n%d", i+1), cluster: c, client: ports[0], routes: ports[1], monitors: ports[2]}
	s.process = c.newProcess(s.Name, []string{c.opts.Binaries.Server, "-c", s.configFile()}, nil)
	return s, nil
}

func (s *Server) configFile() string { return filepath.Join(s.cluster.opts.Dir, s.Name+".conf") }

// URL is the address for clients, past all links.
func (s *Server) URL() string { return "nats://" + address(s.client) }

// configure writes the first configuration. routes are the addresses of the
// other servers, as this one is to know them.
func (s *Server) configure(routes []string) error {
	c, k := s.cluster, s.cluster.keys
	s.cfg = broker.Config{
		Name: s.Name, Port: s.client, MonitorPort: s.monitors, StoreDir: filepath.Join(c.opts.Dir, "store", s.Name),
		// Only what is set can be changed by a reload: see GrowDisks.
		MaxMemory: 1 << 30, MaxFile: c.opts.Disk,
		SyncAlways: !c.opts.Unsynced, Router: k.credential(broker.UserRouter), Backend: k.credential(broker.UserBackend),
		Admin: k.credential(broker.UserAdmin), System: k.credential(broker.UserSystem),
	}
	if len(c.servers) > 1 {
		s.cfg.Cluster = broker.Cluster{Name: "voice", Port: s.routes, Routes: routes}
	}
	if c.opts.Links {
		// Nobody is to find a way past the links: clients are told of no server, and
		// servers of addresses at which nobody listens.
		s.cfg.Cluster.NoAdvertise, s.cfg.Cluster.Advertise = true, "127.0.0.1:1"
	}
	if c.opts.Callout > 0 {
		s.cfg.Callout, s.cfg.Auth = k.callout, k.credential(broker.UserAuth)
	} else {
		s.cfg.Identities = k.endpoints()
	}
	if c.opts.Configure != nil {
		c.opts.Configure(s.Name, &s.cfg)
	}
	return s.write()
}

func (s *Server) write() error {
	text, err := s.cfg.Render()
	if err != nil {
		return err
	}
	return os.WriteFile(s.configFile(), text, 0o600)
}

// Reload changes the configuration of the server. If it runs it is told; what of
// the change it takes is its affair, and in its log.
func (s *Server) Reload(change func(*broker.Config)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.cfg)
	if err := s.write(); err != nil {
		return err
	}
	if !s.Running() {
		return nil
	}
	return s.signal(syscall.SIGHUP)
}

// Kill ends the server as a power cut would, but for what the operating system
// keeps of its writes.
func (s *Server) Kill() error {
	s.cluster.note(ServerKill, s.Name, false, "")
	return s.kill()
}

// Terminate ends the server in an orderly way.
func (s *Server) Terminate(ctx context.Context) error {
	s.cluster.note(ServerEnd, s.Name, false, "")
	_ = s.end(ctx, syscall.SIGTERM) // it exits with 1 then
	if s.Running() {
		return fmt.Errorf("cluster: %s does not end: %w", s.Name, ctx.Err())
	}
	return nil
}

// Start starts the server again and returns when it takes clients.
func (s *Server) Start(ctx context.Context) error {
	if err := s.start(); err != nil {
		return err
	}
	s.cluster.note(ServerKill, s.Name, true, "")
	return s.await(ctx, "takes clients", s.listening)
}

// Pause stops the server's process; Resume has it go on.
func (s *Server) Pause() error {
	s.cluster.note(ServerPause, s.Name, false, "")
	return s.signal(syscall.SIGSTOP)
}

// Resume ends a Pause.
func (s *Server) Resume() error {
	s.cluster.note(ServerPause, s.Name, true, "")
	return s.signal(syscall.SIGCONT)
}

// Running reports whether there is a process.
func (s *Server) Running() bool { return s.running() }

// Healthy returns nil if the server says that all of its JetStream is current.
func (s *Server) Healthy(ctx context.Context) error { return s.get(ctx, "/healthz", nil) }

// Usage is what a server uses.
type Usage struct {
	Memory int64 // resident bytes
	Store  uint64
}

// Usage asks the server what it uses.
func (s *Server) Usage(ctx context.Context) (Usage, error) {
	var general struct {
		Mem int64 `json:"mem"`
	}
	var stores struct {
		Storage uint64 `json:"storage"`
	}
	if err := s.get(ctx, "/varz", &general); err != nil {
		return Usage{}, err
	}
	err := s.get(ctx, "/jsz", &stores)
	return Usage{Memory: general.Mem, Store: stores.Storage}, err
}

func (s *Server) listening(ctx context.Context) error {
	return s.get(ctx, "/healthz?js-enabled-only=true", nil)
}

// get asks the monitoring endpoint; answer may be nil.
func (s *Server) get(ctx context.Context, path string, answer any) error {
	return get(ctx, "http://"+address(s.monitors)+path, func(r *http.Response) error {
		if answer == nil {
			return nil
		}
		return json.UnmarshalRead(r.Body, answer)
	})
}

// PID is the id of the process, 0 if there is none.
func (s *Server) PID() int { return s.pid() }
