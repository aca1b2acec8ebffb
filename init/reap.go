package pid1

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/proc"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// si_code of SIGCHLD (sigaction(2)).
const (
	cldExited = 1
	cldKilled = 2
	cldDumped = 3
)

// childInfo is siginfo_t as waitid(2) fills it.
type childInfo struct {
	signo, errno, code int32
	child              struct {
		_      [0]uintptr // the kernel's union is aligned like a pointer
		pid    int32
		uid    uint32
		status int32
	}
	_ [128 - 5*4 - 8]byte
}

// peek looks at an exited child without reaping it: any (pid 0) or this one.
func peek(pid int) (fdstore.Exit, bool) {
	which, id := unix.P_ALL, 0
	if pid != 0 {
		which, id = unix.P_PID, pid
	}
	for {
		var info childInfo
		err := unix.Waitid(which, id, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		c := info.child
		return fdstore.Exit{PID: int(c.pid), Code: info.code, Status: c.status}, err == nil && c.pid > 0
	}
}

// bury reaps a child that peek has found.
func bury(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err != unix.EINTR {
			return
		}
	}
}

// reap is the only place where children are waited for, until shutdown. Init's
// own are asked for by name first: they must not hide behind a zombie that is
// left where it is. The core's death is acted on at once, so that a full log
// never delays the one who can empty it.
func (k *keeper) reap(now time.Time) {
	if k.core.pid > 0 {
		if e, ok := peek(k.core.pid); ok {
			k.coreDied(now, e)
			bury(e.PID)
		}
	}
	if k.rescue.pid > 0 {
		if e, ok := peek(k.rescue.pid); ok {
			bury(e.PID)
			k.rescueEnded(now, e)
		}
	}
	for range 1024 { // then the channel and the timers have their turn
		e, ok := peek(0)
		if !ok {
			k.full = false
			return
		}
		if e.PID == k.core.pid || e.PID == k.rescue.pid {
			k.again = true // it died since we asked
			return
		}
		if !k.exits.room() && !k.overflow(now) {
			return
		}
		k.record(e)
		bury(e.PID)
	}
	k.again = true
}

// record describes a zombie while /proc still knows it, and keeps its exit.
func (k *keeper) record(e fdstore.Exit) {
	if s, ok := proc.ReadStat(e.PID, k.buf); ok {
		e.StartTime, e.Session = s.StartTime, s.Session
	}
	start, registered := k.registered[e.PID]
	if registered {
		delete(k.registered, e.PID)
	}
	wanted := !k.core.turned || registered && sameStart(start, e.StartTime)
	if b, err := proc.Read(proc.Path(e.PID, "cgroup"), k.buf); err == nil {
		if path := proc.ParseCgroup(b); string(path) == k.lastCgroup {
			e.Cgroup = k.lastCgroup // mostly the same few: no copy
		} else if len(path) <= fdstore.MaxCgroup {
			e.Cgroup = string(path)
			k.lastCgroup = e.Cgroup
		}
	}
	if !k.exits.room() {
		k.lost++
		k.tell(Event{Kind: EventLost, PID: e.PID})
		return
	}
	k.tell(Event{Kind: EventExit, PID: e.PID, Exit: k.exits.add(e, wanted)})
}

// overflow decides about a zombie that no room is left for: the kernel keeps
// it, and so the exit, up to MaxZombies. Beyond that the machine would run out
// of process numbers; the exit is lost, and counted. True: reap it.
func (k *keeper) overflow(now time.Time) bool {
	if !k.full {
		k.full = true
		k.nextCount = now
		k.tell(Event{Kind: EventFull})
	}
	if k.surplus > 0 {
		k.surplus--
		return true
	}
	if now.Before(k.nextCount) {
		return false
	}
	k.nextCount = now.Add(time.Second) // counting walks over all of /proc
	k.surplus = k.zombies() - k.cfg.MaxZombies
	if k.surplus <= 0 {
		return false
	}
	k.surplus--
	return true
}

// zombies counts the exits that the kernel keeps for us.
func (k *keeper) zombies() int {
	pids, err := proc.PIDs()
	if err != nil {
		return 0
	}
	n := 0
	for _, pid := range pids {
		if s, ok := proc.ReadStat(pid, k.buf); ok && s.State == 'Z' && s.PPID == k.self {
			n++
		}
	}
	return n
}
