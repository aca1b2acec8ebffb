package shim

import (
	"runtime"
	"syscall"
	"unsafe"
)

// Run is the whole of the shim's main: it becomes the planned program, or ends the process
// with systemd's exit status after reporting why.
func Run() {
	// Credentials, scheduling and the signal mask belong to a thread; the one that calls
	// execve is the one that stays.
	runtime.LockOSThread()
	p, e := readPlan()
	if e != 0 {
		const text = "sysmaster-exec: no plan on descriptor 3: this program is started by sysmaster\n"
		write(2, []byte(text))
		write(StatusFD, (&Report{ExitExec, "shim", "cannot read the plan: " + e.Error()}).encode())
		exit(ExitExec)
	}
	r := &runner{Plan: p, status: StatusFD}
	r.joinCgroup()
	r.openStdio()
	r.schedule()
	r.passFDs()
	r.limit()
	r.credentials()
	r.lastSteps()
	r.exec()
}

type runner struct {
	*Plan
	status int // the status pipe, which moves out of the way
}

func exit(code int) {
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(code), 0, 0)
	}
}

// fail reports and ends the process.
func (r *runner) fail(status int, step, object string, e syscall.Errno) {
	msg := e.Error()
	if object != "" {
		msg = object + ": " + msg
	}
	write(r.status, (&Report{status, step, msg}).encode())
	exit(status)
}

// must fails unless e is 0.
func (r *runner) must(e syscall.Errno, status int, step, object string) {
	if e != 0 {
		r.fail(status, step, object, e)
	}
}

// readPlan reads descriptor 3 from its start; ErrPlan becomes EPROTO.
func readPlan() (*Plan, syscall.Errno) {
	var st syscall.Stat_t
	if err := syscall.Fstat(PlanFD, &st); err != nil {
		return nil, err.(syscall.Errno)
	}
	if st.Size <= 0 || st.Size > MaxPlan {
		return nil, syscall.EPROTO
	}
	buf := make([]byte, st.Size)
	for n := 0; n < len(buf); {
		got, _, e := syscall.RawSyscall6(syscall.SYS_PREAD64, PlanFD, uintptr(unsafe.Pointer(&buf[n])), uintptr(len(buf)-n), uintptr(n), 0, 0)
		switch {
		case e == syscall.EINTR:
		case e != 0:
			return nil, e
		case got == 0:
			return nil, syscall.EPROTO
		default:
			n += int(got)
		}
	}
	p, err := Decode(buf)
	if err != nil {
		return nil, syscall.EPROTO
	}
	return p, 0
}

func (r *runner) joinCgroup() {
	if r.Join {
		r.must(writeFile(FirstFD, "cgroup.procs", "0"), ExitCgroup, "ControlGroup", "cgroup.procs")
	}
}

// schedule sets what concerns memory and processor shares; lowering needs privileges, so it
// comes before the change of user.
func (r *runner) schedule() {
	if r.OOMScoreAdjust.Set {
		e := writeFile(atFDCWD, "/proc/self/oom_score_adj", decimal(r.OOMScoreAdjust.N))
		// A container may not lower it; systemd goes on, too.
		if e != syscall.EPERM && e != syscall.EACCES {
			r.must(e, ExitOOMAdjust, "OOMScoreAdjust", "/proc/self/oom_score_adj")
		}
	}
	if r.CoredumpFilter.Set {
		e := writeFile(atFDCWD, "/proc/self/coredump_filter", "0x"+hexadecimal(uint64(r.CoredumpFilter.N)))
		r.must(e, ExitLimits, "CoredumpFilter", "/proc/self/coredump_filter")
	}
	if r.Nice.Set {
		r.must(errnoOf(call(syscall.SYS_SETPRIORITY, 0, 0, uintptr(r.Nice.N))), ExitNice, "Nice", decimal(r.Nice.N))
	}
	if r.Sched.Set {
		policy := r.Sched.Policy
		if r.Sched.ResetOnFork {
			policy |= resetOnFork
		}
		param := int32(r.Sched.Priority)
		_, _, e := syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, 0, uintptr(policy), uintptr(unsafe.Pointer(&param)))
		r.must(e, ExitSetScheduler, "CPUSchedulingPolicy", "")
	}
	if len(r.Affinity) > 0 {
		_, _, e := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, uintptr(len(r.Affinity)), uintptr(unsafe.Pointer(&r.Affinity[0])))
		r.must(e, ExitCPUAffinity, "CPUAffinity", "")
	}
	if r.IOPriority.Set {
		const process = 1
		r.must(errnoOf(call(syscall.SYS_IOPRIO_SET, process, 0, uintptr(r.IOPriority.N))), ExitIOPrio, "IOSchedulingClass", "")
	}
	if r.TimerSlack.Set {
		r.must(errnoOf(call(syscall.SYS_PRCTL, prTimerSlack, uintptr(r.TimerSlack.N))), ExitTimerSlack, "TimerSlackNSec", "")
	}
}

// passFDs moves what is passed on to 3 and following, and closes everything else but the
// status pipe, which closes itself on exec.
func (r *runner) passFDs() {
	first := FirstFD
	if r.Join {
		first++
	}
	status, e := call(syscall.SYS_FCNTL, uintptr(r.status), fDupfdCloexec, uintptr(first+r.FDs))
	r.must(e, ExitFDs, "status", "")
	r.status = int(status)
	for i := range r.FDs {
		// Upwards: a target lies below all sources that are still needed.
		r.must(dup(first+i, 3+i), ExitFDs, "FileDescriptors", decimal(int64(first+i)))
		r.must(r.setNonBlock(3+i), ExitFDs, "NonBlocking", decimal(int64(3+i)))
	}
	closeRange(3+r.FDs, r.status-1)
	closeRange(r.status+1, 1<<31-1)
}

