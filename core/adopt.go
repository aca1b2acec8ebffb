package core

import (
	"slices"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Found is a unit with processes, for a core that begins without the state of the one that
// started them.
type Found struct {
	Unit   unit.Name
	CGroup string // relative to the managed root; where there are no groups, what it would be
	// Invocation finds its processes where there are no groups; zero: not known.
	Invocation [16]byte
}

const foundReason = "the state of the manager that started it is lost or set aside; stop or reset-failed kill what is left of it"

// adoptFound makes what the kernel still shows into units without a machine: they can be seen, killed and
// stopped, and are read from their files after that.
func (e *Engine) adoptFound(found []Found) {
	for _, f := range found {
		if e.lookup(f.Unit) != nil || len(e.list) >= MaxUnits {
			continue
		}
		x := e.intern(f.Unit)
		x.stale, x.loaded, x.specDirty = false, true, true
		e.setSpecOnly(x, &unit.Spec{Name: f.Unit, Load: unit.LoadError, LoadError: foundReason})
		x.cgroup, x.invocation = f.CGroup, f.Invocation
		e.orphan(x)
		e.indexProcs(x)
		e.say(unit.LevelWarning, x.name, "it has processes, of an earlier manager")
	}
	e.wanted = slices.DeleteFunc(e.wanted, func(x *entry) bool { return !x.stale })
}

// lost goes on after a loss of the whole log on a machine whose units run. What ran without a process - targets, sockets,
// finished commands - is not known any more, and a boot would do it all again beside what runs.
func (e *Engine) lost() {
	e.booted, e.started, e.metaDirty = true, true, true
	e.say(unit.LevelErr, "", lostReason)
	e.troubles = append(e.troubles, lostReason)
}

const lostReason = "the state store is lost: what has processes is adopted and runs on, and nothing was started; " +
	"units can be started, and stop or reset-failed end what was adopted"

// reread lets x's files be read once nothing is left of what was found.
func (e *Engine) reread(x *entry) {
	if x.spec != nil && x.spec.LoadError == foundReason {
		x.stale = true
		e.wanted = append(e.wanted, x)
	}
}
