package linux

import (
	"strconv"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/core/sys/linux/spawn"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

// mark is the value of spawn.MarkEnv by which a process shows which Spawn made it.
// Together with the control group it tells a new core whether a Spawn that the one before
// meant to carry out was carried out.
func mark(in sys.Intent) string {
	return string(in.Unit) + "/" + strconv.FormatUint(in.Seq, 10)
}

// Probe tells what became of an effect of the core before (sys.Prober). Call it before
// anything new is begun for the unit.
func (w *World) Probe(in sys.Intent) sys.Outcome {
	w.learn(in)
	switch e := in.Effect.(type) {
	case unit.Spawn:
		w.lookAtLeaders()
		return w.probeSpawn(in, e)
	case unit.Listen:
		for _, s := range e.Sockets {
			if w.fds[s.Key] == nil {
				return sys.Outcome{State: sys.NotDone}
			}
		}
		return sys.Outcome{State: sys.Done, Event: unit.Done{Seq: in.Seq}}
	case sys.Reexec:
		return sys.Outcome{State: sys.Done} // we are the new core
	}
	return sys.Outcome{State: sys.NotDone}
}

// probeSpawn looks for the process by its mark, then among the exits that init recorded. A
// session leader without a readable environment may be it, after it has overwritten its
// memory (setproctitle) or before it got so far as to have one: then nobody knows.
func (w *World) probeSpawn(in sys.Intent, e unit.Spawn) sys.Outcome {
	found, doubt, err := w.findMarked(in)
	if err != nil {
		w.note(in.Unit, "probe", err)
		return sys.Outcome{State: sys.Unknown}
	}
	if !found.IsZero() {
		if err := w.adopt(in, found); err != nil {
			w.note(in.Unit, "probe", err)
			return sys.Outcome{State: sys.Unknown}
		}
		return sys.Outcome{State: sys.Done, Event: unit.Spawned{Seq: in.Seq, Role: e.Role, Proc: found}}
	}
	doubt = doubt || w.awaitDying(in)
	for _, r := range w.records {
		if in.CGroup == "" || !inGroup(r.cgroup, in.CGroup) || r.PID != r.Session {
			continue
		}
		p := unit.Proc{PID: r.PID, Start: r.StartTime}
		if w.known(in, p) {
			continue
		}
		w.executed(in) // before the Exited that waits: Execed is pushed to the front
		return sys.Outcome{State: sys.Done, Event: unit.Spawned{Seq: in.Seq, Role: e.Role, Proc: p}}
	}
	// Without control groups init does not keep what it was not asked for.
	if doubt || w.channel.welcome.Lost > 0 || w.cfg.CGroup == nil && w.cfg.Init != nil {
		return sys.Outcome{State: sys.Unknown}
	}
	return sys.Outcome{State: sys.NotDone}
}

// bornPatience is how long all probes together wait for children of the core before that have
// not executed their program yet.
const bornPatience = time.Second

// findMarked looks for the session leader with this Spawn's mark. A child of the core before
// that has not got so far as to execute anything has neither a mark nor a session yet, and lives on
// when that core is killed: it is waited for, since a second one must not be started beside it.
func (w *World) findMarked(in sys.Intent) (found unit.Proc, doubt bool, err error) {
	for {
		unborn := false
		found, doubt, unborn, err = w.lookForMarked(in)
		if err != nil || !found.IsZero() || !unborn && !doubt {
			return found, doubt, err
		}
		if !w.waitABit() {
			return found, true, nil
		}
	}
}

// lookForMarked looks once.
func (w *World) lookForMarked(in sys.Intent) (found unit.Proc, doubt, unborn bool, err error) {
	look := func(pid int) {
		s, err := readStat(pid)
		if err != nil || s.dead() {
			return
		}
		p := unit.Proc{PID: pid, Start: s.Start}
		if w.known(in, p) {
			return // made by another Spawn
		}
		v, ok := environ(pid, spawn.MarkEnv, fdstore.EnvFD)
		switch {
		case ok && v[1] != "" && w.cfg.CGroup != nil:
			unborn = true // it still has the core's own environment
		case s.Session != pid:
		case ok && v[0] == mark(in):
			found = p
		case w.cfg.CGroup != nil && (!ok || v[0] == ""):
			doubt = true
		}
	}
	if w.cfg.CGroup == nil {
		err = allPIDs(look)
	} else if in.CGroup != "" {
		err = w.cfg.CGroup.Procs(in.CGroup, func(pid int) bool { look(pid); return true })
	}
	return found, doubt, unborn, err
}

// markOf is the mark in a process's environment; false if there is none to read.
func markOf(pid int) (string, bool) {
	v, ok := environ(pid, spawn.MarkEnv)
	if !ok {
		return "", false
	}
	return v[0], true
}

// known reports whether a process is accounted for.
func (w *World) known(in sys.Intent, p unit.Proc) bool {
	if f := w.followed[p.PID]; f != nil && f.Start == p.Start {
		return true
	}
	for _, k := range in.Known {
		if k.PID == p.PID && (k.Start == p.Start || p.Start == 0) {
			return true
		}
	}
	return false
}

// adopt follows a process that the core before spawned.
func (w *World) adopt(in sys.Intent, p unit.Proc) error {
	if err := w.attach(in, unit.Attach{Proc: p}); err != nil {
		return err
	}
	w.executed(in)
	return nil
}

// executed queues the Execed of a process that was found. Whether its set-up had failed is
// told by its exit status.
func (w *World) executed(in sys.Intent) {
	w.inputs.pushFirst(sys.Input{Unit: in.Unit, CGroup: in.CGroup, Body: unit.Execed{Seq: in.Seq}})
}
