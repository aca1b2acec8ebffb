package core

import (
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

func checkEffect(c []unit.Condition) unit.Effect { return sys.Check{Conditions: c} }

// conditionsMet combines single results as man systemd.unit(5) says: all that do not
// trigger must hold, and of those that trigger at least one, separately for conditions
// and for assertions.
func conditionsMet(conds []unit.Condition, results []bool) (ok, asserted bool) {
	return listMet(conds, results, false), listMet(conds, results, true)
}

func listMet(conds []unit.Condition, results []bool, assert bool) bool {
	triggers, triggered := false, false
	for i, c := range conds {
		if c.Assert != assert {
			continue
		}
		met := i < len(results) && results[i]
		switch {
		case c.Trigger:
			triggers = true
			triggered = triggered || met
		case !met:
			return false
		}
	}
	return !triggers || triggered
}
