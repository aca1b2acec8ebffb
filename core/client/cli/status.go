package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/core/client"
	"github.com/sysmaster-go/sysmaster/core/client/wire"
)

// status shows units one after the other, or the whole machine.
func (a *app) status() int {
	if len(a.args) == 0 {
		return a.systemStatus()
	}
	names, err := a.names()
	if err != nil {
		return a.fail("list units", err)
	}
	code := 0
	for i, n := range names {
		if i > 0 {
			a.printf("\n")
		}
		c := a.unitStatus(n)
		if code == 0 {
			code = c
		}
	}
	return code
}

func (a *app) unitStatus(name string) int {
	p, err := a.c.Unit(a.ctx, name)
	if err != nil {
		return a.fail("show "+name, err)
	}
	load, active := word(p, "LoadState"), word(p, "ActiveState")
	if load == "not-found" && active == "inactive" {
		a.complain("unit %s could not be found", name)
		return exitNoSuchUnit
	}
	a.printf("%s %s - %s\n", a.dot(load, active, false), word(p, "Id"), foreign(word(p, "Description")))
	a.loaded(p)
	a.active(p)
	a.line("Why", a.whyLine(word(p, "Id")))
	a.dependents(p)
	a.processLines(p)
	a.resources(p)
	a.tree(name, p)
	switch active {
	case "inactive", "failed":
		return exitNotActive
	}
	return 0
}

// line prints one row under its label; empty ones are left out.
func (a *app) line(label, text string) {
	if text != "" {
		a.printf("%s%s: %s\n", strings.Repeat(" ", max(0, 12-len(label))), label, text)
	}
}

func (a *app) loaded(p client.Props) {
	load := word(p, "LoadState")
	if load != "loaded" && load != "masked" {
		load = a.paint(red, load)
	}
	var in []string
	for _, name := range []string{"FragmentPath", "UnitFileState"} {
		if s := word(p, name); s != "" {
			in = append(in, s)
		}
	}
	if s := word(p, "UnitFilePreset"); s != "" {
		in = append(in, "preset: "+s)
	}
	if len(in) > 0 {
		load += " (" + foreign(strings.Join(in, "; ")) + ")"
	}
	a.line("Loaded", load)
	if e, ok := p["LoadError"].Value().(wire.Struct); ok && len(e) == 2 && e[1] != "" {
		a.line("Reason", foreign(e[1].(string)))
	}
	if flag(p, "NeedDaemonReload") {
		a.line("Warning", a.paint(yellow, "its files changed on disk; to read them again: sctl daemon-reload"))
	}
	for i, d := range list(p, "DropInPaths") {
		label := ""
		if i == 0 {
			label = "Drop-In"
			a.line(label, foreign(d))
			continue
		}
		a.printf("%14s%s\n", "", foreign(d))
	}
}

// active prints the state and since when.
func (a *app) active(p client.Props) {
	active, sub, result := word(p, "ActiveState"), word(p, "SubState"), word(p, "Result")
	text := active
	switch {
	case active == "failed" && result != "" && result != "success":
		text += " (Result: " + result + ")"
	case active != sub:
		text += " (" + sub + ")"
	}
	switch active {
	case "active", "reloading":
		text = a.paint(green, text)
	case "failed":
		text = a.paint(red, text)
	}
	name := "StateChangeTimestamp"
	switch active {
	case "active", "reloading":
		name = "ActiveEnterTimestamp"
	case "inactive", "failed":
		name = "InactiveEnterTimestamp"
	case "activating":
		name = "InactiveExitTimestamp"
	case "deactivating":
		name = "ActiveExitTimestamp"
	}
	if at := number(p, name); at != 0 {
		text += " since " + a.stamp(at) + "; " + a.ago(at)
	}
	a.line("Active", text)
	if at := number(p, "ConditionTimestamp"); at != 0 && !flag(p, "ConditionResult") && active == "inactive" {
		a.line("Condition", "start condition failed at "+a.stamp(at)+"; "+a.ago(at))
		a.failedConditions(p)
	}
}

func (a *app) failedConditions(p client.Props) {
	rows, _ := p["Conditions"].Value().([]any)
	for _, r := range rows {
		c, ok := r.(wire.Struct)
		if !ok || len(c) != 5 {
			continue
		}
		if result, _ := c[4].(int32); result < 0 {
			mark := ""
			if trigger, _ := c[1].(bool); trigger {
				mark += "|"
			}
			if negate, _ := c[2].(bool); negate {
				mark += "!"
			}
			kind, _ := c[0].(string)
			param, _ := c[3].(string)
			a.printf("%14s%s=%s%s was not met\n", "", kind, mark, foreign(param))
		}
	}
}

func (a *app) dependents(p client.Props) {
	for _, name := range []string{"TriggeredBy", "Triggers"} {
		for _, other := range list(p, name) {
			state, err := a.c.ActiveState(a.ctx, other)
			if err != nil {
				state = "unknown"
			}
			a.line(name, a.dot("loaded", state, false)+" "+other)
		}
	}
	if docs := list(p, "Documentation"); len(docs) > 0 {
		a.line("Docs", foreign(strings.Join(docs, " ")))
	}
	if j, ok := p["Job"].Value().(wire.Struct); ok && len(j) == 2 && j[0] != uint32(0) {
		a.line("Job", strconv.FormatUint(uint64(j[0].(uint32)), 10))
	}
}

// execLists are the properties whose processes are shown, in the order of a unit's life.
var execLists = [...]string{
	"ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost",
}

