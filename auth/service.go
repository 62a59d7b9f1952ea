package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/subjects"
)

// Options configures [New].
type Options struct {
	// Conn is a connection in the account AUTH, as the user [User] with the inbox
	// prefix of that name. Required; the caller closes it.
	Conn *nats.Conn
	// Keys are the issuer and the curve key. Required.
	Keys Keys
	// TTL is the life of a user JWT, less up to a tenth at random. When it is over
	// the server closes the connection and the client comes back. Default
	// [DefaultTTL].
	TTL time.Duration
	// Parallel bounds the requests that are decided at once. Default 16.
	Parallel int
	// RefusalDelay is how long after its receipt a request is refused, however
	// early the reason was found: the time tells nothing about the reason. Default
	// 100 ms; negative is none.
	RefusalDelay time.Duration
	// PollEvery is how often the directory is asked for changes besides being told
	// of them. Default 10 s.
	PollEvery time.Duration
	// Directory finds identities. Default: the bucket, read from its leader for
	// every connection.
	Directory identity.Directory
	// Logger receives refusals, without secrets. Default none.
	Logger *slog.Logger
	// Registerer receives the metrics. Default none.
	Registerer prometheus.Registerer
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// DefaultTTL is the life of a user JWT.
const DefaultTTL = time.Hour

// Of the queue in front of the service. What is dropped the client asks again for.
const (
	maxQueued = 8192
	queueFor  = time.Second
)

func (o Options) withDefaults() (Options, error) {
	if o.Conn == nil {
		return o, errors.New("auth: option Conn is missing")
	}
	if o.Keys.IsZero() {
		return o, errors.New("auth: option Keys is missing")
	}
	if o.TTL < 0 || o.Parallel < 0 || o.PollEvery < 0 {
		return o, errors.New("auth: options TTL, Parallel and PollEvery must not be negative")
	}
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.Parallel == 0 {
		o.Parallel = 16
	}
	if o.RefusalDelay == 0 {
		o.RefusalDelay = 100 * time.Millisecond
	}
	if o.PollEvery == 0 {
		o.PollEvery = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

// Service answers the server's question who a connection is. Several share the
// questions. Use [New].
type Service struct {
	opts      Options
	directory directory
	metrics   *metrics
	refused   refusalLog
	admitted  admissions
	slots     chan struct{}  // one token per request that is being decided
	queued    atomic.Int64   // requests that wait for a slot
	waiting   sync.WaitGroup // requests that were taken and not answered
	mu        sync.Mutex     // held while a request is taken
	done      chan struct{}  // closed when no further request is taken
	running   atomic.Bool
}

// New checks the options. The service works once it runs.
func New(opts Options) (*Service, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Service{
		opts:      opts,
		directory: directory{opts.Conn},
		metrics:   newMetrics(opts.Registerer),
		refused:   refusalLog{log: opts.Logger, now: opts.Now},
		admitted:  admissions{now: opts.Now},
		slots:     make(chan struct{}, opts.Parallel),
		done:      make(chan struct{}),
	}, nil
}

// Ready returns nil while the service takes requests, else why it does not.
func (s *Service) Ready() error {
	if !s.running.Load() {
		return errors.New("auth: not running")
	}
	if !s.opts.Conn.IsConnected() {
		return errors.New("auth: not connected to NATS")
	}
	return nil
}

// Run serves until ctx ends, answers what it has taken, and returns when every
// goroutine that it started has ended. It must be called once.
func (s *Service) Run(ctx context.Context) error {
	service, err := micro.AddService(s.opts.Conn, micro.Config{
		Name: "voice-auth", Version: "1.0.0", Description: "Decides which identities may connect",
	})
	if err != nil {
		return fmt.Errorf("auth: start the service: %w", err)
	}
	err = service.AddEndpoint("callout", micro.HandlerFunc(s.take), micro.WithEndpointSubject(subjects.CalloutRequest),
		micro.WithEndpointQueueGroup("voice-auth"))
	if err != nil {
		return errors.Join(fmt.Errorf("auth: start the service: %w", err), service.Stop())
	}
	enforcing, cancel := context.WithCancel(ctx)
	enforced := make(chan struct{})
	go func() {
		defer close(enforced)
		newEnforcer(s).run(enforcing)
	}()
	// Whoever is told that the service is ready finds it subscribed. Without a
	// connection that follows with the next one.
	if err := s.opts.Conn.FlushTimeout(patience); err != nil {
		s.opts.Logger.Warn("not connected to NATS yet", "error", err)
	}
	s.running.Store(true)
	s.opts.Logger.Info("auth callout service running", "issuer", s.opts.Keys.Issuer(), "ttl", s.opts.TTL.String())
	<-ctx.Done()
	s.running.Store(false)
	err = service.Stop()
	s.drain()
	cancel()
	<-enforced
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("auth: stop the service: %w", err)
	}
	return nil
}

// drain waits until every request that was taken has been answered.
func (s *Service) drain() {
	s.mu.Lock()
	close(s.done) // from here on take takes nothing
	s.mu.Unlock()
	s.waiting.Wait()
}

// take is called for one request after the other; each is decided in a goroutine
// of its own.
func (s *Service) take(m micro.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return
	default:
	}
	if s.queued.Add(1) > maxQueued {
		s.queued.Add(-1)
		s.metrics.decisions.WithLabelValues(string(Late)).Inc()
		return
	}
	s.waiting.Go(func() {
		if s.admit() {
			s.answer(m)
		}
	})
}

// admit waits until the request may be decided. One that has waited too long is
// dropped: to answer a client that has left already, when many come at once, would
// keep those waiting that are still there until they leave as well.
func (s *Service) admit() bool {
	defer s.queued.Add(-1)
	timer := time.NewTimer(queueFor)
	defer timer.Stop()
	select {
	case s.slots <- struct{}{}:
		return true
	case <-timer.C:
		s.metrics.decisions.WithLabelValues(string(Late)).Inc()
	case <-s.done:
	}
	return false
}

// answer is the way of one request, from its receipt to the answer.
func (s *Service) answer(m micro.Request) {
	begin := time.Now()
	s.metrics.inFlight.Inc()
	sealed, result := s.judge(m)
	s.metrics.inFlight.Dec()
	s.metrics.seconds.Observe(time.Since(begin).Seconds())
	s.metrics.decisions.WithLabelValues(string(result)).Inc()
	<-s.slots
	if sealed == nil {
		return
	}
	if result != Allowed {
		select {
		case <-time.After(s.opts.RefusalDelay - time.Since(begin)):
		case <-s.done:
		}
	}
	if err := m.Respond(sealed); err != nil {
		s.opts.Logger.Warn("answer to the server not sent", "error", err)
	}
}

// judge decides on a request and returns the answer, nil if there is none to
// give.
func (s *Service) judge(m micro.Request) ([]byte, Result) {
	r, err := s.opts.Keys.open(m.Headers().Get(serverKeyHeader), m.Data(), s.opts.Now())
	if errors.Is(err, errLate) {
		s.refused.note(Late, request{}, identity.ID{}, err)
		return nil, Late
	}
	if err != nil {
		s.refused.note(Malformed, request{}, identity.ID{}, err)
		return nil, Malformed
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	v, err := s.decide(ctx, r)
	var token string
	if v.result == Allowed {
		if token, err = s.issue(r, v); err != nil {
			v.result = Unavailable
		}
	}
	refusal := ""
	if v.result == Allowed {
		s.admitted.note(r, v)
	} else {
		s.refused.note(v.result, r, v.id, err)
		refusal = string(v.result)
	}
	sealed, err := s.opts.Keys.seal(r, token, refusal)
	if err != nil {
		s.opts.Logger.Error("answer to the server not made", "error", err)
		return nil, v.result
	}
	return sealed, v.result
}

// patience is how long a decision may take; the server waits 2 s by default, 5 s
// with the generated configuration.
const patience = 1500 * time.Millisecond
