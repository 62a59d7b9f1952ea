package router

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/subjects"
)

// TestCommitsTogether: what is decided while a batch is under way
// is stored as one, each learns its own sequence, and one that the server refuses
// takes nobody with it.
func TestCommitsTogether(t *testing.T) {
	b := newBench(t)
	c := &commits{js: b.js, stored: func(error) {}, open: openBatches} // as if the server had not answered yet
	message := func(key, expect string) *nats.Msg {
		m := nats.NewMsg(subjects.State(key))
		m.Data = []byte("{}")
		if expect != "" {
			m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, expect)
		}
		return m
	}
	type outcome struct {
		last uint64
		err  error
	}
	store := func(batches ...[]*nats.Msg) []outcome {
		out := make([]outcome, len(batches))
		var parts sync.WaitGroup
		for i, batch := range batches {
			parts.Go(func() { out[i].last, out[i].err = c.store(t.Context(), batch) })
			waitFor(t, func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return len(c.waiting) == i+1
			})
		}
		c.mu.Lock()
		c.open = 0
		c.mu.Unlock()
		c.send(t.Context())
		parts.Wait()
		c.mu.Lock()
		c.open = openBatches
		c.mu.Unlock()
		return out
	}

	got := store(
		[]*nats.Msg{message("a", "0"), message("a", "")},
		[]*nats.Msg{message("b", "0")},
		[]*nats.Msg{message("c", "0"), message("c", ""), message("c", "")},
	)
	for i, want := range []uint64{2, 3, 6} {
		if got[i].err != nil || got[i].last != want {
			t.Errorf("part %d: last sequence %d, %v, want %d", i, got[i].last, got[i].err, want)
		}
	}
	info, err := b.js.Stream(t.Context(), subjects.StreamOut)
	if err != nil || info.CachedInfo().State.LastSeq != 6 {
		t.Fatalf("stream: %+v, %v, want 6 messages", info, err)
	}

	got = store(
		[]*nats.Msg{message("a", "2")},
		[]*nats.Msg{message("b", "0")}, // another worker has moved it
		[]*nats.Msg{message("c", "6")},
	)
	if got[0].err != nil || got[2].err != nil {
		t.Errorf("parts beside a lost race: %v, %v", got[0].err, got[2].err)
	}
	if got[1].err == nil || classify(got[1].err) != conflict {
		t.Errorf("lost race: %v, want a conflict", got[1].err)
	}
}

// TestLosersAreSeen: however many have lost, what is left is stored with one more batch.
func TestLosersAreSeen(t *testing.T) {
	b := newBench(t)
	var batches []error
	c := &commits{js: b.js, stored: func(err error) { batches = append(batches, err) }}
	moved := commitmentOf("moved", 1, 2)
	c.storeTogether(t.Context(), []*commitment{moved})
	var part []*commitment
	for i := range 9 {
		key, expect := fmt.Sprint("k", i), "0"
		if i%3 == 1 {
			key = "moved" // by another worker: this one knows of no record
		}
		m := commitmentOf(key, 1, 2)
		m.batch[0].Header.Set(jetstream.ExpectedLastSubjSeqHeader, expect)
		if i == 5 { // depends on another's record
			m.batch[0].Subject = subjects.Check(key)
			m.batch[0].Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, subjects.State("moved"))
		}
		part = append(part, m)
	}
	batches = nil
	c.storeTogether(t.Context(), part)
	if len(batches) != 2 || batches[0] == nil || batches[1] != nil {
		t.Errorf("batches %v, want one that is refused and one that is stored", batches)
	}
	for i, m := range part {
		<-m.done
		lost := i%3 == 1 || i == 5
		if lost != (m.err != nil) || lost && classify(m.err) != conflict {
			t.Errorf("part %d: %v, want it lost: %v", i, m.err, lost)
		}
	}
}

