package service

import (
	"math"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// execRow is one element of D-Bus type a(sasbttttuii): a command and what became of it.
type execRow struct {
	Path                 string
	Argv                 []string
	Ignore               bool
	StartReal, StartMono uint64
	ExitReal, ExitMono   uint64
	PID                  uint32
	Code, Status         int32
}

// exitSet is D-Bus type (aiai): exit statuses and signals.
type exitSet struct{ Status, Signals []int32 }

// Props implements unit.Unit: org.freedesktop.systemd1.Service (man
// org.freedesktop.systemd1(5), SERVICE UNIT OBJECTS).
func (s *Service) Props() []unit.Value {
	p := s.configProps()
	p = append(p, s.stateProps()...)
	for l := list(0); l < numLists; l++ {
		p = append(p, unit.Value{Name: lists[l].key, Signature: "a(sasbttttuii)", V: s.rows(l)})
	}
	return append(p, s.cfg.Settings.Props(DefaultSlice(s.name))...)
}

func (s *Service) configProps() []unit.Value {
	c := &s.cfg
	return []unit.Value{
		{Name: "Type", Signature: "s", V: c.Type.String()},
		{Name: "ExitType", Signature: "s", V: either(c.ExitTypeCgroup, "cgroup", "main")},
		{Name: "Restart", Signature: "s", V: restartWords[c.Restart]},
		{Name: "PIDFile", Signature: "s", V: c.PIDFile},
		{Name: "NotifyAccess", Signature: "s", V: notifyWords[c.NotifyAccess]},
		{Name: "RestartUSec", Signature: "t", V: micros(c.RestartSec)},
		{Name: "TimeoutStartUSec", Signature: "t", V: micros(c.TimeoutStart)},
		{Name: "TimeoutStopUSec", Signature: "t", V: micros(c.TimeoutStop)},
		{Name: "TimeoutAbortUSec", Signature: "t", V: micros(c.TimeoutAbort)},
		{Name: "TimeoutStartFailureMode", Signature: "s", V: failWords[c.StartFailure]},
		{Name: "TimeoutStopFailureMode", Signature: "s", V: failWords[c.StopFailure]},
		{Name: "RuntimeMaxUSec", Signature: "t", V: micros(c.RuntimeMax)},
		{Name: "RuntimeRandomizedExtraUSec", Signature: "t", V: uint64(0)},
		{Name: "WatchdogUSec", Signature: "t", V: micros(s.watchdogSpan())},
		{Name: "RootDirectoryStartOnly", Signature: "b", V: c.Settings.Exec.RootDirectoryStartOnly},
		{Name: "RemainAfterExit", Signature: "b", V: c.RemainAfterExit},
		{Name: "GuessMainPID", Signature: "b", V: c.GuessMainPID},
		{Name: "RestartPreventExitStatus", Signature: "(aiai)", V: statusSet(&c.PreventStatus)},
		{Name: "RestartForceExitStatus", Signature: "(aiai)", V: statusSet(&c.ForceStatus)},
		{Name: "SuccessExitStatus", Signature: "(aiai)", V: statusSet(&c.SuccessStatus)},
		{Name: "BusName", Signature: "s", V: c.BusName},
		{Name: "FileDescriptorStoreMax", Signature: "u", V: uint32(c.FDStoreMax)},
	}
}

func (s *Service) stateProps() []unit.Value {
	control := ""
	if s.cgroup != "" && !s.phase.down() {
		control = "/" + s.cgroup
	}
	return []unit.Value{
		{Name: "MainPID", Signature: "u", V: uint32(s.m.Main.Proc.PID)},
		{Name: "ControlPID", Signature: "u", V: uint32(s.m.Control.Proc.PID)},
		{Name: "NFileDescriptorStore", Signature: "u", V: uint32(len(s.stored))},
		{Name: "StatusText", Signature: "s", V: s.statusText},
		{Name: "StatusErrno", Signature: "i", V: int32(s.errno)},
		{Name: "Result", Signature: "s", V: s.result.String()},
		{Name: "ReloadResult", Signature: "s", V: s.reloadResult.String()},
		{Name: "CleanResult", Signature: "s", V: success.String()},
		{Name: "UID", Signature: "u", V: uint32(math.MaxUint32)},
		{Name: "GID", Signature: "u", V: uint32(math.MaxUint32)},
		{Name: "NRestarts", Signature: "u", V: s.restarts},
		{Name: "ExecMainStartTimestamp", Signature: "t", V: micros(s.main.start.Real)},
		{Name: "ExecMainStartTimestampMonotonic", Signature: "t", V: micros(s.main.start.Mono)},
		{Name: "ExecMainExitTimestamp", Signature: "t", V: micros(s.main.exit.Real)},
		{Name: "ExecMainExitTimestampMonotonic", Signature: "t", V: micros(s.main.exit.Mono)},
		{Name: "ExecMainPID", Signature: "u", V: uint32(s.main.pid)},
		{Name: "ExecMainCode", Signature: "i", V: int32(s.main.end.Code)},
		{Name: "ExecMainStatus", Signature: "i", V: int32(s.main.end.Status)},
		{Name: "ControlGroup", Signature: "s", V: control},
	}
}

func (s *Service) rows(l list) []execRow {
	out := make([]execRow, 0, len(s.cfg.Exec[l]))
	for i, c := range s.cfg.Exec[l] {
		row := execRow{Path: c.Path, Argv: c.Argv, Ignore: c.IgnoreFail}
		if i < len(s.status[l]) {
			st := &s.status[l][i]
			row.StartReal, row.StartMono = micros(st.start.Real), micros(st.start.Mono)
			row.ExitReal, row.ExitMono = micros(st.exit.Real), micros(st.exit.Mono)
			row.PID, row.Code, row.Status = uint32(st.pid), int32(st.end.Code), int32(st.end.Status)
		}
		out = append(out, row)
	}
	return out
}

// micros is a time as clients see it; MaxUint64 stands for infinity.
func micros(d time.Duration) uint64 {
	if d == unit.Infinity {
		return math.MaxUint64
	}
	return uint64(max(d, 0) / time.Microsecond)
}

func statusSet(s *execspec.ExitSet) exitSet {
	status, signals := s.Lists()
	return exitSet{append([]int32{}, status...), append([]int32{}, signals...)}
}

func either(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
