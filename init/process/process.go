package process

import (
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Console writes to a descriptor without ever waiting for it: a serial line
// that is held (XOFF) or a full pipe loses the message.
type Console int

// Write implements io.Writer.
func (c Console) Write(p []byte) (int, error) {
	fds := [1]unix.PollFd{{Fd: int32(c), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds[:], 0)
	if err != nil {
		return 0, err
	}
	if n == 0 || fds[0].Revents&unix.POLLOUT == 0 {
		return 0, unix.EAGAIN
	}
	return unix.Write(int(c), p)
}

// OpenConsole makes descriptors 0 to 2 usable: on a machine they become the
// console, elsewhere what is closed becomes /dev/null. The console is not made
// our controlling terminal: ^C on it is not for us.
func OpenConsole(machine bool) error {
	path := "/dev/null"
	if machine {
		path = "/dev/console"
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil && machine { // a machine without a console: the messages go nowhere, the boot goes on
		fd, err = unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return err
	}
	for n := range 3 {
		if _, closed := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); machine || closed != nil {
			if fd == n {
				_, err = unix.FcntlInt(uintptr(n), unix.F_SETFD, 0)
			} else {
				err = unix.Dup3(fd, n, 0)
			}
			if err != nil {
				return err
			}
		}
	}
	if fd > 2 {
		_ = unix.Close(fd)
	}
	return nil
}

// RaiseNOFILE makes room for n descriptors in this process. By the raw call,
// so that the syscall package still gives children what we were started with.
func RaiseNOFILE(n uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur >= n {
		return nil
	}
	limit.Cur, limit.Max = n, max(limit.Max, n)
	return setNOFILE(&limit)
}

// Park creates threads now and leaves them to the runtime to reuse: when the
// machine has no process numbers left, a Go program that needs another thread
// dies. Each goroutine blocks in a system call of its own until all are there.
func Park(n int) {
	var pipe [2]int
	if unix.Pipe2(pipe[:], unix.O_CLOEXEC) != nil {
		return
	}
	var done sync.WaitGroup
	for range n {
		done.Go(func() {
			var b [1]byte
			_, _ = unix.Read(pipe[0], b[:])
		})
	}
	for range n { // with one P, each yield lets one of them run into its read
		runtime.Gosched()
	}
	_ = unix.Close(pipe[1]) // end of file for all
	done.Wait()
	_ = unix.Close(pipe[0])
}

func setNOFILE(limit *unix.Rlimit) error {
	_, _, e := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(limit)), 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
