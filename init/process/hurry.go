package process

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/proc"
)

// noPriority is the struct sched_param of SCHED_OTHER.
var noPriority int32

var errNoLimit = errors.New("sched_rt_runtime_us lets real-time processes have all processors")

// Hurried runs start, which makes a child, so that the child and all its threads run before whatever has no real-time priority
// (sched(7): SCHED_RR, priority 1) until it calls Calm. Where that is refused (without CAP_SYS_NICE; in a control group without a
// real-time budget), or would let a child that hangs stop everything else, the child is made all the same, and refused says why. A process that is not scheduled like most
// (SCHED_OTHER) gives its children what it has itself. The goroutine must be locked to its thread.
func Hurried(start func() (int, error)) (pid int, refused, err error) {
	if policy, _, e := unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, 0, 0, 0); e != 0 || policy != unix.SCHED_NORMAL {
		pid, err = start()
		return pid, nil, err
	}
	if b, e := proc.Read("/proc/sys/kernel/sched_rt_runtime_us", make([]byte, 32)); e == nil && strings.HasPrefix(string(b), "-") {
		pid, err = start()
		return pid, errNoLimit, err
	}
	priority := int32(1)
	if _, _, e := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_RR, uintptr(unsafe.Pointer(&priority))); e != 0 {
		pid, err = start()
		return pid, e, err
	}
	defer calm(0) // nobody is refused to have less
	pid, err = start()
	return pid, nil, err
}

// calm has one thread, 0 is the calling one, scheduled like most.
func calm(tid int) {
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, uintptr(tid), unix.SCHED_NORMAL, uintptr(unsafe.Pointer(&noPriority)))
}

// Calm has this process, and the children that it makes from now on, scheduled like most (SCHED_OTHER), if it was started by
// Hurried. A program with cgo gets ENOTSUP then: end it.
func Calm() error {
	if !hurries(0) {
		return nil
	}
	// The scheduler knows threads only. Go lets none begin meanwhile, so that none is overlooked.
	_, _, e := syscall.AllThreadsSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_NORMAL, uintptr(unsafe.Pointer(&noPriority)))
	if e != 0 {
		return e
	}
	return nil
}

func hurries(tid int) bool {
	policy, _, e := unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, uintptr(tid), 0, 0)
	return e == 0 && policy == unix.SCHED_RR
}

// CalmChild does it to a child that was to call Calm by now, and reports whether it had not: a program that does not know of it.
// A thread that begins meanwhile may be overlooked.
func CalmChild(pid int) (was bool) {
	for range 2 { // the second time for threads that the first one's had just made
		threads, err := proc.List(proc.Path(pid, "task"))
		if err != nil {
			return was
		}
		for _, t := range threads {
			if tid, err := strconv.Atoi(t); err == nil && hurries(tid) {
				calm(tid)
				was = true
			}
		}
		if !was {
			break
		}
	}
	return was
}
