package operations

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/internal/cluster"
	"github.com/voicerouter/voicerouter/internal/msgget"
	"github.com/voicerouter/voicerouter/signal"
	"github.com/voicerouter/voicerouter/subjects"
)

// TestPreviousRelease has workers of this release and of the one before share
// the same streams. First each call is handed from one to the other: what one
// writes the other reads, timers included. Then both are at work, and each in turn
// is killed, drained and started again while calls go on.
func TestPreviousRelease(t *testing.T) {
	w := newWorld(t, cluster.Options{Servers: 1, Unsynced: true})
	binary := previousRouter(t)
	before := w.worker(cluster.WorkerOptions{Router: binary})
	w.connect()

	// Each conversation is named for the releases that decide its start, its accept
	// and its stop: b the one before, n this one.
	paths := []string{"bnb", "bbn", "bnn", "nbn", "nnb", "nbb"}
	for _, cid := range paths {
		w.route(cid)
	}
	with := func(release byte, step int, do func(cid string)) {
		t.Helper()
		for _, cid := range paths {
			if cid[step] == release {
				do(cid)
			}
		}
	}
	with('b', 0, w.calls)
	now := w.worker(cluster.WorkerOptions{})
	w.terminate(before)
	with('n', 0, w.calls)
	with('n', 1, w.answers)
	w.start(before)
	w.terminate(now)
	with('b', 1, w.answers)
	with('b', 2, w.hangsUp)
	w.start(now)
	w.terminate(before)
	with('n', 2, w.hangsUp)
	w.terminate(now)
	for _, cid := range paths {
		w.completed(cid)
	}
	w.timerActedUponBy(cluster.WorkerOptions{Router: binary}, cluster.WorkerOptions{})
	w.timerActedUponBy(cluster.WorkerOptions{}, cluster.WorkerOptions{Router: binary})

	w.start(before)
	w.start(now)
	stop := w.traffic(4)
	for _, worker := range []*cluster.Worker{before, now} {
		w.kill(worker)
		stop.more(10)
		w.start(worker)
		stop.more(10)
		w.terminate(worker)
		stop.more(10)
		w.start(worker)
		stop.more(10)
	}
	for _, cid := range stop.end() {
		w.completed(cid)
	}
	if info := w.inbox(); info.NumAckPending != 0 || info.NumPending != 0 {
		t.Errorf("%d messages wait for an ack and %d for a worker, want none", info.NumAckPending, info.NumPending)
	}
}

// timerActedUponBy has a call end by its ring timer, which one worker set and the
// other, alone when it fires, acts upon.
func (w *world) timerActedUponBy(sets, acts cluster.WorkerOptions) {
	w.t.Helper()
	quick := []string{"ROUTER_RING_TIMEOUT=5s"}
	sets.Env, acts.Env = quick, quick
	w.timers++
	cid := fmt.Sprint("timer-", w.timers)
	w.route(cid)
	first := w.worker(sets)
	w.calls(cid)
	w.terminate(first)
	second := w.worker(acts)
	w.ended(cid, signal.NoAnswer)
	w.op.hears(signal.Stop, cid)
	w.cu.hears(signal.Stop, cid)
	w.terminate(second)
	w.op.once(cid, signal.Stop)
	w.cu.once(cid, signal.Stop)
}

// inbox returns the state of the workers' consumer, once nothing moves any more.
func (w *world) inbox() (info *jetstream.ConsumerInfo) {
	w.t.Helper()
	w.eventually("every message is acknowledged", func() error {
		c, err := w.js.Consumer(w.t.Context(), subjects.StreamIn, subjects.ConsumerRouter)
		if err != nil {
			return err
		}
		if info = c.CachedInfo(); info.NumAckPending+int(info.NumPending) > 0 {
			return fmt.Errorf("%d pending, %d wait for an ack", info.NumPending, info.NumAckPending)
		}
		return nil
	})
	return info
}

// traffic is calls that are made one after the other, by several at once.
type traffic struct {
	w    *world
	quit chan struct{}
	wg   sync.WaitGroup

	mu   sync.Mutex
	done []string
}

func (w *world) traffic(lines int) *traffic {
	tr := &traffic{w: w, quit: make(chan struct{})}
	for line := range lines {
		tr.wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-tr.quit:
					return
				default:
				}
				cid := fmt.Sprintf("line%d-%d", line, i)
				if !tr.call(cid) {
					return
				}
				tr.mu.Lock()
				tr.done = append(tr.done, cid)
				tr.mu.Unlock()
			}
		})
	}
	w.t.Cleanup(func() { tr.end() })
	return tr
}

