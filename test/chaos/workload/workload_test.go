package workload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
	"github.com/voicerouter/voicerouter/internal/broker/brokertest"
	"github.com/voicerouter/voicerouter/internal/provision"
	"github.com/voicerouter/voicerouter/router"
	"github.com/voicerouter/voicerouter/subjects"
	"github.com/voicerouter/voicerouter/test/chaos/checker"
	"github.com/voicerouter/voicerouter/test/chaos/history"
	"github.com/voicerouter/voicerouter/voice"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fleet is an embedded server with routers in this process.
type fleet struct {
	*brokertest.Broker
	t    testing.TB
	js   jetstream.JetStream
	cast Cast
}

const ringTimeout = 2 * time.Second

func newFleet(t testing.TB, cast Cast) *fleet {
	t.Helper()
	b := brokertest.Start(t, brokertest.Options{
		Memory: true, Callout: true, Users: cast.Users(), Apps: cast.Apps(), Provision: provision.Options{AckWait: time.Second},
	})
	return &fleet{Broker: b, t: t, js: brokertest.JetStream(t, b.Admin(t)), cast: cast}
}

// worker starts a router; kill ends it in the middle of what it does.
func (f *fleet) worker() (kill func()) {
	f.t.Helper()
	nc := f.Router(f.t)
	r, err := router.New(router.Options{
		Conn:    nc,
		Proxies: map[identity.ID]identity.PrivateKey{identity.MustID(f.cast.Proxy): f.Get(f.t, f.cast.Proxy).Key},
		Policy:  call.Policy{RingTimeout: ringTimeout, KeepApplied: 3 * time.Second},
	})
	if err != nil {
		f.t.Fatalf("new router: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			f.t.Errorf("router: %v", err)
		}
	})
	f.t.Cleanup(stop)
	return func() {
		nc.Close()
		stop()
	}
}

// workload connects the cast and returns the file of its history.
func (f *fleet) workload(change func(*Options)) (*Workload, *history.Recorder, string) {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), "history.jsonl")
	rec, err := history.Create(path)
	if err != nil {
		f.t.Fatal(err)
	}
	routes, err := jetstream.New(f.Backend(f.t))
	if err != nil {
		f.t.Fatal(err)
	}
	opts := Options{
		Cast: f.cast, Recorder: rec, Routes: RoutesIn(routes), JetStream: f.js,
		Seed: 1, CallsPerSecond: 20, RingTimeout: ringTimeout, SyncEvery: time.Second,
		Connect: func(self string) voice.Options {
			i := f.Get(f.t, self)
			seed, err := i.NKey.Seed()
			if err != nil {
				f.t.Error(err)
			}
			return voice.Options{URL: f.URL(), SigningKey: i.Key, NKeySeed: seed}
		},
	}
	if os.Getenv("VERBOSE") != "" {
		opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if change != nil {
		change(&opts)
	}
	w, err := New(f.t.Context(), opts)
	if err != nil {
		f.t.Fatal(err)
	}
	return w, rec, path
}

