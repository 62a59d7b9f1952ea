package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// process is a program that can be started again and again. What it prints is
// appended to its log.
type process struct {
	name    string
	argv    []string
	env     []string
	log     string
	spawner *spawner
	// unexpected is told of every end that nobody here caused.
	unexpected func(error)

	mu  sync.Mutex
	run *run // nil before the first start
}

// run is one life of a process.
type run struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process has ended
	err    error         // how it ended; read it after ended
	mu     sync.Mutex
	wanted bool // somebody here ended it
}

// ErrNotRunning is returned for what only a running process can do.
var ErrNotRunning = errors.New("process is not running")

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil && !p.run.over() {
		return fmt.Errorf("cluster: %s runs already", p.name)
	}
	out, err := os.OpenFile(p.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cluster: log of %s: %w", p.name, err)
	}
	defer func() { _ = out.Close() }() // the child has its own
	r := &run{cmd: exec.Command(p.argv[0], p.argv[1:]...), ended: make(chan struct{})}
	r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = p.env, out, out
	if err := p.spawner.start(r.cmd); err != nil {
		return fmt.Errorf("cluster: start %s: %w", p.name, err)
	}
	p.run = r
	go func() {
		r.err = r.cmd.Wait()
		r.mu.Lock()
		wanted := r.wanted
		r.mu.Unlock()
		if !wanted {
			p.unexpected(fmt.Errorf("cluster: %s ended by itself: %w; see %s", p.name, orExit(r.err), p.log))
		}
		close(r.ended)
	}()
	return nil
}

var errExit0 = errors.New("exit status 0")

func orExit(err error) error {
	if err == nil {
		return errExit0
	}
	return err
}

func (r *run) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// current returns the life that is being lived.
func (p *process) current() (*run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil || p.run.over() {
		return nil, fmt.Errorf("cluster: %s: %w", p.name, ErrNotRunning)
	}
	return p.run, nil
}

func (p *process) running() bool {
	_, err := p.current()
	return err == nil
}

func (p *process) pid() int {
	r, err := p.current()
	if err != nil {
		return 0
	}
	return r.cmd.Process.Pid
}

func (p *process) signal(s syscall.Signal) error {
	r, err := p.current()
	if err != nil {
		return err
	}
	if err := r.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("cluster: signal %s: %w", p.name, err)
	}
	return nil
}

// end sends a signal that ends the process and waits until it has. It returns
// how the process ended.
func (p *process) end(ctx context.Context, s syscall.Signal) error {
	r, err := p.dismiss(s)
	if err != nil {
		return err
	}
	select {
	case <-r.ended:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("cluster: %s does not end: %w", p.name, ctx.Err())
	}
}

// kill ends the process with SIGKILL, which is how it ends then.
func (p *process) kill() error {
	r, err := p.dismiss(syscall.SIGKILL)
	if err != nil {
		return err
	}
	<-r.ended // nothing can hold a process up that is killed
	if _, killed := errors.AsType[*exec.ExitError](r.err); killed {
		return nil
	}
	return r.err
}

// dismiss sends a signal that ends the process.
func (p *process) dismiss(s syscall.Signal) (*run, error) {
	r, err := p.current()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.wanted = true
	r.mu.Unlock()
	if err := r.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return nil, fmt.Errorf("cluster: signal %s: %w", p.name, err)
	}
	return r, nil
}
