package control

import (
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/unit"
)

type unitProp = prop[*core.UnitView]

// jobRef is the type of the Job property.
type jobRef struct {
	ID   uint32
	Path dbus.ObjectPath
}

// unitProps is the Unit interface, in systemd's order (man org.freedesktop.systemd1(5), UNIT OBJECTS).
func unitProps() []unitProp {
	rows := []unitProp{
		{"Id", "s", func(_ *Server, u *core.UnitView) any { return string(u.Name) }},
		{"Names", "as", func(_ *Server, u *core.UnitView) any { return names(u) }},
		{"Following", "s", func(*Server, *core.UnitView) any { return "" }},
	}
	for _, r := range shownRelations {
		rows = append(rows, relationProp(r))
	}
	rows = append(rows, unitProp{"RequiresMountsFor", "as", func(_ *Server, u *core.UnitView) any { return mountPaths(u) }})
	rows = append(rows, unitStateProps()...)
	rows = append(rows, unitStampProps()...)
	rows = append(rows, unitAbilityProps()...)
	return append(rows, unitConfigProps()...)
}

// shownRelations are the relations that are properties of their own.
var shownRelations = [...]unit.Relation{
	unit.Requires, unit.Requisite, unit.Wants, unit.BindsTo, unit.PartOf, unit.Upholds,
	unit.RequiredBy, unit.RequisiteOf, unit.WantedBy, unit.BoundBy, unit.UpheldBy, unit.ConsistsOf,
	unit.Conflicts, unit.ConflictedBy, unit.Before, unit.After,
	unit.OnFailure, unit.OnFailureOf, unit.OnSuccess, unit.OnSuccessOf, unit.Triggers, unit.TriggeredBy,
	unit.PropagatesReloadTo, unit.ReloadPropagatedFrom, unit.PropagatesStopTo, unit.StopPropagatedFrom,
	unit.JoinsNamespaceOf, unit.SliceOf,
}

func relationProp(r unit.Relation) unitProp {
	return unitProp{r.String(), "as", func(_ *Server, u *core.UnitView) any { return related(u, r) }}
}

func related(u *core.UnitView, r unit.Relation) []string {
	out := []string{}
	if u.Relations == nil {
		return out
	}
	if all := u.Relations(); all != nil {
		for _, n := range all[r] {
			out = append(out, string(n))
		}
	}
	return out
}

func mountPaths(u *core.UnitView) []string {
	out := []string{}
	for i := range spec(u).Deps {
		if d := &u.Spec.Deps[i]; d.Rel == unit.RequiresMountsFor && d.Path != "" {
			out = append(out, d.Path)
		}
	}
	return out
}

func unitStateProps() []unitProp {
	return []unitProp{
		{"Documentation", "as", func(_ *Server, u *core.UnitView) any { return common(u).Documentation }},
		{"Description", "s", func(_ *Server, u *core.UnitView) any { return description(u) }},
		{"LoadState", "s", func(_ *Server, u *core.UnitView) any { return string(u.Load) }},
		{"ActiveState", "s", func(_ *Server, u *core.UnitView) any { return u.State.Active.String() }},
		{"FreezerState", "s", func(*Server, *core.UnitView) any { return "running" }},
		{"SubState", "s", func(_ *Server, u *core.UnitView) any { return u.State.Sub }},
		{"FragmentPath", "s", func(_ *Server, u *core.UnitView) any { return spec(u).FragmentPath }},
		{"SourcePath", "s", func(*Server, *core.UnitView) any { return "" }},
		{"DropInPaths", "as", func(_ *Server, u *core.UnitView) any { return spec(u).DropIns }},
		{"UnitFileState", "s", func(s *Server, u *core.UnitView) any { state, _ := s.fileState(u); return state }},
		{"UnitFilePreset", "s", func(s *Server, u *core.UnitView) any { _, preset := s.fileState(u); return preset }},
		{"LoadError", "(ss)", func(_ *Server, u *core.UnitView) any { return loadErrorOf(u) }},
		{"Transient", "b", func(*Server, *core.UnitView) any { return false }},
		{"Perpetual", "b", func(_ *Server, u *core.UnitView) any { return u.Name == "-.slice" || u.Name == "-.mount" }},
		{"InvocationID", "ay", func(_ *Server, u *core.UnitView) any { return invocation(u) }},
		{"Job", "(uo)", func(_ *Server, u *core.UnitView) any { return jobOf(u) }},
	}
}

// busText is the type of LoadError: a D-Bus error name and its text.
type busText struct{ Name, Text string }

