package spawn

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"unsafe"

	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// settledEnv tells the program that it was executed again by Settle.
const settledEnv = "SYSMASTER_SETTLED"

// defaultLimits are systemd's for services: enough descriptors for whoever asks, and few for
// programs that use select(2).
func defaultLimits() []execspec.Limit {
	return []execspec.Limit{{Resource: execspec.LimitNOFILE, Soft: 1024, Hard: 512 << 10}}
}

// Settle makes this process one whose children have the resource limits of services (nil:
// NOFILE 1024:524288), so that they can be spawned directly. Go raises its own soft limit of
// descriptors at its start and gives children what it found; the only way to change that is
// to set it and start again, so Settle executes this program once more, with the same
// arguments, environment and inheritable descriptors. Call it first thing in main, before
// anything is opened. Where a hard limit may not be raised it stays.
//
// The process's own limit is then as high as the hard one. Raising it further by
// syscall.Setrlimit or unix.Setrlimit would undo what Settle did.
func Settle(limits []execspec.Limit) error {
	if os.Getenv(settledEnv) != "" {
		return os.Unsetenv(settledEnv)
	}
	if limits == nil {
		limits = defaultLimits()
	}
	for _, l := range limits {
		if err := setLimit(l); err != nil {
			return fmt.Errorf("cannot set limit %s: %w", l.Resource, err)
		}
	}
	// Not /proc/self/exe itself: the process would be called "exe".
	path, err := os.Readlink("/proc/self/exe")
	if err != nil || strings.HasSuffix(path, " (deleted)") {
		path = "/proc/self/exe"
	}
	return fmt.Errorf("cannot execute %s again: %w", path, syscall.Exec(path, os.Args, append(os.Environ(), settledEnv+"=1")))
}

func setLimit(l execspec.Limit) error {
	want := syscall.Rlimit{Cur: l.Soft, Max: l.Hard}
	err := syscall.Setrlimit(int(l.Resource), &want)
	if err != syscall.EPERM {
		return err
	}
	var now syscall.Rlimit
	if err := syscall.Getrlimit(int(l.Resource), &now); err != nil {
		return err
	}
	want = syscall.Rlimit{Cur: min(l.Soft, now.Max), Max: min(l.Hard, now.Max)}
	return syscall.Setrlimit(int(l.Resource), &want)
}

// settleSignals makes children find SIGPIPE ignored and nothing else (IgnoreSIGPIPE=yes). What
// this process ignores it discards from now on: the same for itself, but not inherited.
func settleSignals() {
	signal.Ignore(syscall.SIGPIPE)
	discard := make(chan os.Signal, 1) // never read: what does not fit is dropped
	for n := syscall.Signal(1); n <= 64; n++ {
		if n != syscall.SIGPIPE && signal.Ignored(n) {
			signal.Notify(discard, n)
		}
	}
	// glibc's posix_spawn leaves the two signals that it keeps for itself ignored in whoever it
	// starts (make does), and package signal does not handle them. What has a handler stays: 33 is
	// the runtime's own, for syscall.AllThreadsSyscall.
	var now, standard [4]uint64 // struct kernel_sigaction; one of zeros is SIG_DFL, and SIG_IGN is 1
	for _, n := range [...]uintptr{32, 33} {
		_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, n, 0, uintptr(unsafe.Pointer(&now)), 8, 0, 0)
		if e == 0 && now[0] == 1 {
			_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, n, uintptr(unsafe.Pointer(&standard)), 0, 8, 0, 0)
		}
	}
}
