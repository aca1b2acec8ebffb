package control

import (
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/unit"
)

// managerState is what the properties of the Manager object are computed from.
type managerState struct {
	info Info
	view *core.View
}

func (s *Server) managerState() *managerState {
	return &managerState{s.cfg.Info(), s.cfg.Manager.View()}
}

type managerProp = prop[*managerState]

func managerProps() []managerProp {
	text := func(name string, get func(i *Info) string) managerProp {
		return managerProp{name, "s", func(_ *Server, x *managerState) any { return get(&x.info) }}
	}
	rows := []managerProp{
		text("Version", func(i *Info) string { return i.Version }),
		text("Features", func(i *Info) string { return i.Features }),
		text("Virtualization", func(i *Info) string { return i.Virtualization }),
		text("Architecture", func(i *Info) string { return i.Architecture }),
		text("Tainted", func(i *Info) string { return i.Tainted }),
	}
	rows = append(rows, bootStamps()...)
	return append(rows,
		managerProp{"LogLevel", "s", constant("info")},
		managerProp{"LogTarget", "s", constant("kmsg")},
		managerProp{"NNames", "u", func(_ *Server, x *managerState) any { return countNames(x.view) }},
		managerProp{"NFailedUnits", "u", func(_ *Server, x *managerState) any { return countFailed(x.view) }},
		managerProp{"NJobs", "u", func(_ *Server, x *managerState) any { return uint32(len(x.view.Jobs())) }},
		managerProp{"Progress", "d", func(_ *Server, x *managerState) any { return progress(x.view) }},
		managerProp{"Environment", "as", func(_ *Server, x *managerState) any { return x.info.Environment }},
		managerProp{"ConfirmSpawn", "b", func(*Server, *managerState) any { return false }},
		managerProp{"ShowStatus", "b", func(*Server, *managerState) any { return true }},
		managerProp{"UnitPath", "as", func(_ *Server, x *managerState) any { return x.info.UnitPath }},
		managerProp{"ControlGroup", "s", func(_ *Server, x *managerState) any { return strings.TrimSuffix(x.info.ControlGroup, "/") }},
		managerProp{"SystemState", "s", func(_ *Server, x *managerState) any { return x.view.SystemState() }},
		managerProp{"ExitCode", "y", func(*Server, *managerState) any { return byte(0) }},
	)
}

func constant(v string) func(*Server, *managerState) any {
	return func(*Server, *managerState) any { return v }
}

// bootStamps are the pairs of time stamps of the boot.
func bootStamps() []managerProp {
	pairs := []struct {
		name string
		at   func(b *BootTimes) unit.Stamp
	}{
		{"FirmwareTimestamp", func(b *BootTimes) unit.Stamp { return b.Firmware }},
		{"LoaderTimestamp", func(b *BootTimes) unit.Stamp { return b.Loader }},
		{"KernelTimestamp", func(b *BootTimes) unit.Stamp { return b.Kernel }},
		{"InitRDTimestamp", func(b *BootTimes) unit.Stamp { return b.InitRD }},
		{"UserspaceTimestamp", func(b *BootTimes) unit.Stamp { return b.Userspace }},
		{"FinishTimestamp", func(b *BootTimes) unit.Stamp { return b.Finish }},
		{"UnitsLoadStartTimestamp", func(b *BootTimes) unit.Stamp { return b.UnitsLoadStart }},
		{"UnitsLoadFinishTimestamp", func(b *BootTimes) unit.Stamp { return b.UnitsLoadFinish }},
	}
	var out []managerProp
	for _, p := range pairs {
		out = append(out,
			managerProp{p.name, "t", func(_ *Server, x *managerState) any { return usec(p.at(&x.info.Boot).Real) }},
			managerProp{p.name + "Monotonic", "t", func(_ *Server, x *managerState) any { return usec(p.at(&x.info.Boot).Mono) }})
	}
	return out
}

func countNames(v *core.View) uint32 {
	var n uint32
	for u := range v.Units {
		n += uint32(len(names(u)))
	}
	return n
}

func countFailed(v *core.View) uint32 {
	var n uint32
	for u := range v.Units {
		if u.State.Active == unit.Failed {
			n++
		}
	}
	return n
}

// progress is how much of the start-up is done, 1 when it is over.
func progress(v *core.View) float64 {
	if v.SystemState() != "starting" || v.Len() == 0 {
		return 1
	}
	return 1 - min(1, float64(len(v.Jobs()))/float64(v.Len()))
}

func jobProps() []prop[*core.JobView] {
	type ref struct {
		Name string
		Path dbus.ObjectPath
	}
	return []prop[*core.JobView]{
		{"Id", "u", func(_ *Server, j *core.JobView) any { return uint32(j.ID) }},
		{"Unit", "(so)", func(_ *Server, j *core.JobView) any { return ref{string(j.Unit), unitPath(j.Unit)} }},
		{"JobType", "s", func(_ *Server, j *core.JobView) any { return j.Type.String() }},
		{"State", "s", func(_ *Server, j *core.JobView) any { return jobState(j) }},
	}
}
