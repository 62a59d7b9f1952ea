//go:build !linux

package cluster

import "syscall"

// attributes keeps the interrupts of a terminal from a child. It outlives this
// process if that is killed: only Linux can prevent that.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
