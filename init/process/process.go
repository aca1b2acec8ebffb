package process

import (
	"runtime"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Console writes to a descriptor without ever waiting for it: a serial line
// that is held (XOFF) or a full pipe loses the message.
type Console int

// consolePiece is what every terminal and pipe that is ready takes at once.
const consolePiece = 256

// Write implements io.Writer.
func (c Console) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		fds := [1]unix.PollFd{{Fd: int32(c), Events: unix.POLLOUT}}
		n, err := unix.Poll(fds[:], 0)
		if err != nil {
			return done, err
		}
		if n == 0 || fds[0].Revents&unix.POLLOUT == 0 {
			return done, unix.EAGAIN
		}
		n, err = unix.Write(int(c), p[done:min(len(p), done+consolePiece)])
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// Own opens what c leads to anew, so that a write does not wait even if
// somebody holds the terminal between our look and it, and without changing how the
// others with this descriptor write. It gives c itself where that is not possible.
func (c Console) Own() Console {
	var st unix.Stat_t
	if unix.Fstat(int(c), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR && st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return c // a file never makes us wait, and has one place where all append
	}
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(int(c)), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return c
	}
	return Console(fd)
}

// OpenConsole makes descriptors 0 to 2 usable: on a machine they become the
// console, elsewhere what is closed becomes /dev/null. The console is not made
// our controlling terminal: ^C on it is not for us.
func OpenConsole(machine bool) error {
	path := "/dev/null"
	if machine {
		path = "/dev/console"
	}
	// Not to wait for the carrier of a serial line; only for the opening.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err == unix.ENOENT && !machine { // no /dev/null: where we may, we make it
		if err = unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err == nil {
			fd, err = unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		}
	}
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

// RaiseNOFILE makes room for n descriptors in this process, as far as it may, and
// gives what there is room for now. By the raw call, so that the syscall package
// still gives children what we were started with.
func RaiseNOFILE(n uint64) (have uint64, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Cur >= n {
		return limit.Cur, nil
	}
	most := unix.Rlimit{Cur: n, Max: max(limit.Max, n)}
	if err = setNOFILE(&most); err != nil { // without the right to raise the hard limit
		most = unix.Rlimit{Cur: min(n, limit.Max), Max: limit.Max}
		if setNOFILE(&most) != nil {
			most = limit
		}
	}
	return most.Cur, err
}

// Park creates threads now and leaves them to the runtime to reuse: when the
// machine has no process numbers left, a Go program that needs another thread
// dies. Each goroutine blocks in a system call of its own until all are there.
// For the same reason it lets the runtime open its epoll descriptors now: it does so at
// the first timer, which may be the garbage collector's, and dies when none are left.
func Park(n int) {
	time.Sleep(time.Nanosecond)
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
