package process

import (
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SignalMax is the highest signal number (_NSIG less one).
const SignalMax = 64

// Signals collects the process's signals: at most one of each kind waits, as
// in the kernel.
type Signals struct {
	bits    atomic.Uint64
	wake    int // eventfd, readable when a signal has come
	ch      chan os.Signal
	flushed chan struct{}
	wanted  []os.Signal
	sealed  bool        // all threads began with every signal blocked, so that only os/signal's takes any
	limit   unix.Rlimit // of queued signals, that we found; Cur 0: not bounded
}

// queueMax bounds how many real-time signals the kernel queues for this process. To take one from
// the queue it walks over those that wait: with the 100,000 that it allows by default PID 1 is deaf for
// minutes, and in the kernel. Beyond the bound it keeps one of a kind, which is all that Take
// tells; only sigqueue(3) of one more is refused then, kill(2) is not.
const queueMax = 1024

// bound keeps the kernel's queue short, also while this process executes itself: signals wait then, and a
// queue of ten thousands would keep the next program from its first instruction. One that finds our limit
// takes it that there was none below the hard one.
func (s *Signals) bound() {
	var found unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_SIGPENDING, &found) != nil || found.Cur < queueMax {
		return
	}
	if found.Cur == queueMax {
		s.limit = unix.Rlimit{Cur: found.Max, Max: found.Max}
		return
	}
	if unix.Setrlimit(unix.RLIMIT_SIGPENDING, &unix.Rlimit{Cur: queueMax, Max: found.Max}) == nil {
		s.limit = found
	}
}

// unbound takes bound back.
func (s *Signals) unbound() {
	if s.limit.Cur > 0 {
		_ = unix.Setrlimit(unix.RLIMIT_SIGPENDING, &s.limit) // up to what it was is always allowed
		s.limit = unix.Rlimit{}
	}
}

// Child runs f, which makes a child, with the limit of queued signals that there was, so that the child gets
// that.
func (s *Signals) Child(f func() (pid int, err error)) (pid int, err error) {
	s.unbound()
	defer s.bound()
	return f()
}

// AcceptSignals takes over every signal that can be caught. Call it first
// thing in main, once; it keeps the calling goroutine on its thread, from which
// alone children may be made. Until then SIGTERM and a few more end a Go
// program, and with PID 1 the machine: see doc.go for the window and how it is closed.
//
// os/signal is used rather than signalfd(2), which needs signals to be blocked
// in every thread, and Go's threads belong to its runtime. It cannot give two
// kinds: SEGV, BUS, FPE, ILL, TRAP, SYS and STKFLT, which the runtime takes for
// faults and ends the program, if they come by sigqueue(3); and 32 and 34, which
// it leaves to C libraries, so that SIGRTMIN+0 (default.target) would never be seen and
// would end a keeper. For these a handler of our own stands before the runtime's
// (amd64 and arm64): see filterSent. 33 is the runtime's, which ignores what
// others send.
func AcceptSignals() *Signals {
	runtime.LockOSThread()
	inherited := threadMask(unix.SIG_SETMASK, nil)
	s := &Signals{wake: -1, flushed: make(chan struct{})}
	// Whether all were blocked, and the runtime left those so that it otherwise opens.
	s.sealed = inherited&bit(unix.SIGUSR1) != 0 && inherited&bit(unix.SIGTERM) != 0 && inherited&bit(unix.SIGSEGV) != 0
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		s.wake = wake
	}
	s.ch = make(chan os.Signal, 4*SignalMax) // the kernel and the runtime coalesce: it cannot fill between two reads
	for n := syscall.Signal(1); n <= SignalMax; n++ {
		// SIGURG is how the runtime preempts its own goroutines.
		if n != syscall.SIGKILL && n != syscall.SIGSTOP && n != syscall.SIGURG {
			s.wanted = append(s.wanted, n)
		}
	}
	signal.Notify(s.ch, s.wanted...)
	go s.collect()
	filterSent(s.wake)
	s.bound()
	threadMask(unix.SIG_SETMASK, new(uint64))
	return s
}

func (s *Signals) collect() {
	for sig := range s.ch {
		n, ok := sig.(syscall.Signal)
		switch {
		case !ok: // Hold's mark
			s.flushed <- struct{}{}
		case n >= 1 && n <= SignalMax:
			s.bits.Or(bit(n))
			s.ring()
		}
	}
}

func bit(n syscall.Signal) uint64 { return 1 << (n - 1) }

// Sealed reports whether no signal could end this program while its runtime started, and none
// can when it executes itself again. False: it was built without overlay.sh, or was not
// executed by Settle or Hold.
func (s *Signals) Sealed() bool { return s.sealed }

// Hold lets signals wait in the kernel from now on, also across an execve(2) by this thread, for
// the next AcceptSignals or for Release. Those that came before are given by Take. If not Sealed,
// one that comes between Hold and the execve(2) may be lost.
func (s *Signals) Hold() {
	all := ^uint64(0)
	threadMask(unix.SIG_SETMASK, &all)
	if s.sealed { // else one that no longer is wanted would be fatal
		signal.Stop(s.ch) // which waits for those on their way
	}
	s.ch <- nil
	<-s.flushed
}

// Release ends Hold.
func (s *Signals) Release() {
	signal.Notify(s.ch, s.wanted...)
	threadMask(unix.SIG_SETMASK, new(uint64))
}

// again sends what Hold found to this thread, where it waits across execve(2).
func (s *Signals) again() {
	set := s.Take()
	for n := syscall.Signal(1); n <= SignalMax; n++ {
		if set&bit(n) != 0 && n != unix.SIGCHLD {
			_ = unix.Tgkill(unix.Getpid(), unix.Gettid(), n) // it was ours to lose already
		}
	}
}

// threadMask is rt_sigprocmask(2) of the calling thread; it gives the mask before.
func threadMask(how int, set *uint64) (before uint64) {
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, uintptr(how), uintptr(unsafe.Pointer(set)),
		uintptr(unsafe.Pointer(&before)), SignalMax/8, 0, 0)
	return before
}

// ring wakes the loop. A full eventfd is as good as a written one.
func (s *Signals) ring() {
	if s.wake >= 0 {
		_, _ = unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// Take gives the signals since the last call, as bits, and re-arms the eventfd
// first, so that none falls between.
func (s *Signals) Take() uint64 {
	var b [8]byte
	if s.wake >= 0 {
		_, _ = unix.Read(s.wake, b[:]) // EAGAIN: nothing came
	}
	return s.bits.Swap(0) | takeSent()
}

// WakeFD is readable after a signal came; -1 if the kernel had none to give.
func (s *Signals) WakeFD() int { return s.wake }
