package pid1

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

const (
	signalMax = 64
	rtmin     = 34 // SIGRTMIN as C libraries, and so systemd(1), count it
)

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
// sigqueue(3), which the runtime cannot tell from a real fault.
func AcceptSignals() *Signals {
	s := &Signals{wake: -1}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		s.wake = wake
	}
	ch := make(chan os.Signal, 4*signalMax) // the kernel and the runtime coalesce: it cannot fill between two reads
	adoptRuntimeSignals()
	for n := syscall.Signal(1); n <= signalMax; n++ {
		// SIGURG is how the runtime preempts its own goroutines.
		if n != syscall.SIGKILL && n != syscall.SIGSTOP && n != syscall.SIGURG {
			signal.Notify(ch, n)
		}
	}
	go func() {
		for sig := range ch {
			if n, ok := sig.(syscall.Signal); ok && n >= 1 && n <= signalMax {
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

// take gives the signals since the last call, as bits, and re-arms the eventfd
// first, so that none falls between.
func (s *Signals) take() uint64 {
	var b [8]byte
	if s.wake >= 0 {
		_, _ = unix.Read(s.wake, b[:]) // EAGAIN: nothing came
	}
	return s.bits.Swap(0)
}

// adoptRuntimeSignals lets signals 32, 33 and 34 in. The Go runtime installs no
// handler for them, because C libraries use them internally; but 34 is systemd's
// request for default.target, and for a keeper that is not PID 1 each would be
// fatal. The handler is the runtime's own, copied as the kernel has it for
// signal 35, so that os/signal sees these like any other.
func adoptRuntimeSignals() {
	var action [128]byte // struct kernel_sigaction, larger than on any architecture
	const setSize = 8
	_, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, 35, 0, uintptr(unsafe.Pointer(&action)), setSize, 0, 0)
	if e != 0 {
		return
	}
	for n := uintptr(32); n <= 34; n++ {
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, n, uintptr(unsafe.Pointer(&action)), 0, setSize, 0, 0)
	}
}

// request is what a signal asks PID 1 for (systemd(1), SIGNALS).
type request struct {
	forward bool         // the core's business
	verb    fdstore.Verb // what init does itself: at once, or if the core does not take it
}

// requestOf is the table of systemd(1). A keeper has no machine: there the
// signals that end programs end it.
func requestOf(n int, keeper bool) request {
	if keeper && (n == int(unix.SIGTERM) || n == int(unix.SIGINT)) {
		return request{true, fdstore.VerbExit}
	}
	switch n {
	case int(unix.SIGINT): // ctrl-alt-del.target
		return request{true, fdstore.VerbReboot}
	case int(unix.SIGTERM), int(unix.SIGHUP), int(unix.SIGPWR), int(unix.SIGWINCH), int(unix.SIGUSR1), int(unix.SIGUSR2):
		return request{forward: true}
	case rtmin + 3:
		return request{true, fdstore.VerbHalt}
	case rtmin + 4:
		return request{true, fdstore.VerbPoweroff}
	case rtmin + 5:
		return request{true, fdstore.VerbReboot}
	case rtmin + 6:
		return request{true, fdstore.VerbKexec}
	case rtmin + 13:
		return request{verb: fdstore.VerbHalt}
	case rtmin + 14:
		return request{verb: fdstore.VerbPoweroff}
	case rtmin + 15:
		return request{verb: fdstore.VerbReboot}
	case rtmin + 16:
		return request{verb: fdstore.VerbKexec}
	case rtmin + 24: // only a user's manager exits so
		if keeper {
			return request{verb: fdstore.VerbExit}
		}
	}
	// default, rescue, emergency, soft-reboot; status output, log levels and targets, re-execution.
	return request{forward: n >= rtmin && n <= rtmin+29}
}
