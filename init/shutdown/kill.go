package shutdown

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/proc"
)

// killAll ends all processes of the scope: politely, then for certain.
func (r *run) killAll() {
	left := r.targets()
	if len(left) > 0 {
		r.Say("terminating " + count(len(left), "processes"))
	}
	r.signal(left, unix.SIGTERM)
	// Shells ignore SIGTERM and take SIGHUP; the stopped hear neither before SIGCONT.
	r.signal(left, unix.SIGHUP)
	r.signal(left, unix.SIGCONT)
	left = r.await(r.TermTimeout, false)
	if len(left) == 0 {
		return
	}
	r.Say("killing " + count(len(left), "processes") + " that did not end: " + r.names(left))
	if left = r.await(r.KillTimeout, true); len(left) > 0 {
		r.Say(count(len(left), "processes") + " survived SIGKILL: " + r.names(left))
	}
}

// await reaps until no target is left or time is up; what it kills it kills
// again at each look, because new processes may have appeared meanwhile.
func (r *run) await(limit time.Duration, kill bool) []int {
	deadline := time.Now().Add(limit)
	for {
		reap()
		left := r.targets()
		if kill {
			r.signal(left, unix.SIGKILL)
		}
		rest := time.Until(deadline)
		if len(left) == 0 || rest <= 0 {
			return left
		}
		wait(r.WakeFD, rest)
	}
}

func reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
	}
}

// targets lists the processes to end: not this one, no kernel threads, no
// zombies, and no storage daemon of the root file system, which marks itself
// by '@' (systemd.io/ROOT_STORAGE_DAEMONS) and must be root's.
func (r *run) targets() []int {
	var pids []int
	var err error
	if r.Scope == Keeper {
		pids, err = proc.Descendants(unix.Getpid())
	} else {
		pids, err = proc.PIDs()
	}
	if err != nil {
		r.fail("list processes", err)
	}
	buf := make([]byte, 1024)
	var list []int
	for _, pid := range pids {
		if pid == unix.Getpid() {
			continue
		}
		s, ok := proc.ReadStat(pid, buf)
		if !ok || s.State == 'Z' || s.State == 'X' || s.KernelThread() || storageDaemon(pid, buf) {
			continue
		}
		list = append(list, pid)
	}
	return list
}

func storageDaemon(pid int, buf []byte) bool {
	b, err := proc.Read(proc.Path(pid, "cmdline"), buf)
	if err != nil || len(b) == 0 || b[0] != '@' {
		return false
	}
	var st unix.Stat_t
	return unix.Stat(proc.Path(pid, ""), &st) == nil && st.Uid == 0
}

func (r *run) signal(pids []int, sig unix.Signal) {
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil && err != unix.ESRCH {
			r.fail("signal process "+strconv.Itoa(pid), err)
		}
	}
}

// names lists the first few processes for a message.
func (r *run) names(pids []int) string {
	text := ""
	buf := make([]byte, 64)
	for i, pid := range pids {
		if i == 8 {
			return text + " ..."
		}
		if i > 0 {
			text += ", "
		}
		text += strconv.Itoa(pid)
		if b, err := proc.Read(proc.Path(pid, "comm"), buf); err == nil && len(b) > 1 {
			text += " " + strconv.QuoteToASCII(string(b[:len(b)-1]))
		}
	}
	return text
}
