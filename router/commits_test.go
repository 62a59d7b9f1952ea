package router

import (
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voicerouter/voicerouter/subjects"
)

// TestCommitsTogether: what several lanes want to store while a batch is under way
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
		var lanes sync.WaitGroup
		for i, batch := range batches {
			lanes.Go(func() { out[i].last, out[i].err = c.store(t.Context(), batch) })
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
		lanes.Wait()
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
			t.Errorf("lane %d: last sequence %d, %v, want %d", i, got[i].last, got[i].err, want)
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
		t.Errorf("lanes beside a lost race: %v, %v", got[0].err, got[2].err)
	}
	if got[1].err == nil || classify(got[1].err) != conflict {
		t.Errorf("lost race: %v, want a conflict", got[1].err)
	}
}

// TestUnexplainedTogether: a batch of several lanes that the server refuses for a
// reason that nobody foresaw is stored lane by lane. A lane with one message in it
// that was delivered often would take itself for refused alone.
func TestUnexplainedTogether(t *testing.T) {
	b := newBench(t)
	c := &commits{js: b.js, stored: func(error) {}}
	part := func(key, stream string) *commitment {
		m := nats.NewMsg(subjects.State(key))
		m.Data = []byte("{}")
		m.Header.Set(jetstream.ExpectedStreamHeader, stream)
		return &commitment{batch: []*nats.Msg{m}, done: make(chan struct{})}
	}
	innocent, guilty := part("a", subjects.StreamOut), part("b", subjects.StreamIn)
	c.storeTogether(t.Context(), []*commitment{innocent, guilty})
	if guilty.err == nil || classify(guilty.err) != unexplained {
		t.Fatalf("the lane at fault: %v, want what nobody foresaw", guilty.err)
	}
	if innocent.err != nil || innocent.last != 1 {
		t.Errorf("the lane beside it: sequence %d, %v, want 1", innocent.last, innocent.err)
	}
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
