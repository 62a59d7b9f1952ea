package cluster

import "syscall"

// attributes has a child die with this process, even if that is killed, and
// keeps the interrupts of a terminal from it: this process decides.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
