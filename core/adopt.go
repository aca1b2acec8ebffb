package core

import (
	"slices"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Found is a control group with processes, for a core that begins without the state of the one that
// started them.
type Found struct {
	Unit   unit.Name
	CGroup string // relative to the managed root
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
		x.cgroup = f.CGroup
		e.orphan(x)
		e.indexProcs(x)
		e.say(unit.LevelWarning, x.name, "it has processes, of an earlier manager")
	}
	e.wanted = slices.DeleteFunc(e.wanted, func(x *entry) bool { return !x.stale })
}

// reread lets x's files be read once nothing is left of what was found.
func (e *Engine) reread(x *entry) {
	if x.spec != nil && x.spec.LoadError == foundReason {
		x.stale = true
		e.wanted = append(e.wanted, x)
	}
}
