package process

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Hurried runs start, which makes a child, so that the child and all its threads run before whatever has no real-time priority
// (sched(7): SCHED_RR, priority 1) until it calls Calm. If that is refused (without CAP_SYS_NICE; in a control group without a
// real-time budget) the child is made all the same, and refused says why. A process that is not scheduled like most
// (SCHED_OTHER) gives its children what it has itself. The goroutine must be locked to its thread.
func Hurried(start func() (int, error)) (pid int, refused, err error) {
	if policy, _, e := unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, 0, 0, 0); e != 0 || policy != unix.SCHED_NORMAL {
		pid, err = start()
		return pid, nil, err
	}
	if refused = schedule(unix.RawSyscall, unix.SCHED_RR, 1); refused == nil {
		defer func() { _ = schedule(unix.RawSyscall, unix.SCHED_NORMAL, 0) }() // nobody is refused to have less
	}
	pid, err = start()
	return pid, refused, err
}

// Calm has this process, and the children that it makes from now on, scheduled like most (SCHED_OTHER), if it was started by
// Hurried. A program with cgo gets ENOTSUP then: end it.
func Calm() error {
	if policy, _, e := unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, 0, 0, 0); e != 0 || policy != unix.SCHED_RR {
		return nil
	}
	// The scheduler knows threads only. Go lets none begin meanwhile, so that none is overlooked.
	return schedule(syscall.AllThreadsSyscall, unix.SCHED_NORMAL, 0)
}

type syscall3 func(trap, a1, a2, a3 uintptr) (r1, r2 uintptr, err syscall.Errno)

func schedule(call syscall3, policy uintptr, priority int32) error {
	if _, _, e := call(unix.SYS_SCHED_SETSCHEDULER, 0, policy, uintptr(unsafe.Pointer(&priority))); e != 0 {
		return e
	}
	return nil
}
