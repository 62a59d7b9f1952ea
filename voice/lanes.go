package voice

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// errDropped is told to a task that was taken in and not run.
var errDropped = errors.New("voice: closed before the message was handed over")

// task is one message on its way to the handlers.
type task struct {
	m Message
	// done, if not nil, is called once: with what the handlers returned, or with
	// errDropped.
	done func(error)
}

// lanes run tasks: those of one conversation in order, different conversations
// concurrently, a bounded number at once.
type lanes struct {
	handle func(context.Context, Message) error
	slots  chan struct{} // one token per running handler
	room   chan struct{} // one token per task taken in
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	waiting map[string][]task // a key is present while its lane runs
	running sync.WaitGroup
}

func newLanes(workers, queue int, handle func(context.Context, Message) error) *lanes {
	ctx, cancel := context.WithCancel(context.Background())
	return &lanes{
		handle: handle, ctx: ctx, cancel: cancel,
		slots:   make(chan struct{}, workers),
		room:    make(chan struct{}, queue),
		waiting: map[string][]task{},
	}
}

// submit takes t in, waiting for room until ctx ends. It must not run
// concurrently with drain.
func (l *lanes) submit(ctx context.Context, t task) error {
	select {
	case l.room <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	key := t.m.CID
	l.mu.Lock()
	defer l.mu.Unlock()
	queue, runs := l.waiting[key]
	l.waiting[key] = append(queue, t)
	if !runs {
		l.running.Go(func() { l.run(key) })
	}
	return nil
}

// run works off one lane until it is empty.
func (l *lanes) run(key string) {
	for {
		t, ok := l.next(key)
		if !ok {
			return
		}
		err := l.one(t.m)
		if t.done != nil {
			t.done(err)
		}
		<-l.room
	}
}

func (l *lanes) next(key string) (task, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue := l.waiting[key]
	if len(queue) == 0 {
		delete(l.waiting, key)
		return task{}, false
	}
	l.waiting[key] = queue[1:]
	return queue[0], true
}

func (l *lanes) one(m Message) error {
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-l.ctx.Done():
		return errDropped
	}
	if l.ctx.Err() != nil {
		return errDropped
	}
	return l.handle(l.ctx, m)
}

// drain waits until everything taken in has been handled. If ctx ends first it
// ends the contexts of the handlers, drops what waits, and returns at once.
func (l *lanes) drain(ctx context.Context) error {
	defer l.cancel()
	idle := make(chan struct{})
	go func() {
		l.running.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("voice: close: handlers are still running: %w", ctx.Err())
	}
}