func (r *runner) setNonBlock(fd int) syscall.Errno {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return err.(syscall.Errno)
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFSOCK {
		return 0
	}
	old, e := call(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL)
	if e != 0 {
		return e
	}
	flags := old &^ syscall.O_NONBLOCK
	if r.NonBlock {
		flags |= syscall.O_NONBLOCK
	}
	if flags == old {
		return 0
	}
	return errnoOf(call(syscall.SYS_FCNTL, uintptr(fd), syscall.F_SETFL, flags))
}

func closeRange(from, to int) {
	if from > to {
		return
	}
	if errnoOf(call(sysCloseRange, uintptr(from), uintptr(to), 0)) == 0 {
		return
	}
	// Before Linux 5.9. Nothing is open that high: the parent passed all by number.
	for fd := from; fd <= min(to, 1<<16); fd++ {
		closeFD(fd)
	}
}

// limit sets the resource limits as near to the wish as the hard limits permit.
func (r *runner) limit() {
	for i := range r.Limits {
		l := &r.Limits[i]
		r.must(setLimit(l), ExitLimits, l.Name, "")
	}
}

func setLimit(l *Limit) syscall.Errno {
	prlimit := func(set, get *[2]uint64) syscall.Errno {
		_, _, e := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, uintptr(l.Resource), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(get)), 0, 0)
		return e
	}
	e := prlimit(&[2]uint64{l.Soft, l.Hard}, nil)
	if e != syscall.EPERM {
		return e
	}
	var now [2]uint64
	if e := prlimit(nil, &now); e != 0 {
		return e
	}
	return prlimit(&[2]uint64{min(l.Soft, now[1]), min(l.Hard, now[1])}, nil)
}

// lastSteps are done with the program's own rights.
func (r *runner) lastSteps() {
	dir := r.Dir
	if dir == "" {
		dir = "/"
	}
	e := callPath(syscall.SYS_CHDIR, dir)
	if e != 0 && r.DirOptional {
		dir = "/"
		e = callPath(syscall.SYS_CHDIR, dir)
	}
	r.must(e, ExitChdir, "WorkingDirectory", dir)
	if r.NoNewPrivs {
		r.must(errnoOf(call(syscall.SYS_PRCTL, prNoNewPrivs, 1)), ExitNoNewPrivs, "NoNewPrivileges", "")
	}
}

// exec becomes the program. Signals come last: until here the runtime's handlers and the
// parent's mask protect the set-up.
func (r *runner) exec() {
	argv := pointers(r.Argv)
	pid, _ := call(syscall.SYS_GETPID)
	for _, name := range r.PIDEnv {
		r.Env = append(r.Env, name+"="+decimal(int64(pid)))
	}
	envp := pointers(r.Env)
	candidates := []string{r.Path}
	if !hasSlash(r.Path) {
		candidates = candidates[:0]
		for _, dir := range r.Search {
			candidates = append(candidates, dir+"/"+r.Path)
		}
	}
	r.resetSignals()
	write(r.status, []byte{ready})
	fault := syscall.ENOENT
	for _, path := range candidates {
		p := cstr(path)
		_, _, e := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])))
		if e == syscall.EACCES || (e != syscall.ENOENT && e != syscall.ENOTDIR && fault == syscall.ENOENT) {
			fault = e
		}
		if e != syscall.ENOENT && e != syscall.ENOTDIR && e != syscall.EACCES {
			break
		}
	}
	r.fail(ExitExec, "execve", r.Path, fault)
}

func hasSlash(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '/' {
			return true
		}
	}
	return false
}

func pointers(list []string) []*byte {
	p := make([]*byte, len(list)+1)
	for i, s := range list {
		p[i] = cstr(s)
	}
	return p
}

// resetSignals gives all signals their default, SIGPIPE as asked, and unblocks all. Handlers
// vanish on exec by themselves; what was ignored by an ancestor would stay so.
func (r *runner) resetSignals() {
	const setMask, maskSize, sigIgn = 2, 8, 1
	var act, old [8]uintptr // struct sigaction of the kernel; the handler is its first word
	for sig := uintptr(1); sig <= sigMax; sig++ {
		if sig == uintptr(syscall.SIGKILL) || sig == uintptr(syscall.SIGSTOP) {
			continue
		}
		_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, sig, 0, uintptr(unsafe.Pointer(&old)), maskSize, 0, 0)
		if e == 0 && old[0] == sigIgn {
			_, _, e = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&act)), 0, maskSize, 0, 0)
		}
		r.must(e, ExitSignalMask, "signals", decimal(int64(sig)))
	}
	if !r.KeepSIGPIPE {
		act[0] = sigIgn
		_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGPIPE), uintptr(unsafe.Pointer(&act)), 0, maskSize, 0, 0)
		r.must(e, ExitSignalMask, "IgnoreSIGPIPE", "")
	}
	var none uint64
	_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, setMask, uintptr(unsafe.Pointer(&none)), 0, maskSize, 0, 0)
	r.must(e, ExitSignalMask, "signals", "mask")
}
