package shutdown

import (
	"errors"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/proc"
)

// killAll ends all processes of the scope: politely, then for certain.
func (r *run) killAll() {
	if r.Scope != Keeper && !seesItself() {
		r.killUnseen()
		return
	}
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

// seesItself reports whether /proc is there and this pid namespace's.
func seesItself() bool {
	var b [16]byte
	n, err := unix.Readlink("/proc/self", b[:])
	return err == nil && string(b[:n]) == strconv.Itoa(unix.Getpid())
}

// killUnseen ends all processes without knowing them: there are none any more
// when there is nobody to wait for, as all orphans are ours.
func (r *run) killUnseen() {
	r.Say("cannot see the processes: /proc is not there or another's; ending all")
	for _, s := range []struct {
		limit   time.Duration
		signals []unix.Signal
	}{
		{r.TermTimeout, []unix.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGCONT}},
		{r.KillTimeout, []unix.Signal{unix.SIGKILL}},
	} {
		deadline := time.Now().Add(s.limit)
		for _, sig := range s.signals {
			if err := unix.Kill(-1, sig); err == unix.ESRCH {
				return
			}
		}
		for {
			reap()
			rest := time.Until(deadline)
			if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err == unix.ECHILD {
				return
			}
			if rest <= 0 {
				break
			}
			wait(r.WakeFD, rest)
		}
	}
	r.Say("processes survived SIGKILL")
}

// await reaps until no target is left or time is up; what it kills it kills again at each look, because
// new processes may have appeared meanwhile. It kills before it reaps, since a fork bomb leaves as many dead as
// anybody can reap; and it looks again after the first time, however late that was.
func (r *run) await(limit time.Duration, kill bool) []int {
	deadline := time.Now().Add(limit)
	for again := !kill; ; again = true {
		left := r.targets()
		if kill && len(left) > 0 {
			r.kill(left)
		}
		reap()
		rest := time.Until(deadline)
		if len(left) == 0 || rest <= 0 && again {
			return left
		}
		wait(r.WakeFD, max(rest, 100*time.Millisecond))
	}
}

// kill sends SIGKILL. One by one it loses against processes that fork as fast as
// they die; kill(-1) does not, since nothing forks while the kernel walks over them all. But it
// knows no exceptions.
func (r *run) kill(pids []int) {
	if r.Scope != Keeper && !r.hasDaemon() {
		if err := unix.Kill(-1, unix.SIGKILL); err != nil && err != unix.ESRCH {
			r.fail("kill all processes", err)
		}
		return
	}
	r.signal(pids, unix.SIGKILL)
}

func reap() {
	for range 4096 { // then the deadlines have their turn
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
		if !ok || s.State == 'Z' || s.State == 'X' || s.KernelThread() || r.storageDaemon(pid, s.StartTime) {
			continue
		}
		list = append(list, pid)
	}
	return list
}

// answer is what a process said to be, and when that process began.
type answer struct {
	start  uint64
	daemon bool
}

// errMarked is the result of reading arguments that begin with the mark.
var errMarked = errors.New("a storage daemon")

// argsTimeout is how long reading a process's arguments may take.
const argsTimeout = time.Second

// storageDaemon looks at a process's arguments, once, only if it is root's, and without
// waiting for them: they lie in its memory, and that may be a file of a FUSE server
// that does not answer, mapped there on purpose.
func (r *run) storageDaemon(pid int, start uint64) bool {
	if a, ok := r.daemons[pid]; ok && a.start == start {
		return a.daemon
	}
	var st unix.Stat_t
	if unix.Stat(proc.Path(pid, ""), &st) != nil || st.Uid != 0 {
		return false
	}
	err := r.within(argsTimeout, func() error {
		var b [1]byte
		got, err := proc.Read(proc.Path(pid, "cmdline"), b[:])
		if err == nil && len(got) == 1 && got[0] == '@' {
			return errMarked
		}
		return nil
	})
	if r.daemons == nil {
		r.daemons = make(map[int]answer)
	}
	r.daemons[pid] = answer{start, err == errMarked}
	return err == errMarked
}

func (r *run) hasDaemon() bool {
	for _, a := range r.daemons {
		if a.daemon {
			return true
		}
	}
	return false
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
