package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// often is the pause between two looks at something that is awaited.
const often = 50 * time.Millisecond

// oneLook bounds a look: whoever is asked may have died with the question, and
// never answers.
const oneLook = 3 * time.Second

// Wait looks at a condition until it holds: until holds returns nil, or ctx
// ends, which is an error that says what did not come true and why.
func Wait(ctx context.Context, what string, holds func(context.Context) error) error {
	tick := time.NewTicker(often)
	defer tick.Stop()
	for {
		look, cancel := context.WithTimeout(ctx, oneLook)
		err := holds(look)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cluster: not in time: %s: %w; last: %w", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// await is Wait for a process, which ends early if the process does.
func (p *process) await(ctx context.Context, what string, holds func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := p.current()
	if err != nil {
		return err
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-r.ended:
			cancel(fmt.Errorf("%w; see %s", ErrNotRunning, p.log))
		case <-done:
		}
	}()
	if err := Wait(ctx, p.name+" "+what, holds); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

// get makes a request to a process of the cluster and reads a good answer.
func get(ctx context.Context, url string, read func(*http.Response) error) error {
	ctx, cancel := context.WithTimeout(ctx, oneLook) // of one that is stopped
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Close = true // nothing outlives the request
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		return fmt.Errorf("%s: %s: %s", url, response.Status, strings.TrimSpace(string(text)))
	}
	if read == nil {
		return nil
	}
	return read(response)
}
