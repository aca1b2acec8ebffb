package linux

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// recordPatience is how long init may take to report an adopted process whose pidfd says
// that it is gone. After that its status is unknown: another process was its parent.
const recordPatience = 2 * time.Second

// follower is one process whose exit somebody waits for.
type follower struct {
	unit.Proc
	unit   unit.Name
	cgroup string
	pidfd  int
	token  uint64
	child  bool   // the core's own: waitid gives its status
	alarm  uint64 // runs until init's record comes
	setup  *setup // not yet executed; nil otherwise
	gone   bool   // its Exited is queued
}

// follow begins to wait for a process. pidfd becomes the follower's; -1 opens one. A
// process that is gone is no error: gone is then true and its Exited is on the way.
func (w *World) follow(f follower) (*follower, error) {
	if old := w.followed[f.PID]; old != nil {
		if old.Start == f.Start {
			closeFD(f.pidfd)
			old.unit, old.cgroup = f.unit, f.cgroup
			return old, nil
		}
		w.forget(old) // the PID was reused: the old one is long gone
	}
	p := &f
	w.followed[p.PID] = p
	if p.pidfd < 0 {
		p.pidfd = openProc(p.Proc)
	}
	if p.pidfd < 0 {
		w.vanished(p)
		return p, nil
	}
	token, err := w.poll.add(p.pidfd, unix.EPOLLIN|unix.EPOLLONESHOT, func(uint32) { w.ended(p) })
	if err != nil {
		closeFD(p.pidfd)
		delete(w.followed, p.PID)
		return nil, err
	}
	p.token = token
	return p, nil
}

// openProc opens a pidfd of exactly this process; -1 if it is not there.
func openProc(p unit.Proc) int {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return -1
	}
	// Looked at after the pidfd was opened, so that both mean the same process.
	if s, err := readStat(p.PID); err != nil || (p.Start != 0 && s.Start != p.Start) {
		closeFD(fd)
		return -1
	}
	return fd
}

// ended runs when the pidfd says that the process is gone.
func (w *World) ended(p *follower) {
	if p.gone || w.followed[p.PID] != p {
		return
	}
	if !w.setupOver(p, func() { w.ended(p) }) {
		return // Execed comes before Exited
	}
	if !p.child {
		w.vanished(p)
		return
	}
	exit, ok, err := waitExit(p.pidfd, unix.WNOWAIT)
	if err != nil {
		// ECHILD: somebody else has waited for it (a library of the embedder).
		w.note(p.unit, "reap", fmt.Errorf("cannot read the exit status of process %d: %w", p.PID, err))
		exit, ok = unit.Exit{}, true
	}
	if !ok { // a spurious wake-up
		if err := w.poll.change(p.token, p.pidfd, unix.EPOLLIN|unix.EPOLLONESHOT); err != nil {
			w.note(p.unit, "reap", err)
		}
		return
	}
	p.gone = true
	w.pushEnd(p.exited(exit), func() {
		if _, _, err := waitExit(p.pidfd, 0); err != nil && err != unix.ECHILD {
			w.note(p.unit, "reap", fmt.Errorf("cannot reap process %d: %w", p.PID, err))
		}
		if w.cfg.Init != nil {
			w.toInit(p.unit, w.cfg.Init.Unregister(p.PID, p.Start))
		}
		w.forget(p)
	})
	w.exitTold(p.unit, p.cgroup)
}

// vanished waits for init to say how an adopted process ended.
func (w *World) vanished(p *follower) {
	if p.alarm != 0 || p.gone {
		return
	}
	at := monotonic() // without init: at once, but behind the answer to Attach
	if w.cfg.Init != nil {
		at += recordPatience
	}
	p.alarm = w.alarms.set(at, func() { p.alarm = 0; w.lost(p) })
}

// lost gives up on the status.
func (w *World) lost(p *follower) {
	p.gone = true
	w.pushEnd(p.exited(unit.Exit{Code: unit.ExitUnknown}), func() {
		if w.cfg.Init != nil {
			w.toInit(p.unit, w.cfg.Init.Unregister(p.PID, p.Start))
		}
		w.forget(p)
	})
	w.exitTold(p.unit, p.cgroup)
}

func (p *follower) exited(exit unit.Exit) sys.Input {
	return sys.Input{Unit: p.unit, CGroup: p.cgroup, Body: unit.Exited{Proc: p.Proc, Exit: exit}}
}

// forget ends the waiting.
func (w *World) forget(p *follower) {
	if p.alarm != 0 {
		w.alarms.cancel(p.alarm)
		p.alarm = 0
	}
	if p.setup != nil {
		w.dropSetup(p)
	}
	if p.pidfd >= 0 {
		w.poll.remove(p.token, p.pidfd)
		closeFD(p.pidfd)
		p.pidfd = -1
	}
	if w.followed[p.PID] == p {
		delete(w.followed, p.PID)
	}
}

// siginfo is siginfo_t as waitid(2) fills it.
type siginfo struct {
	signo, errno, code int32
	_                  [unsafe.Sizeof(uintptr(0))/4 - 1]int32 // the union is aligned as a pointer
	pid                int32
	uid                uint32
	status             int32
	_                  [100]byte // 128 bytes in all
}

// waitExit asks how a child ended; ok is false while it runs. The error is a bare errno.
func waitExit(pidfd int, flags int) (exit unit.Exit, ok bool, err error) {
	var info siginfo
	for {
		err = unix.Waitid(unix.P_PIDFD, pidfd, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|flags, nil)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil || info.pid == 0 {
		return unit.Exit{}, false, err
	}
	return unit.Exit{Code: exitCode(info.code), Status: int(info.status)}, true, nil
}

// exitCode translates si_code (waitid(2)).
func exitCode(code int32) unit.ExitCode {
	const cldExited, cldKilled, cldDumped = 1, 2, 3
	switch code {
	case cldExited:
		return unit.ExitExited
	case cldKilled:
		return unit.ExitKilled
	case cldDumped:
		return unit.ExitDumped
	}
	return unit.ExitUnknown
}

const strayInterval = time.Second

// reapStrays reaps children that nobody follows: a spawn whose result was lost, or a
// process that inherited us as its parent because we are a subreaper after all. One is
// reaped only when it was seen a second time, so that whoever starts processes beside the
// World (os/exec in the embedder's main) has had time to wait for them.
func (w *World) reapStrays(now time.Duration) {
	if now < w.strayNext || w.spawning > 0 {
		return
	}
	w.strayNext = now + strayInterval
	seen := 0
	for {
		var info siginfo
		err := unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != nil || info.pid == 0 {
			break // ECHILD or nobody
		}
		pid := int(info.pid)
		// The head of the kernel's list hides the others; a followed one goes at its Ack.
		if w.followed[pid] != nil || pid != w.stray {
			seen = pid
			break
		}
		w.note("", "reap", fmt.Errorf("process %d was nobody's", pid))
		if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOHANG, nil); err != nil {
			break
		}
	}
	w.stray = seen
}

// closeFD closes what nothing was written to: there is no error that somebody could act on.
func closeFD(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}