func loadErrorOf(u *core.UnitView) busText {
	text := u.LoadError
	if text == "" {
		text = spec(u).LoadError
	}
	switch u.Load {
	case unit.LoadLoaded, "":
		return busText{}
	case unit.LoadNotFound:
		return busText{errNoSuchUnit, "Unit " + string(u.Name) + " not found."}
	case unit.LoadMasked:
		return busText{"org.freedesktop.systemd1.UnitMasked", "Unit " + string(u.Name) + " is masked."}
	case unit.LoadBadSetting:
		return busText{"org.freedesktop.systemd1.BadUnitSetting", clean(text)}
	}
	return busText{"org.freedesktop.systemd1.LoadFailed", clean(text)}
}

func invocation(u *core.UnitView) []byte {
	if u.Invocation == [16]byte{} {
		return []byte{}
	}
	return append([]byte{}, u.Invocation[:]...)
}

func jobOf(u *core.UnitView) jobRef {
	if u.Job == nil {
		return jobRef{0, "/"}
	}
	return jobRef{uint32(u.Job.ID), jobPath(u.Job.ID)}
}

// unitStampProps are the pairs of time stamps of a unit.
func unitStampProps() []unitProp {
	pairs := []struct {
		name string
		at   func(t *core.Times) unit.Stamp
	}{
		{"StateChangeTimestamp", func(t *core.Times) unit.Stamp { return t.StateChange }},
		{"InactiveExitTimestamp", func(t *core.Times) unit.Stamp { return t.InactiveExit }},
		{"ActiveEnterTimestamp", func(t *core.Times) unit.Stamp { return t.ActiveEnter }},
		{"ActiveExitTimestamp", func(t *core.Times) unit.Stamp { return t.ActiveExit }},
		{"InactiveEnterTimestamp", func(t *core.Times) unit.Stamp { return t.InactiveEnter }},
		{"ConditionTimestamp", func(t *core.Times) unit.Stamp { return t.Condition }},
		{"AssertTimestamp", func(t *core.Times) unit.Stamp { return t.Assert }},
	}
	var out []unitProp
	for _, p := range pairs {
		out = append(out,
			unitProp{p.name, "t", func(_ *Server, u *core.UnitView) any { return usec(p.at(&u.Times).Real) }},
			unitProp{p.name + "Monotonic", "t", func(_ *Server, u *core.UnitView) any { return usec(p.at(&u.Times).Mono) }})
	}
	return append(out,
		unitProp{"ConditionResult", "b", func(_ *Server, u *core.UnitView) any { return u.ConditionResult }},
		unitProp{"AssertResult", "b", func(_ *Server, u *core.UnitView) any { return u.AssertResult }})
}

func unitAbilityProps() []unitProp {
	loaded := func(u *core.UnitView) bool { return u.Load == unit.LoadLoaded }
	return []unitProp{
		{"CanStart", "b", func(_ *Server, u *core.UnitView) any { return loaded(u) && !common(u).RefuseManualStart }},
		{"CanStop", "b", func(_ *Server, u *core.UnitView) any { return loaded(u) && !common(u).RefuseManualStop }},
		{"CanReload", "b", func(s *Server, u *core.UnitView) any { return s.canReload(u) }},
		{"CanIsolate", "b", func(_ *Server, u *core.UnitView) any {
			return loaded(u) && common(u).AllowIsolate && !common(u).RefuseManualStart
		}},
		{"CanClean", "as", func(*Server, *core.UnitView) any { return []string{} }},
		{"CanFreeze", "b", func(*Server, *core.UnitView) any { return false }},
		{"NeedDaemonReload", "b", func(s *Server, u *core.UnitView) any { return s.cfg.Stale != nil && s.cfg.Stale(u) }},
	}
}

// changingUnitProperty names the properties that PropertiesChanged carries: what changes
// while a unit lives. The others only change with its files.
func changingUnitProperty(name string) bool {
	switch name {
	case "ActiveState", "SubState", "FreezerState", "Job", "ConditionResult", "AssertResult", "InvocationID":
		return true
	}
	return strings.Contains(name, "Timestamp")
}

func (s *Server) fileState(u *core.UnitView) (state, preset string) {
	if s.cfg.FileState == nil {
		return "", ""
	}
	return s.cfg.FileState(u)
}

func spec(u *core.UnitView) *unit.Spec {
	if u.Spec == nil {
		return &unit.Spec{}
	}
	return u.Spec
}

func common(u *core.UnitView) *unit.Common {
	if u.Common == nil {
		c := unit.NewCommon()
		return &c
	}
	return u.Common
}
