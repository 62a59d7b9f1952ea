package operations

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/internal/broker"
	"github.com/voicerouter/voicerouter/internal/cluster"
	"github.com/voicerouter/voicerouter/internal/cluster/clustertest"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// natsTool builds the command nats.
func natsTool(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "nats")
	c := exec.CommandContext(t.Context(), "go", "build", "-modfile=tools/nats/go.mod", "-o", binary, "github.com/nats-io/natscli/nats")
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", c, err, out)
	}
	return binary
}

// documented runs the commands that stand in docs/backup.md under this name, as
// an administrator, in a directory.
func (w *world) documented(name, tool, dir string) {
	w.t.Helper()
	text, err := os.ReadFile("../../docs/backup.md")
	if err != nil {
		w.t.Fatal(err)
	}
	_, script, found := strings.Cut(string(text), "<!-- "+name+":begin -->\n```sh\n")
	script, _, ended := strings.Cut(script, "```\n<!-- "+name+":end -->")
	if !found || !ended {
		w.t.Fatalf("docs/backup.md has no commands %q", name)
	}
	c := exec.CommandContext(w.t.Context(), "sh", "-euxc", script)
	key := w.KeyFile(broker.UserAdmin)
	c.Dir, c.Env = dir, append(os.Environ(),
		"PATH="+strings.Join([]string{filepath.Dir(tool), filepath.Dir(clustertest.Binaries(w.t).Router), os.Getenv("PATH")}, ":"),
		"NATS_URL="+w.ClientURL(), "NATS_NKEY="+key, "NATS_TIMEOUT=30s",
		"ROUTER_NATS_URL="+w.ClientURL(), "ROUTER_NATS_NKEY_FILE="+key)
	if out, err := c.CombinedOutput(); err != nil {
		w.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// lose deletes every stream.
func (w *world) lose() {
	w.t.Helper()
	for _, stream := range []string{
		subjects.StreamIn, subjects.StreamOut, subjects.KV(subjects.BucketRoutes), subjects.KV(subjects.BucketIdentities),
	} {
		if err := w.js.DeleteStream(w.t.Context(), stream); err != nil {
			w.t.Fatalf("delete %s: %v", stream, err)
		}
	}
}

// TestRestore backs the streams up with the commands of docs/backup.md, deletes
// them, and restores them, under calls of every kind: they go on as if nothing had
// happened, whether the fleet is stopped meanwhile or not.
func TestRestore(t *testing.T) {
	tool := natsTool(t)
	t.Run("one server, workers stopped", func(t *testing.T) { testRestore(t, tool, 1, true) })
	t.Run("three replicas, workers go on", func(t *testing.T) { testRestore(t, tool, 3, false) })
}

func testRestore(t *testing.T, tool string, servers int, stopped bool) {
	w := newWorld(t, cluster.Options{Servers: servers, Unsynced: true})
	quick := w.worker(cluster.WorkerOptions{Env: []string{"ROUTER_RING_TIMEOUT=8s"}})
	w.connect()
	for _, cid := range []string{"due", "later", "active", "ringing", "taken", "next"} {
		w.route(cid)
	}
	w.calls("due") // its timer comes due while the streams are gone
	w.terminate(quick)
	worker := w.worker(cluster.WorkerOptions{Env: []string{"ROUTER_RING_TIMEOUT=30s"}})
	for _, cid := range []string{"later", "active", "ringing", "taken"} {
		w.calls(cid) // the timer of "later" comes due after it all
	}
	w.answers("active")
	w.inbox()
	if stopped {
		w.terminate(worker)
		// An answer waits for a worker, another one was taken by a worker that is
		// gone.
		w.cu.must(w.cu.Accept(proxy, "taken", "taken", "answer", nil))
		w.take()
		w.cu.must(w.cu.Accept(proxy, "ringing", "ringing", "answer", nil))
	}

	dir, due := t.TempDir(), w.record("due").Deadline
	w.documented("backup", tool, dir)
	w.lose()
	sent := make(chan error, 1)
	go func() { sent <- w.op.Update(proxy, "active", "active", "hold", nil) }() // goes on trying
	select {
	case err := <-sent:
		t.Fatalf("a message was sent into streams that are gone: %v", err)
	case <-time.After(time.Until(due.Add(2 * time.Second))):
	}
	w.documented("restore", tool, dir)
	restored := time.Now()
	if stopped {
		w.start(worker)
	}

	w.ended("due", signal.NoAnswer)
	t.Logf("the call whose timer came due meanwhile ended %s after the restore", time.Since(restored).Round(time.Millisecond))
	if err := <-sent; err != nil {
		t.Errorf("sent while the streams were gone: %v", err)
	}
	w.cu.hears(signal.Update, "active")
	w.hangsUp("active")
	for _, cid := range []string{"ringing", "taken"} {
		if !stopped {
			w.cu.must(w.cu.Accept(proxy, cid, cid, "answer", nil))
		}
		w.op.hears(signal.Accept, cid)
		w.hangsUp(cid)
	}
	w.calls("next") // on a route of before
	w.answers("next")
	w.hangsUp("next")
	w.inbox()
	for _, cid := range []string{"active", "ringing", "taken", "next"} {
		w.completed(cid)
	}
	w.ended("later", signal.NoAnswer)
	s := w.record("later")
	if late := s.EndedAt.Sub(s.StartedAt.Add(30 * time.Second)); late < 0 || late > 5*time.Second {
		t.Errorf("the call whose timer was pending ended %s late", late)
	}
	for _, cid := range []string{"due", "later"} {
		w.op.hears(signal.Stop, cid)
		w.cu.hears(signal.Stop, cid)
		w.op.once(cid, signal.Stop)
		w.cu.once(cid, signal.Start, signal.Stop)
	}
}

// TestRestoreOlder restores a backup that is older than what was lost. The calls
// of then go on; what was said since is gone. Sides that had heard more than
// the streams hold now hear what is new, and nothing a second time.
func TestRestoreOlder(t *testing.T) {
	w := newWorld(t, cluster.Options{Servers: 1, Unsynced: true})
	worker := w.worker(cluster.WorkerOptions{})
	w.connect()
	for _, cid := range []string{"active", "ringing", "next"} {
		w.route(cid)
	}
	w.calls("active")
	w.answers("active")
	w.calls("ringing")
	w.inbox()
	tool, dir := natsTool(t), t.TempDir()
	w.documented("backup", tool, dir)
	since := w.traffic(2)
	since.more(10)
	gone := since.end()
	w.op.must(w.op.Update(proxy, "active", "active", "hold", nil))
	w.cu.hears(signal.Update, "active")

	w.synced(worker)

	w.terminate(worker)
	w.lose()
	w.documented("restore", tool, dir)
	w.start(worker)
	w.op.must(w.op.Candidate(proxy, "active", "active", "candidate"))
	w.cu.hears(signal.Candidate, "active")
	w.calls("next")
	w.answers("next")
	w.hangsUp("next")
	w.hangsUp("active")
	w.cu.must(w.cu.Busy(proxy, "ringing", "ringing"))
	w.op.hears(signal.Busy, "ringing")
	w.completed("active")
	w.completed("next")
	w.ended("ringing", signal.BusyHere)
	w.cu.once("active", signal.Update, signal.Candidate)
	w.cu.once("ringing", signal.Start)
	for _, cid := range gone {
		w.cu.once(cid, signal.Start, signal.Stop)
		w.op.once(cid, signal.Accept)
	}
}

// synced waits until both sides have asked the worker what they missed, twice: by
// then they know how far the stream goes.
func (w *world) synced(worker *cluster.Worker) {
	w.t.Helper()
	count := func() (sum float64) {
		metrics, err := worker.Metrics(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		for name, n := range metrics {
			if strings.HasPrefix(name, "voicerouter_syncs_total") {
				sum += n
			}
		}
		return sum
	}
	want := count() + 6 // whoever asks first asks twice before the other has asked twice
	w.eventually("both sides have synced", func() error {
		if now := count(); now < want {
			return fmt.Errorf("%v requests, want %v", now, want)
		}
		return nil
	})
}

// take fetches what waits for a worker and does not acknowledge it.
func (w *world) take() {
	w.t.Helper()
	nc, err := w.Connect(broker.UserRouter)
	if err != nil {
		w.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := js.Consumer(w.t.Context(), subjects.StreamIn, subjects.ConsumerRouter)
	if err != nil {
		w.t.Fatal(err)
	}
	batch, err := c.Fetch(1, jetstream.FetchPriorityGroup(subjects.GroupRouter), jetstream.FetchPrioritized(1), jetstream.FetchMaxWait(30*time.Second))
	if err != nil {
		w.t.Fatal(err)
	}
	if m := <-batch.Messages(); m == nil {
		w.t.Fatalf("nothing waits: %v", batch.Error())
	}
}

// record reads the record of a conversation.
func (w *world) record(cid string) call.State {
	w.t.Helper()
	m, err := w.last(subjects.State(cid))
	if err != nil {
		w.t.Fatalf("record of %s: %v", cid, err)
	}
	s, err := call.DecodeState(m.Data)
	if err != nil {
		w.t.Fatalf("record of %s: %v", cid, err)
	}
	return s
}
