package control

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/unit"
)

// unitConfigProps are the settings of [Unit] that are not relations.
func unitConfigProps() []unitProp {
	flag := func(name string, get func(c *unit.Common) bool) unitProp {
		return unitProp{name, "b", func(_ *Server, u *core.UnitView) any { return get(common(u)) }}
	}
	text := func(name string, get func(c *unit.Common) string) unitProp {
		return unitProp{name, "s", func(_ *Server, u *core.UnitView) any { return get(common(u)) }}
	}
	number := func(name, sig string, get func(c *unit.Common) any) unitProp {
		return unitProp{name, sig, func(_ *Server, u *core.UnitView) any { return get(common(u)) }}
	}
	return []unitProp{
		flag("StopWhenUnneeded", func(c *unit.Common) bool { return c.StopWhenUnneeded }),
		flag("RefuseManualStart", func(c *unit.Common) bool { return c.RefuseManualStart }),
		flag("RefuseManualStop", func(c *unit.Common) bool { return c.RefuseManualStop }),
		flag("AllowIsolate", func(c *unit.Common) bool { return c.AllowIsolate }),
		flag("DefaultDependencies", func(c *unit.Common) bool { return c.DefaultDependencies }),
		flag("SurviveFinalKillSignal", func(c *unit.Common) bool { return c.SurviveFinalKill }),
		text("OnSuccessJobMode", func(c *unit.Common) string { return c.OnSuccessJobMode.String() }),
		text("OnFailureJobMode", func(c *unit.Common) string { return c.OnFailureJobMode.String() }),
		flag("IgnoreOnIsolate", func(c *unit.Common) bool { return c.IgnoreOnIsolate }),
		number("JobTimeoutUSec", "t", func(c *unit.Common) any { return usec(c.JobTimeout) }),
		number("JobRunningTimeoutUSec", "t", func(c *unit.Common) any { return usec(c.JobRunningTimeout) }),
		text("JobTimeoutAction", func(c *unit.Common) string { return c.JobTimeoutAction }),
		{"Conditions", conditionSig, func(_ *Server, u *core.UnitView) any { return conditions(u, false) }},
		{"Asserts", conditionSig, func(_ *Server, u *core.UnitView) any { return conditions(u, true) }},
		number("StartLimitIntervalUSec", "t", func(c *unit.Common) any { return usec(c.StartLimitInterval) }),
		number("StartLimitBurst", "u", func(c *unit.Common) any { return uint32(max(0, c.StartLimitBurst)) }),
		text("StartLimitAction", func(c *unit.Common) string { return c.StartLimitAction }),
		text("FailureAction", func(c *unit.Common) string { return c.FailureAction }),
		number("FailureActionExitStatus", "i", func(c *unit.Common) any { return int32(c.FailureActionExit) }),
		text("SuccessAction", func(c *unit.Common) string { return c.SuccessAction }),
		number("SuccessActionExitStatus", "i", func(c *unit.Common) any { return int32(c.SuccessActionExit) }),
		text("CollectMode", func(c *unit.Common) string {
			if c.CollectInactiveOrFailed {
				return "inactive-or-failed"
			}
			return "inactive"
		}),
		{"Refs", "as", func(*Server, *core.UnitView) any { return []string{} }},
	}
}

const conditionSig = "a(sbbsi)"

// conditionRow is one condition: Result is above 0 when it was met, below when it was not, 0 when
// nobody tried or knows.
type conditionRow struct {
	Type            string
	Trigger, Negate bool
	Param           string
	Result          int32
}

func conditions(u *core.UnitView, asserts bool) []conditionRow {
	prefix, tried, met := "Condition", u.Times.Condition.Mono > 0, u.ConditionResult
	if asserts {
		prefix, tried, met = "Assert", u.Times.Assert.Mono > 0, u.AssertResult
	}
	rows := []conditionRow{}
	for _, c := range common(u).Conditions {
		if c.Assert == asserts {
			rows = append(rows, conditionRow{Type: prefix + c.Type, Trigger: c.Trigger, Negate: c.Negate, Param: clean(c.Param)})
		}
	}
	switch {
	case tried && met:
		for i := range rows {
			rows[i].Result = 1
		}
	case tried && len(rows) == 1: // with more it is not known which one it was
		rows[0].Result = -1
	}
	return rows
}

