package spawn

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

const bigEndian = false // none of the ports that the shim supports is

// inherited is what a directly spawned child takes over from this process.
type inherited struct {
	sigIgnored     uint64 // bit n-1: signal n
	oomScoreAdjust int
	nice           int
	policy         int
	noFile         *syscall.Rlimit // nil: could not be found out
	mayRaise       bool            // hard limits can be raised (CAP_SYS_RESOURCE)
}

// observe looks at what children inherit. The soft NOFILE limit cannot be read: Go raises
// its own and gives children the former one, so a child that is stopped at its exec tells.
func observe(executable string) (inherited, error) {
	var in inherited
	var caps uint64
	b, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return in, fmt.Errorf("cannot read own state: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), ":")
		v = strings.TrimSpace(v)
		var field *uint64
		switch k {
		case "SigIgn":
			field = &in.sigIgnored
		case "CapEff":
			field = &caps
		default:
			continue
		}
		if *field, err = strconv.ParseUint(v, 16, 64); err != nil {
			return in, fmt.Errorf("cannot read own state: %w", err)
		}
	}
	in.mayRaise = caps>>unix.CAP_SYS_RESOURCE&1 != 0
	b, err = os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return in, fmt.Errorf("cannot read own OOM score: %w", err)
	}
	if in.oomScoreAdjust, err = strconv.Atoi(strings.TrimSpace(string(b))); err != nil {
		return in, fmt.Errorf("cannot read own OOM score: %w", err)
	}
	in.noFile = probeNoFile(executable)
	return in, nil
}

// schedule looks at how this process is scheduled, and says why a direct child would not be as systemd promises.
func (in *inherited) schedule() []string {
	prio, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return []string{"cannot read own nice level: " + err.Error()}
	}
	in.nice = 20 - prio // the raw system call's range is 40..1
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return []string{"cannot read own scheduling policy: " + err.Error()}
	}
	in.policy = int(attr.Policy)
	if in.nice != 0 || in.policy != 0 {
		return []string{fmt.Sprintf("nice level %d, scheduling policy %d", in.nice, in.policy)}
	}
	return nil
}

// probeNoFile starts executable, stopped before its first instruction, reads its limit and
// kills it; nil where tracing is not permitted.
func probeNoFile(executable string) *syscall.Rlimit {
	// The tracer is a thread: start, wait and kill must be on the same one.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, err := syscall.ForkExec(executable, []string{executable}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
	if err != nil {
		return nil
	}
	var ws syscall.WaitStatus
	if !await(pid, &ws) || !ws.Stopped() {
		return nil
	}
	var lim unix.Rlimit
	err = unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &lim)
	if unix.Kill(pid, unix.SIGKILL) == nil {
		await(pid, &ws)
	}
	if err != nil {
		return nil
	}
	return &syscall.Rlimit{Cur: lim.Cur, Max: lim.Max}
}

func await(pid int, ws *syscall.WaitStatus) bool {
	for {
		got, err := syscall.Wait4(pid, ws, syscall.WALL, nil)
		if err != syscall.EINTR {
			return err == nil && got == pid
		}
	}
}

// faults says why a direct child would not find what systemd promises; empty: it would.
func (in *inherited) faults(limits []execspec.Limit) []string {
	var why []string
	if in.sigIgnored != 1<<(uint(unix.SIGPIPE)-1) {
		why = append(why, fmt.Sprintf("ignored signals are %#x, not SIGPIPE alone", in.sigIgnored))
	}
	for _, l := range limits {
		have, ok := in.limit(l.Resource)
		if !in.mayRaise { // the shim cannot either
			l.Hard = min(l.Hard, have.Max)
			l.Soft = min(l.Soft, l.Hard)
		}
		if !ok || have.Cur != l.Soft || have.Max != l.Hard {
			why = append(why, fmt.Sprintf("limit %s is %d:%d, not %d:%d", l.Resource, have.Cur, have.Max, l.Soft, l.Hard))
		}
	}
	return why
}

func (in *inherited) limit(r execspec.Resource) (syscall.Rlimit, bool) {
	if r == execspec.LimitNOFILE {
		if in.noFile == nil {
			return syscall.Rlimit{}, false
		}
		return *in.noFile, true
	}
	var l syscall.Rlimit
	err := syscall.Getrlimit(int(r), &l)
	return l, err == nil
}

// nativeLittle is used by a test to keep bigEndian honest.
func nativeLittle() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }
