//go:build amd64 || arm64

package process

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// queue sends a signal with a payload, as sigqueue(3) does.
func queue(pid int, n int) error {
	info := struct {
		signo, errno, code, _ int32
		_                     [112]byte
	}{signo: int32(n), code: -1} // SI_QUEUE
	if _, _, e := unix.RawSyscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(n), uintptr(unsafe.Pointer(&info))); e != 0 {
		return e
	}
	return nil
}

// Every signal that can be caught, sent in each of the ways there are, is noted and does nothing
// else; and a fault of the program itself is still the panic that it always was.
func TestEverySignalByEveryWay(t *testing.T) {
	for _, n := range []int{32, 34} { // as a parent that used posix_spawn(3) leaves it; an earlier test may have taken it
		var now action
		if sigaction(n, nil, &now) && now.handler == 0 {
			now.handler = 1 // SIG_IGN
			sigaction(n, &now, nil)
		}
	}
	s := AcceptSignals()
	ways := map[string]func(n int) error{
		"kill":     func(n int) error { return unix.Kill(os.Getpid(), syscall.Signal(n)) },
		"tgkill":   func(n int) error { return unix.Tgkill(os.Getpid(), os.Getpid(), syscall.Signal(n)) },
		"sigqueue": func(n int) error { return queue(os.Getpid(), n) },
	}
	for way, send := range ways {
		for n := 1; n <= SignalMax; n++ {
			if n == int(unix.SIGKILL) || n == int(unix.SIGSTOP) || n == 33 && way == "tgkill" {
				continue // 33 from a process to itself is a C library's own (setxid), and linked with cgo it trusts it
			}
			s.Take()
			if err := send(n); err != nil {
				t.Fatalf("%s of %d: %v", way, n, err)
			}
			if n == int(unix.SIGURG) || n == 33 || n == int(unix.SIGPROF) {
				continue // the runtime's own
			}
			for deadline := time.Now().Add(10 * time.Second); ; {
				if got := s.Take(); got&(1<<(n-1)) != 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("signal %d by %s did not come", n, way)
				}
				_, _ = unix.Poll([]unix.PollFd{{Fd: int32(s.WakeFD()), Events: unix.POLLIN}}, 100)
			}
		}
	}
	defer func() {
		if _, ok := recover().(runtime.Error); !ok {
			t.Error("a nil pointer is no panic of the runtime any more")
		}
	}()
	var nothing *int
	*nothing = 1
}
