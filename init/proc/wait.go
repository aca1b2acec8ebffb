package proc

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// si_code of SIGCHLD (sigaction(2)).
const (
	CLDExited = 1
	CLDKilled = 2
	CLDDumped = 3

	cldStopped = 5
)

// childInfo is siginfo_t as waitid(2) fills it.
type childInfo struct {
	signo, errno, code int32
	child              struct {
		_      [0]uintptr // the kernel's union is aligned like a pointer
		pid    int32
		uid    uint32
		status int32
	}
	_ [128 - 5*4 - 8]byte
}

// Peek looks at an exited child without reaping it: any (pid 0) or this one.
func Peek(pid int) (fdstore.Exit, bool) {
	which, id := unix.P_ALL, 0
	if pid != 0 {
		which, id = unix.P_PID, pid
	}
	for {
		var info childInfo
		err := unix.Waitid(which, id, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		c := info.child
		return fdstore.Exit{PID: int(c.pid), Code: info.code, Status: c.status}, err == nil && c.pid > 0
	}
}

// Stopped takes the news that this child was stopped by a signal or goes on, if there is any:
// the latest counts. Whoever is stopped while traced (ptrace(2)) is the tracer's concern.
func Stopped(pid int) (stopped, news bool) {
	for range 16 { // who stops and continues it faster than this has our next turn
		var info childInfo
		err := unix.Waitid(unix.P_PID, pid, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WSTOPPED|unix.WCONTINUED|unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || info.child.pid <= 0 {
			break
		}
		stopped, news = info.code == cldStopped, true
	}
	return stopped, news
}

// Bury reaps a child that Peek has found.
func Bury(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err != unix.EINTR {
			return
		}
	}
}

// Zombies counts the exited children that parent has not waited for. buf
// should have 1 KiB.
func Zombies(parent int, buf []byte) int {
	pids, err := PIDs()
	if err != nil {
		return 0 // no /proc, no count: nothing is lost by believing in none
	}
	n := 0
	for _, pid := range pids {
		if s, ok := ReadStat(pid, buf); ok && s.State == 'Z' && s.PPID == parent {
			n++
		}
	}
	return n
}
