package linux

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// findMain looks for a unit's main process, beside the loop: the one that MAINPID= named, or
// the only one of the control group whose parent is outside of it (man systemd.service(5),
// GuessMainPID=).
func (w *World) findMain(in sys.Intent, e unit.FindMain, next func()) {
	w.pool.run(func() func() {
		proc, err := w.mainProcess(in, e.PID)
		return func() {
			ev := unit.PIDRead{Seq: in.Seq, Proc: proc}
			if err != nil {
				ev.Err = err.Error()
			}
			w.answer(in, ev)
			next()
		}
	}, w.pidUnread(in, next))
}

func (w *World) mainProcess(in sys.Intent, pid int) (unit.Proc, error) {
	if pid == 0 {
		return w.guessMain(in)
	}
	p, own, err := w.judge(in, pid)
	switch {
	case err != nil:
		return unit.Proc{}, fmt.Errorf("cannot use MAINPID=%d: %w", pid, err)
	case !own:
		return unit.Proc{}, fmt.Errorf("cannot use MAINPID=%d: the process does not belong to the unit", pid)
	}
	return p, nil
}

var (
	errNoMain    = errors.New("no process of the unit has a parent outside of it")
	errManyMains = errors.New("several processes of the unit have a parent outside of it")
)

func (w *World) guessMain(in sys.Intent) (unit.Proc, error) {
	members := make(map[int]procStat)
	add := func(pid int) bool {
		if s, err := readStat(pid); err == nil && !s.dead() {
			members[pid] = s
		}
		return true
	}
	var err error
	if w.cfg.CGroup != nil && in.CGroup != "" {
		err = w.cfg.CGroup.Procs(in.CGroup, add)
	} else {
		err = w.eachOfInvocation(in.Invocation, func(p unit.Proc) { add(p.PID) })
	}
	if err != nil {
		return unit.Proc{}, fmt.Errorf("cannot look for the main process: %w", err)
	}
	var found unit.Proc
	for pid, s := range members {
		if _, inside := members[s.Parent]; inside {
			continue
		}
		if !found.IsZero() {
			return unit.Proc{}, errManyMains
		}
		found = unit.Proc{PID: pid, Start: s.Start}
	}
	if found.IsZero() {
		return found, errNoMain
	}
	return found, nil
}

// killed answers a Kill. None spares a unit the wait for an end that was told before.
func (w *World) killed(in sys.Intent, e unit.Kill, err error, next func()) {
	d := unit.Done{Seq: in.Seq}
	if err != nil {
		d.Err = err.Error()
	} else if e.Proc.IsZero() && w.cfg.CGroup != nil && in.CGroup != "" {
		populated, perr := w.cfg.CGroup.Populated(in.CGroup)
		d.None = perr == nil && !populated || errors.Is(perr, unix.ENOENT)
	} else if e.Proc.IsZero() && w.cfg.CGroup == nil {
		d.None = true
		if err := w.eachOfInvocation(in.Invocation, func(unit.Proc) { d.None = false }); err != nil {
			d.None = false
		}
	}
	w.answer(in, d)
	next()
}