// judge ends a run and has the checker look at it.
func (f *fleet) judge(w *Workload, rec *history.Recorder, path string) *checker.Report {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 3*time.Minute)
	defer cancel()
	if err := w.Quiesce(ctx); err != nil {
		f.t.Error(err)
	}
	now := time.Now()
	h, err := history.ReadFiles(path)
	if err != nil {
		f.t.Fatal(err)
	}
	report, err := checker.Check(ctx, h, checker.NewStore(f.js, nil), checker.Options{
		// A machine that tests many things at once may stop for some seconds.
		Now: now, Policy: call.Policy{RingTimeout: ringTimeout}, Slack: 20 * time.Second,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.tampered(ctx, h, now)
	if err := errors.Join(w.Close(ctx), rec.Close()); err != nil {
		f.t.Error(err)
	}
	begun, held, ended := w.Stats()
	f.t.Logf("%d calls begun, %d held back, ended %v", begun, held, ended)
	f.t.Logf("%s; %d calls rang, %d messages (%d unknown), %d transitions, %d stored, %d handled, %d faults",
		report, report.Calls, report.Messages, report.Unknown, report.Transitions, report.Stored, report.Handled, len(h.Faults))
	for i, finding := range report.Findings {
		if i < 20 {
			f.t.Error(finding)
		}
	}
	if !report.Clean() {
		if keep := os.Getenv("KEEP"); keep != "" {
			data, _ := os.ReadFile(path)
			_ = os.WriteFile(keep, data, 0o600)
		}
	}
	for _, note := range report.Notes {
		f.t.Log(note)
	}
	return report
}

// tampered judges the run again with something wrong in the streams: what finds
// nothing in a real run must find that.
func (f *fleet) tampered(ctx context.Context, h *history.History, now time.Time) {
	f.t.Helper()
	first := func(matches func(checker.Message) bool) func(checker.Message) bool {
		done := false
		return func(m checker.Message) bool {
			hit := !done && matches(m)
			done = done || hit
			return hit
		}
	}
	inbox := func(typ string) func(checker.Message) bool {
		return first(func(m checker.Message) bool {
			_, t, ok := subjects.ParseInbox(m.Subject)
			return ok && t == typ
		})
	}
	names := strings.Join(f.cast.Users(), " ")
	gone := func(m checker.Message) []checker.Message { return nil }
	for _, test := range []struct {
		name   string
		want   checker.Kind
		on     func(checker.Message) bool
		become func(checker.Message) []checker.Message
	}{
		{"a start is missing", checker.Lost, inbox("start"), gone},
		{"an accept is missing", checker.Lost, inbox("accept"), gone},
		{"an error is missing", checker.Lost, inbox("error"), gone},
		{"a busy stands twice", checker.Duplicated, inbox("busy"), func(m checker.Message) []checker.Message {
			again := m
			again.Seq += 1 << 40
			return []checker.Message{m, again}
		}},
		{"a header names everybody", checker.Leaked, inbox("accept"), func(m checker.Message) []checker.Message {
			m.Header = map[string][]string{"Trace": {names}}
			return []checker.Message{m}
		}},
		{"a record is missing", checker.Disordered, first(func(m checker.Message) bool {
			return strings.Contains(string(m.Data), `"state":"active"`)
		}), gone},
	} {
		store := &tampered{checker.NewStore(f.js, nil), test.on, test.become}
		report, err := checker.Check(ctx, h, store, checker.Options{Now: now, Policy: call.Policy{RingTimeout: ringTimeout}})
		if err != nil {
			f.t.Fatal(err)
		}
		if report.Counts()[test.want] == 0 {
			f.t.Errorf("%s: %s, want some %s", test.name, report, test.want)
		}
	}
}

// tampered is a store in which some messages are others.
type tampered struct {
	checker.Store
	on     func(checker.Message) bool
	become func(checker.Message) []checker.Message
}

func (s *tampered) Messages(ctx context.Context, visit func(checker.Message) error) error {
	return s.Store.Messages(ctx, func(m checker.Message) error {
		list := []checker.Message{m}
		if s.on(m) {
			list = s.become(m)
		}
		for _, m := range list {
			if err := visit(m); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestQuiet: without faults every scene is played, and there is nothing to find.
func TestQuiet(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s")
	}
	f := newFleet(t, NewCast(8, 2))
	f.worker()
	f.worker()
	w, rec, path := f.workload(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	w.Run(ctx)
	report := f.judge(w, rec, path)
	if begun, _, ended := w.Stats(); begun < 100 || report.Calls < 80 || len(ended) < 12 {
		t.Errorf("%d calls begun, %d rang, scenes %v: that is no test", begun, report.Calls, ended)
	}
	if report.Unknown > 0 {
		t.Errorf("%d messages without a known outcome in a quiet run", report.Unknown)
	}
}

// TestWorkersKilled kills workers and endpoints in the middle of what they do.
func TestWorkersKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 30 s")
	}
	f := newFleet(t, NewCast(8, 2))
	f.worker()
	kill := f.worker()
	w, rec, path := f.workload(func(o *Options) { o.Seed = 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	tick := time.NewTicker(1500 * time.Millisecond)
	defer tick.Stop()
	for n := uint64(0); ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			running.Wait()
			f.judge(w, rec, path)
			return
		}
		if n%3 == 2 {
			end := rec.Fault(history.Fault{Kind: "endpoint-kill"})
			target, err := w.Restart(t.Context(), n*7, n%2 == 0)
			end(fmt.Sprint(target, " ", err))
			continue
		}
		end := rec.Fault(history.Fault{Kind: "worker-kill"})
		kill()
		kill = f.worker()
		end("another one runs")
	}
}
