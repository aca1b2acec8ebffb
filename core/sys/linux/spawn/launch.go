package spawn

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys/shim"
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// launch is one process about to be started.
type launch struct {
	s         *Spawner
	req       *Request
	id        *identity
	st        *streams
	env, argv []string
}

func (l *launch) attr(pidfd *int, into bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, PidFD: pidfd}
	if into && l.req.Cgroup > 0 {
		a.UseCgroupFD, a.CgroupFD = true, l.req.Cgroup
	}
	return a
}

// direct spawns without the shim. ok is false if there is no process.
func (l *launch) direct(file string, private bool) (p Process, ok bool) {
	pidfd := -1
	attr := l.attr(&pidfd, true)
	if l.id.set {
		attr.Credential = &syscall.Credential{Uid: l.id.uid, Gid: l.id.gid, Groups: l.id.groups}
	}
	fds := l.st.fds
	run := func() (int, error) {
		return syscall.ForkExec(file, l.argv, &syscall.ProcAttr{
			Dir: "/", Env: l.env, Files: []uintptr{uintptr(fds[0]), uintptr(fds[1]), uintptr(fds[2])}, Sys: attr,
		})
	}
	thread := l.s.plain
	if private {
		thread = l.s.private
	}
	pid, err := thread.run(l.id, run)
	if err != nil {
		return Process{}, false
	}
	if l.s.inherited.oomScoreAdjust != 0 {
		// Ours is our own. Should the write fail, the process is gone already.
		_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte("0"), 0)
	}
	return finish(pid, pidfd, -1), true
}

// shim spawns through the shim.
func (l *launch) shim() (Process, *unit.SpawnError) {
	plan := l.s.plan(l.req, l.id, l.st, l.env, l.argv)
	var status [2]int
	if err := unix.Pipe2(status[:], unix.O_CLOEXEC); err != nil {
		return Process{}, spawnError("pipe", err)
	}
	defer unix.Close(status[1])
	p, err := l.shimWith(plan, status)
	if err != nil {
		unix.Close(status[0])
		return Process{}, shimError(err)
	}
	return p, nil
}

// shimWith tries to be born in the control group; where clone3 is not there or not permitted,
// the shim joins it by itself before anything else.
func (l *launch) shimWith(plan *shim.Plan, status [2]int) (Process, error) {
	if l.req.Cgroup > 0 && l.s.noClone.Load() {
		return l.shimOnce(plan, status, true)
	}
	p, err := l.shimOnce(plan, status, false)
	if l.req.Cgroup <= 0 || !cloneRefused(err) {
		return p, err
	}
	p, joinErr := l.shimOnce(plan, status, true)
	if joinErr != nil {
		return p, err
	}
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		l.s.noClone.Store(true)
	}
	return p, nil
}

// cloneRefused reports errors that clone3 with CLONE_INTO_CGROUP has where clone has none.
func cloneRefused(err error) bool {
	for _, e := range [...]error{unix.ENOSYS, unix.EPERM, unix.EINVAL, unix.E2BIG, unix.EOPNOTSUPP} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (l *launch) shimOnce(plan *shim.Plan, status [2]int, join bool) (Process, error) {
	plan.Join = join
	mem, err := writePlan(plan)
	if err != nil {
		return Process{}, err
	}
	defer unix.Close(mem)
	fds := l.st.fds
	files := []uintptr{uintptr(fds[0]), uintptr(fds[1]), uintptr(fds[2]), uintptr(mem), uintptr(status[1])}
	if join {
		files = append(files, uintptr(l.req.Cgroup))
	}
	for _, f := range l.req.FDs {
		files = append(files, uintptr(f.FD))
	}
	pidfd := -1
	pid, err := syscall.ForkExec(l.s.cfg.ShimPath, []string{"sysmaster-exec"}, &syscall.ProcAttr{
		Dir: "/", Env: l.shimEnv(), Files: files, Sys: l.attr(&pidfd, !join),
	})
	if err != nil {
		return Process{}, err
	}
	return finish(pid, pidfd, status[0]), nil
}

// shimEnv is the shim's own environment: it lives too briefly for a garbage collection or a
// second processor (a tenth of its start-up), and can be recognised by its mark and invocation
// id like the program that it becomes.
func (l *launch) shimEnv() []string {
	env := []string{"GOGC=off", "GOMAXPROCS=1"}
	for _, name := range [...]string{MarkEnv, "INVOCATION_ID"} {
		if v, ok := execspec.LookupEnv(l.env, name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

func writePlan(plan *shim.Plan) (int, error) {
	b, err := plan.Encode()
	if err != nil {
		return -1, unix.E2BIG
	}
	fd, err := unix.MemfdCreate("exec-plan", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		b = b[n:]
	}
	return fd, nil
}

func spawnError(step string, err error) *unit.SpawnError {
	return &unit.SpawnError{Status: shim.ExitExec, Step: step, Msg: err.Error()}
}

// shimError names what kept the shim from starting: not the program's fault, as it was not
// looked at yet.
func shimError(err error) *unit.SpawnError {
	switch {
	case errors.Is(err, unix.ENODEV):
		return &unit.SpawnError{Status: shim.ExitCgroup, Step: "ControlGroup", Msg: "was removed"}
	case errors.Is(err, unix.EBUSY):
		return &unit.SpawnError{Status: shim.ExitCgroup, Step: "ControlGroup", Msg: "has controllers enabled for its sub-groups, so it can hold no process"}
	case errors.Is(err, unix.EAGAIN):
		return &unit.SpawnError{Status: shim.ExitExec, Step: "clone", Msg: "no more processes are allowed: " + err.Error()}
	}
	return spawnError("sysmaster-exec", err)
}

// finish learns the rest about a new process.
func finish(pid, pidfd, status int) Process {
	if pidfd < 0 {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			pidfd = fd
		} else {
			pidfd = -1
		}
	}
	return Process{PID: pid, PidFD: pidfd, Start: startTicks(pid), StatusFD: status}
}

// startTicks is field 22 of /proc/PID/stat; 0 if it cannot be read.
func startTicks(pid int) uint64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name, field 2, may contain anything; what follows its ")" does not.
	i := bytes.LastIndexByte(b, ')')
	f := bytes.Fields(b[i+1:])
	const field = 22 - 3 // the first after the name is the third
	if i < 0 || len(f) <= field {
		return 0
	}
	n, err := strconv.ParseUint(string(f[field]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
