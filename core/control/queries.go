package control

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/client/wire"
	"github.com/sysmaster-go/sysmaster/unit"
)

// listSig is the type of a list of units; listed is one row.
const listSig = "a(ssssssouso)"

type listed struct {
	ID, Description, Load, Active, Sub, Following string
	Path                                          dbus.ObjectPath
	JobID                                         uint32
	JobType                                       string
	JobPath                                       dbus.ObjectPath
}

func listRow(u *core.UnitView) listed {
	r := listed{
		ID: string(u.Name), Description: clean(description(u)), Load: string(u.Load),
		Active: u.State.Active.String(), Sub: clean(u.State.Sub), Path: unitPath(u.Name), JobPath: "/",
	}
	if u.Job != nil {
		r.JobID, r.JobType, r.JobPath = uint32(u.Job.ID), u.Job.Type.String(), jobPath(u.Job.ID)
	}
	return r
}

func description(u *core.UnitView) string {
	if u.Common != nil && u.Common.Description != "" {
		return u.Common.Description
	}
	return string(u.Name)
}

// list answers with the units in any of the states (all if there are none) with a name that
// matches any of the patterns (likewise).
func (c *call) list(states, patterns []string) {
	view := c.s.cfg.Manager.View()
	rows := make([]listed, 0, view.Len())
	for i, p := range patterns {
		patterns[i] = strings.ReplaceAll(p, "[!", "[^") // fnmatch(3) to path.Match
	}
	for u := range view.Units {
		if matchesState(u, states) && matchesName(u, patterns) {
			rows = append(rows, listRow(u))
		}
	}
	slices.SortFunc(rows, func(a, b listed) int { return strings.Compare(a.ID, b.ID) })
	c.reply(listSig, rows)
}

func matchesState(u *core.UnitView, states []string) bool {
	return len(states) == 0 || slices.Contains(states, u.State.Active.String()) ||
		slices.Contains(states, u.State.Sub) || slices.Contains(states, string(u.Load))
}

func matchesName(u *core.UnitView, patterns []string) bool {
	if len(patterns) == 0 {
		return true
	}
	for _, p := range patterns {
		for _, n := range names(u) {
			if ok, err := path.Match(p, n); ok && err == nil { // a bad pattern matches nothing
				return true
			}
		}
	}
	return false
}

// names are the unit's names, the main one first.
func names(u *core.UnitView) []string {
	out := []string{string(u.Name)}
	if u.Spec != nil {
		for _, a := range u.Spec.Aliases {
			if a != u.Name {
				out = append(out, string(a))
			}
		}
	}
	return out
}

func (c *call) listByNames() {
	rows := []listed{}
	for _, name := range c.args[0].([]string) {
		n, err := unit.ParseName(name)
		if err != nil {
			continue // as systemd does
		}
		u, err := c.s.load(c.c, n)
		if err != nil {
			c.fail(err)
			return
		}
		rows = append(rows, listRow(u))
	}
	c.reply(listSig, rows)
}

func (c *call) listJobs() {
	type row struct {
		ID                uint32
		Unit, Type, State string
		Job, UnitPath     dbus.ObjectPath
	}
	rows := []row{}
	for _, j := range c.s.cfg.Manager.View().Jobs() {
		rows = append(rows, row{uint32(j.ID), string(j.Unit), j.Type.String(), jobState(j), jobPath(j.ID), unitPath(j.Unit)})
	}
	c.reply("a(usssoo)", rows)
}

func jobState(j *core.JobView) string {
	if j.Running {
		return "running"
	}
	return "waiting"
}

func (c *call) getUnit() {
	n, err := parseUnit(c.str(0))
	if err != nil {
		c.fail(err)
		return
	}
	u := c.s.cfg.Manager.View().Unit(n)
	if u == nil {
		c.fail(notLoaded(n))
		return
	}
	c.reply("o", unitPath(u.Name))
}

func (c *call) loadUnit() {
	n, err := parseUnit(c.str(0))
	if err == nil {
		var u *core.UnitView
		if u, err = c.s.load(c.c, n); err == nil {
			c.reply("o", unitPath(u.Name))
			return
		}
	}
	c.fail(err)
}

func (c *call) getUnitByPID() {
	pid := int(c.args[0].(uint32))
	if pid == 0 {
		pid = c.c.pid
	}
	view := c.s.cfg.Manager.View()
	for u := range view.Units {
		for i := range u.Procs {
			if u.Procs[i].Proc.PID == pid {
				c.reply("o", unitPath(u.Name))
				return
			}
		}
	}
	if c.s.cfg.CGroups != nil {
		if group, ok := c.s.cfg.CGroups.Of(pid); ok {
			if u := unitOfCGroup(view, group); u != nil {
				c.reply("o", unitPath(u.Name))
				return
			}
		}
	}
	c.fail(&busError{errNoUnitForPID, fmt.Sprintf("PID %d does not belong to any loaded unit.", pid)})
}

