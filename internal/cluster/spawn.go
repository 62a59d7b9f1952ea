package cluster

import (
	"os/exec"
	"runtime"
)

// spawner starts every process of a cluster from one operating system thread
// that lives as long as the spawner: on Linux a child is told of the death of
// the thread that started it, not of the process.
type spawner struct {
	work chan func()
	done chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{work: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for f := range s.work {
			f()
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = attributes()
	started := make(chan error, 1)
	s.work <- func() { started <- cmd.Start() }
	return <-started
}

func (s *spawner) stop() {
	close(s.work)
	<-s.done
}