// TestFaultOfOnePart: a batch of several parts that the server refuses for what is in
// one of them is stored in halves. Were an unexplained refusal told to all, a part
// with one message in it that was delivered often would take itself for refused alone.
func TestFaultOfOnePart(t *testing.T) {
	for _, test := range []struct {
		want          failure
		header, value string
	}{
		{conflict, jetstream.ExpectedLastSubjSeqHeader, "17"},
		{poison, jetstream.MsgTTLHeader, "soon"},
		{unexplained, jetstream.ExpectedStreamHeader, subjects.StreamIn},
	} {
		t.Run(test.want.String(), func(t *testing.T) {
			c := &commits{js: newBench(t).js, stored: func(error) {}}
			innocent, guilty := commitmentOf("a", 1, 2), commitmentOf("b", 1, 2)
			guilty.batch[0].Header.Set(test.header, test.value)
			c.storeTogether(t.Context(), []*commitment{innocent, guilty})
			if guilty.err == nil || classify(guilty.err) != test.want {
				t.Fatalf("the part at fault: %v, want %v", guilty.err, test.want)
			}
			if innocent.err != nil || innocent.last != 1 {
				t.Errorf("the part beside it: sequence %d, %v, want 1", innocent.last, innocent.err)
			}
		})
	}
}

// TestTake: a batch is made of those that have waited longest, within the bounds of
// the server; what does not fit goes on waiting. A second one is opened only for
// enough, a third never.
func TestTake(t *testing.T) {
	const all = maxBatchMessages
	for _, test := range []struct {
		name            string
		open            int
		waiting         []*commitment
		taken, openThen int
	}{
		{"none", 0, nil, 0, 0},
		{"one", 0, []*commitment{commitmentOf("a", 1, 2)}, 1, 1},
		{"full", 0, []*commitment{commitmentOf("a", all-1, 2), commitmentOf("b", 1, 2), commitmentOf("c", 1, 2)}, 2, 1},
		{"too many messages", 0, []*commitment{commitmentOf("a", all, 2), commitmentOf("b", 1, 2)}, 1, 1},
		{"too many bytes", 0, []*commitment{commitmentOf("a", 1, maxBatchBytes-1), commitmentOf("b", 1, 2)}, 1, 1},
		{"one beyond the bounds goes alone", 0, []*commitment{commitmentOf("a", all+1, 2), commitmentOf("b", 1, 2)}, 1, 1},
		{"second, too little", 1, []*commitment{commitmentOf("a", worthOpen-1, 2)}, 0, 1},
		{"second, enough", 1, []*commitment{commitmentOf("a", worthOpen-1, 2), commitmentOf("b", 1, 2)}, 2, 2},
		{"third", openBatches, []*commitment{commitmentOf("a", all, 2)}, 0, openBatches},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &commits{open: test.open, waiting: slices.Clone(test.waiting)}
			if part := c.take(); !slices.Equal(part, test.waiting[:test.taken]) {
				t.Errorf("took %d, want the first %d", len(part), test.taken)
			}
			if !slices.Equal(c.waiting, test.waiting[test.taken:]) {
				t.Errorf("%d go on waiting, want the last %d", len(c.waiting), len(test.waiting)-test.taken)
			}
			if c.open != test.openThen {
				t.Errorf("%d batches are open, want %d", c.open, test.openThen)
			}
		})
	}
}

// commitmentOf returns a part: n messages of a key, of so many bytes each.
func commitmentOf(key string, n, bytes int) *commitment {
	batch := make([]*nats.Msg, n)
	for i := range batch {
		batch[i] = nats.NewMsg(subjects.State(key))
		batch[i].Data = make([]byte, bytes)
	}
	return &commitment{batch: batch, bytes: size(batch), done: make(chan struct{})}
}

func waitFor(t testing.TB, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); !holds(); {
		select {
		case <-deadline:
			t.Fatal("not within 30 s")
		case <-tick.C:
		}
	}
}
