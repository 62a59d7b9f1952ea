package voice

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/voicerouter/voicerouter/signal"
)

func in(cid string, seq uint64) task {
	return task{m: Message{Seq: seq, Message: signal.Message{CID: cid}}}
}

func TestLanesKeepTheOrderOfAConversation(t *testing.T) {
	var mu sync.Mutex
	got := map[string][]uint64{}
	l := newLanes(8, 100, func(_ context.Context, m Message) error {
		mu.Lock()
		defer mu.Unlock()
		got[m.CID] = append(got[m.CID], m.Seq)
		return nil
	})
	for seq := range uint64(500) {
		if err := l.submit(t.Context(), in(fmt.Sprintf("c%d", seq%7), seq)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	total := 0
	for cid, list := range got {
		for i := 1; i < len(list); i++ {
			if list[i] < list[i-1] {
				t.Errorf("%s: %d after %d", cid, list[i], list[i-1])
			}
		}
		total += len(list)
	}
	if total != 500 {
		t.Errorf("got %d messages, want 500", total)
	}
}

func TestLanesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		leave := make(chan struct{})
		l := newLanes(2, 5, func(context.Context, Message) error {
			n := running.Add(1)
			defer running.Add(-1)
			most.Store(max(most.Load(), n))
			<-leave
			return nil
		})
		for i := range uint64(5) {
			if err := l.submit(t.Context(), in(fmt.Sprint(i), i)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := running.Load(); got != 2 {
			t.Errorf("got %d handlers at once, want 2: conversations run concurrently up to the number of workers", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		refused := make(chan error, 1)
		go func() { refused <- l.submit(ctx, in("more", 9)) }()
		synctest.Wait()
		cancel()
		if err := <-refused; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v from a full queue, want to wait until the context ends", err)
		}
		close(leave)
		if err := l.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := most.Load(); got != 2 {
			t.Errorf("got %d handlers at once, want at most 2", got)
		}
	})
}

func TestLanesDropWhatWaitsWhenDrainingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(1, 5, func(ctx context.Context, _ Message) error {
			<-ctx.Done()
			return nil
		})
		results := make(chan error, 2)
		for i := range uint64(2) {
			tk := in("cid", i)
			tk.done = func(err error) { results <- err }
			if err := l.submit(t.Context(), tk); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.drain(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("drain: got %v, want the error of its context", err)
		}
		if err := <-results; err != nil {
			t.Errorf("got %v for the message that was running, want nil", err)
		}
		if err := <-results; !errors.Is(err, errDropped) {
			t.Errorf("got %v for the message that waited, want errDropped", err)
		}
	})
}
