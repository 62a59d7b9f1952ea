package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Options configures [Start].
type Options struct {
	// Config is what the server runs with. An empty StoreDir becomes "jetstream"
	// in Dir.
	Config Config
	// Dir is where the generated configuration is written. Required.
	Dir string
	// InProcess opens no port: only [Server.Connect] reaches the server. It is
	// what testing/synctest needs.
	InProcess bool
	// Operator runs the server in operator mode (see [Config.RenderOperator]).
	Operator *Operator
	// Logger receives the server's log; nil discards it.
	Logger *slog.Logger
}

// Server is a nats-server in this process.
type Server struct {
	srv       *server.Server
	log       *logger
	conf      string
	inProcess bool
	operator  *Operator

	mu  sync.Mutex // guards cfg and the configuration file
	cfg Config
}

// startTimeout is how long a server may take to accept connections: reading
// large stores takes time.
const startTimeout = 30 * time.Second

// Start writes the configuration, runs a server from it and returns when the
// server accepts connections and JetStream is up. Shutdown ends it.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if opts.Dir == "" {
		return nil, errors.New("broker: no directory for the configuration")
	}
	if opts.Config.StoreDir == "" {
		opts.Config.StoreDir = filepath.Join(opts.Dir, "jetstream")
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		log:       &logger{log: opts.Logger},
		conf:      filepath.Join(opts.Dir, "nats-server.conf"),
		inProcess: opts.InProcess,
		operator:  opts.Operator,
		cfg:       opts.Config,
	}
	so, err := s.load()
	if err != nil {
		return nil, err
	}
	if s.srv, err = server.NewServer(so); err != nil {
		return nil, fmt.Errorf("broker: %s: %w", s.conf, err)
	}
	s.srv.SetLoggerV2(s.log, false, false, false)
	s.srv.Start()
	if err := s.ready(ctx); err != nil {
		s.Shutdown()
		return nil, err
	}
	return s, nil
}

// load writes the configuration and reads it back as a server would.
func (s *Server) load() (*server.Options, error) {
	render := s.cfg.Render
	if s.operator != nil {
		render = func() ([]byte, error) { return s.cfg.RenderOperator(*s.operator) }
	}
	text, err := render()
	if err != nil {
		return nil, err
	}
	if err := writeFile(s.conf, text); err != nil {
		return nil, fmt.Errorf("broker: write configuration: %w", err)
	}
	so, err := server.ProcessConfigFile(s.conf)
	if err != nil {
		return nil, fmt.Errorf("broker: generated configuration: %w", err)
	}
	so.NoSigs = true
	so.DontListen = s.inProcess
	return so, nil
}

// writeFile replaces a file as a whole, readable by its owner only.
func writeFile(name string, data []byte) error {
	tmp := name + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

func (s *Server) ready(ctx context.Context) error {
	const step = 100 * time.Millisecond
	for waited := time.Duration(0); !s.srv.ReadyForConnections(step); waited += step {
		if fatal := s.log.fatal.Load(); fatal != nil {
			return fmt.Errorf("broker: server did not start: %s", *fatal)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("broker: server did not start: %w", err)
		}
		if waited >= startTimeout {
			return fmt.Errorf("broker: server did not start within %s", startTimeout)
		}
	}
	if !s.srv.JetStreamEnabled() {
		return fmt.Errorf("broker: JetStream did not start in %s", s.cfg.StoreDir)
	}
	return nil
}

// URL returns the address for clients, "" for a server without a port.
func (s *Server) URL() string {
	if s.inProcess {
		return ""
	}
	return s.srv.ClientURL()
}

// ConfigFile returns the path of the generated configuration.
func (s *Server) ConfigFile() string { return s.conf }

// Connect opens a connection: inside the process if the server has no port. The
// options say who connects.
func (s *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	if s.inProcess {
		opts = append([]nats.Option{nats.InProcessServer(s)}, opts...)
	}
	return nats.Connect(s.URL(), opts...)
}

// InProcessConn opens one connection inside the process, for those who connect
// with nats.InProcessServer.
func (s *Server) InProcessConn() (net.Conn, error) { return s.srv.InProcessConn() }

// SetIdentities replaces the users of the account VOICE: it writes the
// configuration anew and reloads it. Connections of identities that are gone, or
// whose nkey changed, are closed by the server; all others stay, but for those
// that are just being opened: a reload refuses them, and they must try again. So
// must requests that meet a reload: for a moment nobody may answer them. Nothing
// is reloaded if nothing changed. After an error the server runs on as
// before.
func (s *Server) SetIdentities(identities []Endpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	identities = slices.SortedFunc(slices.Values(identities), func(a, b Endpoint) int {
		return strings.Compare(a.ID.String(), b.ID.String())
	})
	if slices.Equal(identities, s.cfg.Identities) {
		return nil
	}
	return s.reload(func(c *Config) { c.Identities = identities })
}

// Reload changes the configuration of the running server: it writes it anew and
// reads it as the server does on SIGHUP. Files that it names, certificates say,
// are read again, too. After an error the server runs on as before.
func (s *Server) Reload(change func(*Config)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reload(change)
}

func (s *Server) reload(change func(*Config)) error {
	before := s.cfg
	change(&s.cfg)
	so, err := s.load()
	if err == nil {
		err = s.srv.ReloadOptions(so)
	}
	if err != nil {
		s.cfg = before
		if _, restore := s.load(); restore != nil {
			err = errors.Join(err, restore)
		}
		return fmt.Errorf("broker: reload configuration: %w", err)
	}
	return nil
}

// WebSocketURL returns the address for clients in browsers, "" if there is none.
func (s *Server) WebSocketURL() string {
	if s.cfg.WebSocket.Port == 0 {
		return ""
	}
	return s.srv.WebsocketURL()
}

// Shutdown ends the server and waits until it has ended. What JetStream holds in
// files stays.
func (s *Server) Shutdown() {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}
