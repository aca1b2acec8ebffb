package cli

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/core/client"
	"github.com/sysmaster-go/sysmaster/unit"
)

func (a *app) listUnits() int {
	patterns := make([]string, len(a.args))
	for i, s := range a.args {
		if patterns[i] = s; !isPattern(s) {
			patterns[i] = unitName(s)
		}
	}
	units, err := a.c.Units(a.ctx, a.opt.states, patterns)
	if err != nil {
		return a.fail("list units", err)
	}
	units = slices.DeleteFunc(units, func(u client.Unit) bool { return !a.shown(&u) })
	if a.opt.json {
		rows := make([][]field, 0, len(units))
		for _, u := range units {
			rows = append(rows, []field{{"unit", u.Name}, {"load", u.Load}, {"active", u.Active}, {"sub", u.Sub}, {"description", u.Description}})
		}
		a.printJSON(rows)
		return 0
	}
	head := []string{"", "UNIT", "LOAD", "ACTIVE", "SUB", "DESCRIPTION"}
	rows := make([][]string, 0, len(units))
	for _, u := range units {
		rows = append(rows, []string{a.dot(u.Load, u.Active, true), u.Name, u.Load, u.Active, u.Sub, u.Description})
	}
	a.table(head, rows)
	if !a.opt.noLegend && !a.opt.quiet {
		hint := ""
		if !a.opt.all {
			hint = " Inactive ones are shown by --all."
		}
		a.printf("\n%d units listed.%s\n", len(units), hint)
	}
	return 0
}

// shown applies systemctl's rule: what is active, has a job or failed; all with --all or a named state.
func (a *app) shown(u *client.Unit) bool {
	if len(a.opt.types) > 0 && !slices.Contains(a.opt.types, string(unit.Name(u.Name).Kind())) {
		return false
	}
	return a.opt.all || len(a.opt.states) > 0 || len(a.args) > 0 || u.Active != "inactive" || u.JobID != 0
}

func (a *app) listJobs() int {
	jobs, err := a.c.Jobs(a.ctx)
	if err != nil {
		return a.fail("list jobs", err)
	}
	if a.opt.json {
		rows := make([][]field, 0, len(jobs))
		for _, j := range jobs {
			rows = append(rows, []field{{"job", uint64(j.ID)}, {"unit", j.Unit}, {"type", j.Type}, {"state", j.State}, {"why", a.jobWhy(j.Unit, len(jobs))}})
		}
		a.printJSON(rows)
		return 0
	}
	if len(jobs) == 0 {
		a.printf("No jobs running.\n")
		return 0
	}
	rows := make([][]string, 0, len(jobs))
	for _, j := range jobs {
		rows = append(rows, []string{strconv.FormatUint(uint64(j.ID), 10), j.Unit, j.Type, j.State, a.jobWhy(j.Unit, len(jobs))})
	}
	a.table([]string{"JOB", "UNIT", "TYPE", "STATE", "WHY"}, rows)
	if !a.opt.noLegend {
		a.printf("\n%d jobs listed.\n", len(jobs))
	}
	return 0
}

// isActive prints each unit's state; one that is active suffices.
func (a *app) isActive() int {
	return a.anyState(exitNotActive, func(s string) bool { return s == "active" || s == "reloading" })
}

func (a *app) isFailed() int {
	return a.anyState(exitFailure, func(s string) bool { return s == "failed" })
}

func (a *app) anyState(otherwise int, good func(state string) bool) int {
	names, err := a.names()
	if err != nil {
		return a.fail("list units", err)
	}
	code := otherwise
	for _, n := range names {
		state, err := a.c.ActiveState(a.ctx, n)
		if err != nil {
			return a.fail("ask for the state of "+n, err)
		}
		if !a.opt.quiet {
			a.printf("%s\n", state)
		}
		if good(state) {
			code = 0
		}
	}
	return code
}

func (a *app) isSystemRunning() int {
	state, err := a.c.SystemState(a.ctx)
	if err != nil {
		if !a.opt.quiet {
			a.printf("offline\n")
		}
		return exitFailure
	}
	for a.opt.wait && (state == "initializing" || state == "starting") {
		if state, err = a.c.NextSystemState(a.ctx, state); err != nil {
			return a.fail("wait for the end of the start-up", err)
		}
	}
	if !a.opt.quiet {
		a.printf("%s\n", state)
	}
	if state == "running" {
		return 0
	}
	return exitFailure
}

// cat prints the files that make up a unit, each under its path.
func (a *app) cat() int {
	names, err := a.names()
	if err != nil {
		return a.fail("list units", err)
	}
	code, first := 0, true
	for _, n := range names {
		p, err := a.c.Unit(a.ctx, n)
		if err != nil {
			return a.fail("show "+n, err)
		}
		files := list(p, "DropInPaths")
		if f := word(p, "FragmentPath"); f != "" {
			files = append([]string{f}, files...)
		}
		if len(files) == 0 {
			a.complain("no files found for %s", n)
			code = exitFailure
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				code = a.fail("print the files of "+n, err)
				continue
			}
			if !first {
				a.printf("\n")
			}
			first = false
			a.printf("# %s\n%s", f, strings.TrimSuffix(string(data), "\n")+"\n")
		}
	}
	return code
}