// processLines print how the unit's commands ended, and the main process.
func (a *app) processLines(p client.Props) {
	main := number(p, "MainPID")
	for _, name := range execLists {
		rows, _ := p[name].Value().([]any)
		for _, r := range rows {
			e, ok := r.(wire.Struct)
			if !ok || len(e) != 10 {
				continue
			}
			pid, _ := e[7].(uint32)
			code, _ := e[8].(int32)
			status, _ := e[9].(int32)
			argv, _ := e[1].([]string)
			if pid == 0 || code == 0 || uint64(pid) == main {
				continue
			}
			a.line("Process", strconv.FormatUint(uint64(pid), 10)+" "+name+"="+foreign(strings.Join(argv, " "))+
				" (code="+exitWords(uint64(code), uint64(status))+")")
		}
	}
	if main != 0 {
		a.line("Main PID", strconv.FormatUint(main, 10))
	} else if pid := number(p, "ExecMainPID"); pid != 0 {
		text := strconv.FormatUint(pid, 10)
		if code := number(p, "ExecMainCode"); code != 0 {
			text += " (code=" + exitWords(code, number(p, "ExecMainStatus")) + ")"
		}
		a.line("Main PID", text)
	}
	if s := word(p, "StatusText"); s != "" {
		a.line("Status", strconv.Quote(s))
	}
	for _, l := range listenRows(p) {
		a.line("Listen", l)
	}
}

func listenRows(p client.Props) []string {
	rows, _ := p["Listen"].Value().([]any)
	var out []string
	for _, r := range rows {
		if l, ok := r.(wire.Struct); ok && len(l) == 2 {
			kind, _ := l[0].(string)
			addr, _ := l[1].(string)
			out = append(out, foreign(addr)+" ("+kind+")")
		}
	}
	return out
}

func (a *app) resources(p client.Props) {
	if n, ok := count(p, "TasksCurrent"); ok {
		text := strconv.FormatUint(n, 10)
		if limit, ok := count(p, "TasksMax"); ok {
			text += " (limit: " + strconv.FormatUint(limit, 10) + ")"
		}
		a.line("Tasks", text)
	}
	if n, ok := count(p, "MemoryCurrent"); ok {
		a.line("Memory", size(n))
	}
	if n, ok := count(p, "CPUUsageNSec"); ok {
		a.line("CPU", span(n/1_000_000*1000, 2)) // to the millisecond, as systemctl
	}
}

// tree prints the unit's control group with its processes.
func (a *app) tree(name string, p client.Props) {
	root := word(p, "ControlGroup")
	procs, err := a.c.Processes(a.ctx, name)
	if err != nil {
		if !client.Is(err, client.NoSuchUnit) {
			a.complain("cannot list the processes of %s: %v", name, err)
		}
		return
	}
	if len(procs) == 0 {
		return
	}
	a.line("CGroup", root)
	a.group(root, procs, strings.Repeat(" ", 14))
}

// group prints the processes of one group, then the groups below it.
func (a *app) group(path string, procs []client.Process, indent string) {
	own := []client.Process{}
	below := map[string][]client.Process{}
	for _, p := range procs {
		rest, inside := strings.CutPrefix(p.CGroup, strings.TrimSuffix(path, "/")+"/")
		if p.CGroup == path || !inside {
			own = append(own, p)
			continue
		}
		child, _, _ := strings.Cut(rest, "/")
		below[child] = append(below[child], p)
	}
	slices.SortFunc(own, func(x, y client.Process) int { return int(x.PID) - int(y.PID) })
	names := make([]string, 0, len(below))
	for n := range below {
		names = append(names, n)
	}
	slices.Sort(names)
	for i, p := range own {
		branch := "├─"
		if i == len(own)-1 && len(names) == 0 {
			branch = "└─"
		}
		a.printf("%s%s%d %s\n", indent, branch, p.PID, foreign(p.Command))
	}
	for i, n := range names {
		branch, deeper := "├─", "│ "
		if i == len(names)-1 {
			branch, deeper = "└─", "  "
		}
		a.printf("%s%s%s\n", indent, branch, foreign(n))
		a.group(strings.TrimSuffix(path, "/")+"/"+n, below[n], indent+deeper)
	}
}

// systemStatus sums up the machine.
func (a *app) systemStatus() int {
	p, err := a.c.Manager(a.ctx)
	if err != nil {
		return a.fail("show the service manager", err)
	}
	state := word(p, "SystemState")
	color := green
	if state != "running" {
		color = yellow
	}
	a.line("State", a.paint(color, state))
	if troubles, err := a.c.Troubles(a.ctx); err == nil { // a manager of another make has none
		for _, t := range troubles {
			a.line("Trouble", a.paint(red, foreign(t)))
		}
	}
	a.line("Units", strconv.FormatUint(number(p, "NNames"), 10)+" loaded")
	a.line("Jobs", strconv.FormatUint(number(p, "NJobs"), 10)+" queued")
	a.line("Failed", strconv.FormatUint(number(p, "NFailedUnits"), 10)+" units")
	if at := number(p, "UserspaceTimestamp"); at != 0 {
		a.line("Since", a.stamp(at)+"; "+a.ago(at))
	}
	if n := number(p, "NFailedBoots"); n > 0 {
		a.line("Boots", a.paint(yellow, strconv.FormatUint(n, 10)+" in a row failed before this one"))
	}
	a.line("Version", foreign(word(p, "Version")))
	if v, err := a.c.Versions(a.ctx); err == nil { // a manager of another make has none
		a.versions(v)
	}
	units, err := a.c.Units(a.ctx, []string{"failed"}, nil)
	if err != nil {
		return a.fail("list failed units", err)
	}
	for _, u := range units {
		a.printf("%14s%s %s - %s\n", "", a.dot(u.Load, u.Active, true), u.Name, foreign(u.Description))
	}
	return 0
}