// unitOfCGroup finds the unit whose group is group or the nearest one above it.
func unitOfCGroup(v *core.View, group string) *core.UnitView {
	group = strings.Trim(group, "/")
	var best *core.UnitView
	for u := range v.Units {
		g := strings.Trim(u.CGroup, "/")
		if g != "" && (group == g || strings.HasPrefix(group, g+"/")) && (best == nil || len(best.CGroup) < len(u.CGroup)) {
			best = u
		}
	}
	return best
}

func (c *call) getUnitByCGroup() {
	group, ok := strings.CutPrefix(c.str(0), strings.TrimSuffix(c.s.cfg.Info().ControlGroup, "/"))
	if u := unitOfCGroup(c.s.cfg.Manager.View(), group); ok && u != nil {
		c.reply("o", unitPath(u.Name))
		return
	}
	c.fail(&busError{errNoSuchUnit, fmt.Sprintf("Control group '%s' is not valid or not managed by this instance", c.str(0))})
}

func (c *call) getUnitByInvocation() {
	id := c.args[0].([]byte)
	if len(id) != 16 || bytes.Equal(id, make([]byte, 16)) {
		c.fail(&busError{errInvalidArgs, "Invalid invocation ID"})
		return
	}
	for u := range c.s.cfg.Manager.View().Units {
		if bytes.Equal(u.Invocation[:], id) {
			c.reply("o", unitPath(u.Name))
			return
		}
	}
	c.fail(&busError{wire.Service + ".NoUnitForInvocationID", "No unit with the specified invocation ID."})
}

func (c *call) getJob() {
	id := c.args[0].(uint32)
	if findJob(c.s.cfg.Manager.View(), core.JobID(id)) == nil {
		c.fail(noJob(id))
		return
	}
	c.reply("o", jobPath(core.JobID(id)))
}

func (c *call) getUnitFileState() {
	n, err := unit.ParseName(c.str(0))
	if err != nil || c.s.cfg.FileState == nil {
		c.fail(&busError{errNotSupported, "The state of unit files is not known here."})
		return
	}
	u, err := c.s.load(c.c, n)
	if err != nil {
		c.fail(err)
		return
	}
	state, _ := c.s.cfg.FileState(u)
	if state == "" {
		c.fail(&busError{"org.freedesktop.DBus.Error.FileNotFound", fmt.Sprintf("Unit file %s does not exist.", n)})
		return
	}
	c.reply("s", clean(state))
}

func (c *call) getUnitProcesses() {
	n, err := parseUnit(c.str(0))
	if err != nil {
		c.fail(err)
		return
	}
	u := c.s.cfg.Manager.View().Unit(n)
	if u == nil {
		c.fail(notLoaded(n))
		return
	}
	c.processes(u)
}

// processes lists a unit's processes: those of its control group, or, where there are no control
// groups, those that the unit itself knows.
func (c *call) processes(u *core.UnitView) {
	type row struct {
		CGroup  string
		PID     uint32
		Command string
	}
	rows := []row{}
	group, ok := c.s.controlGroup(u)
	if ok && c.s.cfg.CGroups != nil {
		list, err := c.s.cfg.CGroups.Processes(strings.Trim(u.CGroup, "/"))
		if err != nil {
			c.fail(fmt.Errorf("cannot list the processes of %s: %w", u.Name, err))
			return
		}
		for _, p := range list {
			rows = append(rows, row{clean(c.s.absolute(p.CGroup)), uint32(p.PID), clean(p.Command)})
		}
	} else {
		for _, p := range u.Procs {
			command := p.Role
			if c.s.cfg.Command != nil {
				command = c.s.cfg.Command(int(p.Proc.PID))
			}
			rows = append(rows, row{group, uint32(p.Proc.PID), clean(command)})
		}
	}
	c.reply("a(sus)", rows)
}

// dump is a short text for people.
func (c *call) dump() {
	view := c.s.cfg.Manager.View()
	var b strings.Builder
	fmt.Fprintf(&b, "State: %s\nTurn: %d\nUnits: %d\nJobs: %d\n", view.SystemState(), view.Turn, view.Len(), len(view.Jobs()))
	for u := range view.Units {
		fmt.Fprintf(&b, "-> Unit %s:\n\tLoad: %s\n\tState: %s (%s)\n\tResult: %s\n", u.Name, u.Load, u.State.Active, u.State.Sub, u.State.Result)
		for _, p := range u.Procs {
			fmt.Fprintf(&b, "\tProcess: %d (%s)\n", p.Proc.PID, p.Role)
		}
	}
	for _, j := range view.Jobs() {
		fmt.Fprintf(&b, "-> Job %d:\n\tAction: %s -> %s\n\tState: %s\n", j.ID, j.Unit, j.Type, jobState(j))
	}
	c.reply("s", clean(b.String()))
}