// kindProps are those properties of the kind's own interface that want wants: what the type shows,
// and what its control group tells. The name of the group is the server's, which knows where
// the managed root is.
func (s *Server) kindProps(u *core.UnitView, want func(name string) bool) []unit.Value {
	own, err := u.Props()
	if err != nil {
		s.observe(nil, fmt.Errorf("cannot show %s: %w", u.Name, err))
	}
	has := make(map[string]bool, len(own))
	var out []unit.Value
	for _, v := range own {
		if want(v.Name) && v.Name != "ControlGroup" {
			out = append(out, v)
			has[v.Name] = true
		}
	}
	for _, p := range cgroupProps() {
		if want(p.name) && !has[p.name] && hasCGroup(u.Name.Kind()) {
			out = append(out, unit.Value{Name: p.name, Signature: p.sig, V: p.get(s, u)})
		}
	}
	return out
}

func hasCGroup(k unit.Kind) bool {
	switch k {
	case unit.KindService, unit.KindSocket, unit.KindSlice, unit.KindScope, unit.KindMount, unit.KindSwap:
		return true
	}
	return false
}

// unknown stands for a number that is not known.
const unknown = uint64(math.MaxUint64)

func cgroupProps() []unitProp {
	number := func(name, file, key string, scale uint64) unitProp {
		return unitProp{name, "t", func(s *Server, u *core.UnitView) any {
			if _, ok := s.controlGroup(u); ok && s.cfg.CGroups != nil {
				if v, ok := s.cfg.CGroups.Value(strings.Trim(u.CGroup, "/"), file, key); ok {
					return v * scale
				}
			}
			return unknown
		}}
	}
	return []unitProp{
		{"Slice", "s", func(_ *Server, u *core.UnitView) any {
			if r := related(u, unit.InSlice); len(r) > 0 {
				return r[0]
			}
			return ""
		}},
		{"ControlGroup", "s", func(s *Server, u *core.UnitView) any {
			group, _ := s.controlGroup(u)
			return group
		}},
		number("MemoryCurrent", "memory.current", "", 1),
		number("CPUUsageNSec", "cpu.stat", "usage_usec", 1000),
		number("TasksCurrent", "pids.current", "", 1),
		number("MemoryMax", "memory.max", "", 1),
		number("TasksMax", "pids.max", "", 1),
	}
}

// isUsage names the properties that are read from the control group; they change all the time.
func isUsage(name string) bool {
	return name == "MemoryCurrent" || name == "CPUUsageNSec" || name == "TasksCurrent"
}

// controlGroup is a unit's group as the kernel prints it; false while it has none.
func (s *Server) controlGroup(u *core.UnitView) (string, bool) {
	if u.Name == "-.slice" {
		return s.absolute(""), true
	}
	if u.CGroup == "" || (u.State.Active.IsDown() && len(u.Procs) == 0) {
		return "", false
	}
	return s.absolute(u.CGroup), true
}

// absolute puts a group relative to the managed root below what the kernel calls that root.
func (s *Server) absolute(group string) string {
	return strings.TrimSuffix(s.cfg.Info().ControlGroup, "/") + "/" + strings.Trim(group, "/")
}

// canReload reports whether a reload job makes sense: the type says so itself (CanReload), or
// shows commands for it (ExecReload).
func (s *Server) canReload(u *core.UnitView) bool {
	if u.Load != unit.LoadLoaded {
		return false
	}
	own, err := u.Props()
	if err != nil {
		s.observe(nil, fmt.Errorf("cannot show %s: %w", u.Name, err))
		return false
	}
	for i := range own {
		switch own[i].Name {
		case "CanReload":
			v, _ := own[i].V.(bool)
			return v
		case "ExecReload":
			if v := reflect.ValueOf(own[i].V); v.Kind() == reflect.Slice && v.Len() > 0 {
				return true
			}
		}
	}
	return false
}
