//go:build amd64 || arm64

package process

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the signal handler in filter_*.s uses: it runs between any two instructions.
var (
	runtimeHandler uintptr // where real faults go
	sentBits       uint64  // signals that somebody sent
	sentWake       int32   // eventfd to ring, or -1
	sentOne        uint64  // what is written there
)

// filterAddress gives the address of the handler, which has C's calling convention.
func filterAddress() uintptr

// action is the kernel's struct sigaction (rt_sigaction(2)) of both architectures.
type action struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

func sigaction(n int, set, old *action) bool {
	_, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	return e == 0
}

// filterSent puts a handler before the Go runtime's for the signals that the runtime takes for
// faults of the program, and where it has none. The handler goes by si_code: what the kernel
// raised (above 0) is the runtime's, what somebody sent is only noted.
func filterSent(wake int) {
	atomic.StoreInt32(&sentWake, int32(wake))
	atomic.StoreUint64(&sentOne, 1)
	own := filterAddress()
	var fault action
	if !sigaction(int(unix.SIGSEGV), nil, &fault) || fault.handler <= 1 || fault.handler == own {
		return // no handler of the runtime's, or it is done already
	}
	atomic.StoreUintptr(&runtimeHandler, fault.handler)
	set := fault
	set.handler = own
	for _, n := range [...]int{4, 5, 7, 8, 11, 16, 31} { // ILL TRAP BUS FPE SEGV STKFLT SYS
		var now action
		if sigaction(n, nil, &now) && now.handler == fault.handler {
			sigaction(n, &set, nil)
		}
	}
	for _, n := range [...]int{32, 34} {
		var now action
		// A C library may have taken it. Ignored (1) it is by inheritance from one: glibc's
		// posix_spawn(3) gives 32 and 33 so to every child, GNU make's among them.
		if sigaction(n, nil, &now) && now.handler <= 1 {
			sigaction(n, &set, nil)
		}
	}
}

func takeSent() uint64 { return atomic.SwapUint64(&sentBits, 0) }
