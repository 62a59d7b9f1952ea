package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options of a [Server].
type Options struct {
	// Addr is host:port or :port.
	Addr string
	// Profile serves net/http/pprof besides: whoever reaches the address can then
	// read the memory of the process, keys included.
	Profile bool
	Logger  *slog.Logger
}

// Server serves a process over HTTP.
type Server struct {
	http     *http.Server
	listener net.Listener
	done     chan struct{}
}

// A profile of the default 30 s must fit into the time that an answer may take.
const (
	answerTimeout  = 30 * time.Second
	profileTimeout = 2 * time.Minute
)

// Serve listens and serves /metrics, /livez, /readyz and /version, and nothing
// else, until Stop is called.
func (p *Process) Serve(opts Options) (*Server, error) {
	listener, err := net.Listen("tcp", opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("HTTP: %w", err)
	}
	s := &Server{
		http: &http.Server{
			Handler:           p.handler(opts.Profile),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      answerTimeout,
			IdleTimeout:       60 * time.Second,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          slog.NewLogLogger(opts.Logger.Handler(), slog.LevelWarn),
		},
		listener: listener,
		done:     make(chan struct{}),
	}
	if opts.Profile {
		s.http.WriteTimeout = profileTimeout
		opts.Logger.Warn("profiles are served: whoever reaches this address can read the memory of the process", "variable", "ROUTER_PPROF")
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			opts.Logger.Error("HTTP server ended", "error", err)
		}
	}()
	opts.Logger.Info("serving HTTP", "address", s.Addr())
	return s, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Stop ends the server, gracefully within two seconds.
func (s *Server) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
	<-s.done
}

func (p *Process) handler(profile bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", p.readyz)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, p.build) })
	if profile {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready bool `json:"ready"`
	// Reasons say what keeps the process from being ready.
	Reasons []string `json:"reasons,omitempty"`
}

func (p *Process) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := p.ready(); err != nil {
		answer(w, http.StatusServiceUnavailable, Readiness{Reasons: reasons(err)})
		return
	}
	answer(w, http.StatusOK, Readiness{Ready: true})
}

// reasons takes apart what errors.Join has joined.
func reasons(err error) []string {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{err.Error()}
	}
	var all []string
	for _, e := range joined.Unwrap() {
		all = append(all, reasons(e)...)
	}
	return all
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body) // whoever asked has gone
}
