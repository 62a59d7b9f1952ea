package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/cluster"
	"github.com/voicerouter/voicerouter/internal/cluster/clustertest"
	"github.com/voicerouter/voicerouter/subjects"
)

func TestMain(m *testing.M) {
	code := clustertest.Main(m)
	if code == 0 {
		// What toxiproxy leaves behind of a connection that it resets.
		leak := goleak.IgnoreTopFunction("github.com/Shopify/toxiproxy/v2/toxics.(*NoopToxic).Pipe")
		if err := goleak.Find(leak); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

// faults remembers what a cluster reports.
type faults struct {
	sync.Mutex
	list []cluster.Fault
}

func (f *faults) add(fault cluster.Fault) {
	f.Lock()
	defer f.Unlock()
	f.list = append(f.list, fault)
}

// of returns the targets of a kind of fault, with a "!" behind those that ended.
func (f *faults) of(kind cluster.Kind) (targets string) {
	f.Lock()
	defer f.Unlock()
	for _, fault := range f.list {
		if fault.Kind == kind {
			targets += " " + fault.Target
			if fault.End {
				targets += "!"
			}
		}
	}
	return strings.TrimSpace(targets)
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// harness is a cluster and an admin's connection to it.
type harness struct {
	*cluster.Cluster
	t      *testing.T
	js     jetstream.JetStream
	faults faults
}

func start(t *testing.T, opts cluster.Options) *harness {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs three servers")
	}
	h := &harness{t: t}
	opts.OnFault = h.faults.add
	h.Cluster = clustertest.Start(t, opts)
	nc, err := h.Connect(broker.UserAdmin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if h.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return h
}

// write stores something in a bucket.
func (h *harness) write(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	kv, err := h.js.KeyValue(ctx, subjects.BucketRoutes)
	if err == nil {
		_, err = kv.Put(ctx, "c1", []byte("{}"))
	}
	return err
}

func (h *harness) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) settle() {
	h.t.Helper()
	h.must(cluster.Wait(within(h.t, time.Minute), "settled", h.Settled))
}

// leader waits until a server other than this one leads.
func (h *harness) leader(stream, consumer string, other *cluster.Server) (now *cluster.Server) {
	h.t.Helper()
	h.must(cluster.Wait(within(h.t, time.Minute), "a leader of "+stream+" "+consumer, func(ctx context.Context) (err error) {
		if now, err = h.Leader(ctx, stream, consumer); err == nil && now == other {
			err = errors.New("still " + now.Name)
		}
		return err
	}))
	return now
}

// TestFaults does everything to one cluster that can be done to it, and looks
// each time whether it took effect and was mended.
func TestFaults(t *testing.T) {
	h := start(t, cluster.Options{Workers: 2, Links: true, Disk: 8 << 20, Users: []string{"1111111111"}, Proxies: []string{"proxy"}})
	h.settle()

	t.Run("a server dies and comes back", func(t *testing.T) {
		h.t = t
		s := h.leader(subjects.StreamOut, "", nil)
		h.must(s.Kill())
		h.must(cluster.Wait(within(t, time.Minute), "two of three take a write", h.write))
		h.leader(subjects.StreamOut, "", s)
		h.must(s.Start(within(t, time.Minute)))
		h.settle()
		if got, want := h.faults.of(cluster.ServerKill), s.Name+" "+s.Name+"!"; got != want {
			t.Errorf("want the faults %q, got %q", want, got)
		}
	})
	t.Run("a leader steps down", func(t *testing.T) {
		h.t = t
		for _, consumer := range []string{"", subjects.ConsumerRouter} {
			before := h.leader(subjects.StreamIn, consumer, nil)
			h.must(h.StepDown(t.Context(), subjects.StreamIn, consumer))
			h.leader(subjects.StreamIn, consumer, before)
		}
		h.must(h.StepDownMeta(t.Context()))
		h.settle()
	})
	t.Run("a worker dies, stops and drains", func(t *testing.T) {
		h.t = t
		w := h.Workers()[0]
		h.must(w.Kill())
		if err := w.Ready(t.Context()); err == nil || w.Running() {
			t.Error("want a dead worker, it is ready")
		}
		h.must(w.Start(within(t, time.Minute)))
		h.must(w.Pause())
		h.must(w.Resume())
		h.must(w.Ready(t.Context()))
		if err := w.Terminate(within(t, time.Minute)); err != nil {
			t.Errorf("want exit code 0 after SIGTERM, got %v", err)
		}
		h.must(w.Start(within(t, time.Minute)))
		if m, err := w.Metrics(t.Context()); err != nil || len(m) < 20 {
			t.Errorf("want metrics, got %d, error %v", len(m), err)
		}
	})
	t.Run("links break", func(t *testing.T) { h.breakLinks(t) })
	t.Run("disks are full", func(t *testing.T) {
		h.t = t
		ctx := within(t, 3*time.Minute)
		h.must(h.GrowDisks(ctx, 8<<20))
		h.must(h.FillDisks(ctx))
		if err := h.write(ctx); err == nil || !strings.Contains(err.Error(), "insufficient resources") {
			t.Errorf("want insufficient resources, got %v", err)
		}
		h.must(h.GrowDisks(ctx, 8<<20))
		h.must(cluster.Wait(ctx, "writes are taken after growth", h.write))
		h.must(h.FreeDisks(ctx))
		h.must(cluster.Wait(within(t, time.Minute), "writes are taken", h.write))
		h.settle()
	})
}

// breakLinks looks at a connection of an endpoint through its three links.
func (h *harness) breakLinks(t *testing.T) {
	h.t = t
	i, err := h.Identity("1111111111")
	h.must(err)
	nkey, err := nats.NkeyOptionFromSeed(h.seedFile(i))
	h.must(err)
	nc, err := nats.Connect(h.ClientURL(), nkey, nats.Name("1111111111"), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond),
		nats.CustomInboxPrefix(subjects.InboxPrefix("1111111111")), nats.PingInterval(time.Second), nats.MaxPingsOutstanding(1))
	h.must(err)
	defer nc.Close()
	links := h.Links(func(l *cluster.Link) bool { return l.From == cluster.Endpoints })
	if len(links) != 3 {
		t.Fatalf("want 3 links of the endpoints, got %d", len(links))
	}
	talks := func(context.Context) error { return nc.FlushTimeout(500 * time.Millisecond) }
	silent := func(ctx context.Context) error {
		if talks(ctx) == nil {
			return errors.New("an answer came")
		}
		return nil
	}
	for name, fault := range map[string]func(*cluster.Link) error{
		"cut": (*cluster.Link).Cut, "refuse": (*cluster.Link).Refuse, "reset": (*cluster.Link).Reset,
		"delay": func(l *cluster.Link) error { return l.Delay(2*time.Second, 0) },
	} {
		h.must(cluster.Wait(within(t, time.Minute), "talks before "+name, talks))
		for _, l := range links {
			h.must(fault(l))
			if err := fault(l); !errors.Is(err, cluster.ErrBroken) {
				t.Errorf("%s twice: want ErrBroken, got %v", name, err)
			}
		}
		h.must(cluster.Wait(within(t, time.Minute), "silent after "+name, silent))
		for _, l := range links {
			h.must(l.Heal(t.Context()))
		}
		h.must(cluster.Wait(within(t, time.Minute), "talks after "+name, talks))
	}
}

func (h *harness) seedFile(i cluster.Identity) string {
	h.t.Helper()
	name := h.t.TempDir() + "/seed"
	h.must(os.WriteFile(name, i.NKeySeed, 0o600))
	return name
}

// TestCloseLeavesNothing: processes that are stopped, and those of a second
// life, end as well.
func TestCloseLeavesNothing(t *testing.T) {
	h := start(t, cluster.Options{Servers: 1, Workers: 2, Callout: 1})
	w := h.Workers()
	h.must(w[0].Kill())
	h.must(w[0].Start(within(t, time.Minute)))
	h.must(w[1].Pause())
	pids := []int{w[0].PID(), w[1].PID(), h.Servers()[0].PID()}
	h.must(h.Close())
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("want no process %d, got %v", pid, err)
		}
	}
	h.must(h.Unexpected())
}

