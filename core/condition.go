package core

import (
	"strings"

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

// unmet names what did not hold, as it is written in the unit's file.
func unmet(conds []unit.Condition, results []bool, assert bool) string {
	var out []string
	for i, c := range conds {
		if c.Assert != assert || i < len(results) && results[i] {
			continue
		}
		s := "Condition" + c.Type + "="
		if assert {
			s = "Assert" + c.Type + "="
		}
		if c.Trigger {
			s += "|"
		}
		if c.Negate {
			s += "!"
		}
		out = append(out, s+c.Param)
	}
	return strings.Join(out, ", ") + " was not met"
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
