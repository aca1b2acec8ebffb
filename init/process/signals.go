package process

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// SignalMax is the highest signal number (_NSIG less one).
const SignalMax = 64

// Signals collects the process's signals: at most one of each kind waits, as
// in the kernel.
type Signals struct {
	bits atomic.Uint64
	wake int // eventfd, readable when a signal has come
}

// AcceptSignals takes over every signal that can be caught. Call it first
// thing in main: until then SIGTERM and a few more end a Go program, and with
// PID 1 the machine. (That window is the Go runtime's own start, about a
// millisecond; at boot nobody is there to send a signal.)
//
// os/signal is used rather than signalfd(2), which needs signals to be blocked
// in every thread, and Go's threads belong to its runtime. What remains
// fatal is a synchronous signal (SEGV, BUS, FPE, ILL, TRAP) queued by root with
// sigqueue(3), which the runtime cannot tell from a real fault. Signals 32 and 34
// are the runtime's blind spot, kept free for C libraries: PID 1 never sees
// them, so SIGRTMIN+0 (default.target) has no effect; a keeper dies of them.
func AcceptSignals() *Signals {
	s := &Signals{wake: -1}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		s.wake = wake
	}
	ch := make(chan os.Signal, 4*SignalMax) // the kernel and the runtime coalesce: it cannot fill between two reads
	for n := syscall.Signal(1); n <= SignalMax; n++ {
		// SIGURG is how the runtime preempts its own goroutines.
		if n != syscall.SIGKILL && n != syscall.SIGSTOP && n != syscall.SIGURG {
			signal.Notify(ch, n)
		}
	}
	go func() {
		for sig := range ch {
			if n, ok := sig.(syscall.Signal); ok && n >= 1 && n <= SignalMax {
				s.bits.Or(1 << (n - 1))
				s.ring()
			}
		}
	}()
	return s
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
	return s.bits.Swap(0)
}

// WakeFD is readable after a signal came; -1 if the kernel had none to give.
func (s *Signals) WakeFD() int { return s.wake }
