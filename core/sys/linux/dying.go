package linux

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// A process that ends leaves its control group when its last thread begins to, and becomes
// something that init can report only when all of them are through; on a busy machine that takes
// a while, and then init's report is still to come. In between it is in no list at all. So that
// its Spawn is not taken for one that was never done, all session leaders are looked at once,
// before the first Spawn is probed: whoever was there and is in its group no longer is waited for.

// lookAtLeaders remembers the session leaders by control group, and has init tell all exits
// of those that were gone before.
func (w *World) lookAtLeaders(in sys.Intent) {
	if w.leaders != nil || w.cfg.CGroup == nil || w.cfg.Init == nil {
		return
	}
	w.leaders = make(map[string][]unit.Proc)
	err := allPIDs(func(pid int) {
		if in.Recorded != nil && in.Recorded(pid) {
			return // most are: looking at them takes longer than the rest of a recovery
		}
		s, err := readStat(pid)
		if err != nil || s.Session != pid {
			return
		}
		if g := w.procCGroup(pid); g != "" {
			w.leaders[g] = append(w.leaders[g], unit.Proc{PID: pid, Start: s.Start})
		}
	})
	if err == nil {
		err = w.hearInit()
	}
	if err != nil {
		w.note("", "probe", err)
	}
}

// awaitDying waits until every leader of the unit's group that nobody knows is gone and init has
// said how it ended. True: that took too long, and it is in doubt what became of it. Beside a bearer of
// the Spawn's mark only those count that may have forked it; it is proof that there was somebody to
// end, maybe since the leaders were looked at, so init is asked in any case.
func (w *World) awaitDying(in sys.Intent, found bearer) bool {
	var gone []unit.Proc
	for group, list := range w.leaders {
		if in.CGroup == "" || !inGroup(group, in.CGroup) {
			continue
		}
		for _, p := range list {
			if w.known(in, p) || !found.mayFollow(p) || w.marked(in, p) {
				continue
			}
			for exists(p) {
				if !w.waitABit() {
					return true
				}
			}
			gone = append(gone, p)
		}
	}
	if len(gone) == 0 && (found.since == 0 || w.cfg.Init == nil || w.cfg.CGroup == nil) {
		return false
	}
	if err := w.hearInit(); err != nil {
		w.note(in.Unit, "probe", err)
		return true
	}
	return slices.ContainsFunc(gone, func(p unit.Proc) bool { return !w.recorded(p) })
}

// marked: the process is alive and shows the mark of another Spawn.
func (w *World) marked(in sys.Intent, p unit.Proc) bool {
	m, ok := markOf(p.PID)
	return ok && m != "" && m != mark(in) && alive(p)
}

// exists reports whether the process is there, if only as a zombie.
func exists(p unit.Proc) bool {
	s, err := readStat(p.PID)
	return err == nil && s.Start == p.Start
}

// waitABit lets a millisecond pass, as long as the patience of all probes together lasts.
func (w *World) waitABit() bool {
	if w.bornBy == 0 {
		w.bornBy = monotonic() + bornPatience
	}
	if monotonic() >= w.bornBy {
		return false
	}
	_, err := unix.Poll(nil, 1)
	return err == nil || err == unix.EINTR
}

// hearInit returns when init has told the exits of all processes that it had reaped before the
// call. It reports a turn's exits behind the answers of the same turn: hence two questions.
func (w *World) hearInit() error {
	for range 2 {
		answered := false
		w.dropFD(askKey, func(error) { answered = true })
		for !answered {
			if !w.waitForInit() {
				return errors.New("cannot hear of the latest exits: init does not answer")
			}
			w.readInit()
		}
	}
	return nil
}

// askKey is held by nobody: dropping it is a question.
const askKey = tempPrefix + "ask"

// waitForInit waits until init has sent something.
func (w *World) waitForInit() bool {
	if w.channel.gone {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(w.cfg.Init.FD()), Events: unix.POLLIN}}
	if w.cfg.Init.Pending() > 0 {
		fds[0].Events |= unix.POLLOUT
	}
	n, err := unix.Poll(fds, int(bornPatience.Milliseconds()))
	return n > 0 || err == unix.EINTR
}