// call makes one call from start to stop; it reports whether that went well.
// (What fails a test may not be called from here.)
func (tr *traffic) call(cid string) bool {
	w := tr.w
	await := func(s *side, typ signal.Type) bool {
		for deadline := time.Now().Add(patience); s.times(typ, cid) == 0; {
			if time.Now().After(deadline) {
				w.t.Errorf("%s: %s did not hear %s within %s; it heard %v", cid, s.name, typ, patience, s.all(cid))
				return false
			}
			<-time.After(5 * time.Millisecond)
		}
		return true
	}
	sent := func(err error) bool {
		if err != nil {
			w.t.Errorf("%s: %v", cid, err)
		}
		return err == nil
	}
	w.route(cid)
	return sent(w.op.Start(proxy, cid, cid, "offer", nil)) && await(w.cu, signal.Start) &&
		sent(w.cu.Accept(proxy, cid, cid, "answer", nil)) && await(w.op, signal.Accept) &&
		sent(w.op.Stop(proxy, cid, cid)) && await(w.cu, signal.Stop)
}

// more waits until so many more calls have been made.
func (tr *traffic) more(n int) {
	tr.w.t.Helper()
	want := tr.count() + n
	tr.w.eventually(fmt.Sprint(n, " more calls"), func() error {
		if got := tr.count(); got < want {
			return fmt.Errorf("%d more are missing", want-got)
		}
		return nil
	})
}

func (tr *traffic) count() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.done)
}

// end stops making calls and returns those that were made.
func (tr *traffic) end() []string {
	select {
	case <-tr.quit:
	default:
		close(tr.quit)
	}
	tr.wg.Wait()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.done
}

// TestLaterRelease plants what a later release may write: members that nobody
// here knows live through the rest of the call; a record of a higher version
// stays as it is, with the message that concerns it, until somebody who can read
// it has decided; other calls go on meanwhile.
func TestLaterRelease(t *testing.T) {
	w := newWorld(t, cluster.Options{Servers: 1, Workers: 2, Unsynced: true})
	w.connect()
	for _, cid := range []string{"c1", "c2", "c3"} {
		w.route(cid)
	}
	const later = `"later":{"a":[1,2.50]}`
	w.calls("c1")
	w.rewrite("c1", `{"v":1,`, `{"v":1,`+later+`,`)
	w.answers("c1")
	w.hangsUp("c1")
	w.completed("c1")
	if m, err := w.last(subjects.State("c1")); err != nil || !bytes.Contains(m.Data, []byte(later)) {
		t.Errorf("%s is gone from the record: %s, %v", later, m.Data, err)
	}

	w.calls("c2")
	newer := w.rewrite("c2", `"v":1`, `"v":2`)
	w.cu.must(w.cu.Accept(proxy, "c2", "c2", "answer", nil))
	w.eventually("the accept was sent back", func() error {
		c, err := w.js.Consumer(t.Context(), subjects.StreamIn, subjects.ConsumerRouter)
		if err == nil && c.CachedInfo().NumRedelivered == 0 {
			err = fmt.Errorf("%+v", c.CachedInfo())
		}
		return err
	})
	w.calls("c3")
	w.answers("c3")
	w.hangsUp("c3")
	w.completed("c3")
	if m, err := w.last(subjects.State("c2")); err != nil || m.Seq != newer {
		t.Fatalf("the record of a later version was overwritten: %s, %v", m.Data, err)
	}
	if n := w.op.times(signal.Accept, "c2") + w.cu.times(signal.Error, "c2"); n != 0 {
		t.Errorf("a message on a record that nobody can read was acted upon: %v %v", w.op.all("c2"), w.cu.all("c2"))
	}
	w.rewrite("c2", `"v":2`, `"v":1`) // a newer worker did its part
	w.op.hears(signal.Accept, "c2")
	w.hangsUp("c2")
	w.completed("c2")
}

// rewrite changes a record as another release would have it, and returns its
// sequence.
func (w *world) rewrite(cid, from, to string) uint64 {
	w.t.Helper()
	var m msgget.Message
	var err error
	if m, err = w.last(subjects.State(cid)); err != nil {
		w.t.Fatal(err)
	}
	data := bytes.Replace(m.Data, []byte(from), []byte(to), 1)
	if bytes.Equal(data, m.Data) {
		w.t.Fatalf("record of %s: %s does not occur in %s", cid, from, m.Data)
	}
	ack, err := w.js.Publish(w.t.Context(), subjects.State(cid), data, jetstream.WithExpectLastSequencePerSubject(m.Seq))
	if err != nil {
		w.t.Fatal(err)
	}
	return ack.Sequence
}