// TestUnexpectedEnd: a process that dies by itself is noticed.
func TestUnexpectedEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a server")
	}
	ctx := within(t, 3*time.Minute)
	c, err := cluster.Start(ctx, cluster.Options{Dir: t.TempDir(), Binaries: clustertest.Binaries(t), Servers: 1, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := syscall.Kill(c.Workers()[0].PID(), syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Wait(ctx, "noticed", func(context.Context) error {
		if c.Unexpected() == nil {
			return errors.New("nothing")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// parentDir is set in the process that TestProcessesDieWithTheirParent kills.
const parentDir = "CLUSTER_TEST_PARENT_DIR"

// TestProcessesDieWithTheirParent: a process that is killed closes nothing, and
// leaves nothing behind all the same.
func TestProcessesDieWithTheirParent(t *testing.T) {
	if dir := os.Getenv(parentDir); dir != "" {
		dieWithACluster(t, dir)
	}
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("builds and runs a server; only Linux tells a child of its parent's death")
	}
	binaries := clustertest.Binaries(t)
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessesDieWithTheirParent$", "-test.v")
	parent.Env = append(os.Environ(), parentDir+"="+t.TempDir(), "CLUSTER_TEST_ROUTER="+binaries.Router, "CLUSTER_TEST_SERVER="+binaries.Server)
	out, err := parent.Output()
	if err == nil {
		t.Fatalf("want a parent that is killed, it ended well:\n%s", out)
	}
	_, line, _ := strings.Cut(string(out), "pids ")
	line, _, _ = strings.Cut(line, "\n")
	pids := strings.Fields(line)
	if len(pids) != 2 {
		t.Fatalf("want two processes of the parent, got %q in\n%s", pids, out)
	}
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := cluster.Wait(within(t, 30*time.Second), "process "+text+" is gone", func(context.Context) error {
			switch err := syscall.Kill(pid, 0); {
			case errors.Is(err, syscall.ESRCH):
				return nil
			case err != nil:
				return err
			default:
				return errors.New("it is there")
			}
		}); err != nil {
			t.Error(err)
		}
	}
}

func dieWithACluster(t *testing.T, dir string) {
	t.Helper()
	c, err := cluster.Start(within(t, time.Minute), cluster.Options{
		Dir: dir, Servers: 1, Workers: 1,
		Binaries: cluster.Binaries{Router: os.Getenv("CLUSTER_TEST_ROUTER"), Server: os.Getenv("CLUSTER_TEST_SERVER")},
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("pids %d %d\n", c.Servers()[0].PID(), c.Workers()[0].PID())
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {}
}
