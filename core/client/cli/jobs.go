package cli

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/sysmaster-go/sysmaster/core/client"
	"github.com/sysmaster-go/sysmaster/unit"
)

// names completes the command's arguments; patterns become the names of loaded units.
func (a *app) names() ([]string, error) {
	var out, patterns []string
	for _, s := range a.args {
		if isPattern(s) {
			patterns = append(patterns, s)
		} else {
			out = append(out, unitName(s))
		}
	}
	if len(patterns) == 0 {
		return out, nil
	}
	units, err := a.c.Units(a.ctx, nil, patterns)
	if err != nil {
		return nil, err
	}
	for _, u := range units {
		out = append(out, u.Name)
	}
	return out, nil
}

// jobs makes the command that asks for a verb on each unit and waits for all.
func jobs(v client.Verb) func(*app) int {
	return func(a *app) int { return a.runJobs(v, a.opt.jobMode) }
}

func (a *app) isolate() int { return a.runJobs(client.Start, "isolate") }

var verbWords = map[client.Verb]string{
	client.Start: "start", client.Stop: "stop", client.Reload: "reload", client.Restart: "restart",
	client.TryRestart: "restart", client.ReloadOrRestart: "reload or restart", client.ReloadOrTryRestart: "reload or restart",
}

func (a *app) runJobs(v client.Verb, mode string) int {
	names, err := a.names()
	if err != nil {
		return a.fail("list units", err)
	}
	code := 0
	var queued []*client.Job
	for _, n := range names {
		j, err := a.c.Enqueue(a.ctx, v, n, mode)
		if err != nil {
			code = a.failUnit(verbWords[v], n, err)
			continue
		}
		queued = append(queued, j)
	}
	if a.opt.noBlock {
		return code
	}
	for _, j := range queued {
		out, err := a.c.Wait(a.ctx, j)
		if err != nil {
			code = a.fail("wait for "+j.Unit, err)
			continue
		}
		if c := a.report(j, out); c != 0 {
			code = c
		}
	}
	if code == 0 && a.opt.wait && v == client.Start {
		code = a.waitDown(queued)
	}
	return code
}

// failUnit explains why a verb was refused for a unit.
func (a *app) failUnit(word, name string, err error) int {
	var lost *client.LostError
	if errors.As(err, &lost) {
		a.complain("cannot tell whether the manager took the command to %s %s: %v\nLook at its state before trying again: sctl status %s", word, name, err, name)
		return exitFailure
	}
	return a.fail(word+" "+name, err)
}

// report tells how a job ended; done and skipped are no news.
func (a *app) report(j *client.Job, out client.Outcome) int {
	word := verbWords[j.Verb]
	why := ""
	switch out.Result {
	case "done", "skipped":
		return 0
	case "canceled":
		why = "the job was canceled: another one took its place, or somebody canceled it"
	case "timeout":
		why = "the job took longer than its time limit"
	case "dependency":
		why = "a unit that it requires failed"
	case "invalid":
		why = "it is not active"
	case "assert":
		why = "an assertion (Assert...=) was not met"
	case "unsupported":
		why = "its kind is not supported"
	case "once":
		why = "it runs only once per boot"
	default:
		why = a.whyFailed(j.Unit)
	}
	if out.Inferred {
		why += " (as its state tells; the job ended while the manager restarted)"
	}
	a.complain("cannot %s %s: %s\nFor more: sctl status %s", word, j.Unit, why, j.Unit)
	return exitFailure
}

// whyFailed puts a service's result into words.
func (a *app) whyFailed(name string) string {
	p, err := a.c.Unit(a.ctx, name)
	if err != nil {
		return "it failed"
	}
	code, status := number(p, "ExecMainCode"), number(p, "ExecMainStatus")
	switch r := word(p, "Result"); r {
	case "exit-code", "signal", "core-dump":
		if code != 0 {
			return "a process of it ended badly: " + exitWords(code, status)
		}
		return "a process of it ended badly (" + r + ")"
	case "timeout":
		return "a time limit was exceeded (TimeoutStartSec=, TimeoutStopSec=)"
	case "start-limit-hit":
		return "it was started too often in a short time (StartLimitBurst=); after a correction: sctl reset-failed " + name
	case "resources":
		return "something that it needs could not be set up"
	case "protocol":
		return "it did not do what its Type= promises"
	case "oom-kill":
		return "the kernel ended it because memory ran out"
	case "watchdog":
		return "it stopped sending signs of life (WatchdogSec=)"
	case "", "success":
		return "it failed"
	default:
		return "it failed (" + r + ")"
	}
}

func (a *app) waitDown(queued []*client.Job) int {
	code := 0
	for _, j := range queued {
		state, err := a.c.WaitDown(a.ctx, j.Unit)
		if err != nil {
			return a.fail("wait for the end of "+j.Unit, err)
		}
		if state == "failed" {
			a.complain("%s failed: %s", j.Unit, a.whyFailed(j.Unit))
			code = exitFailure
		}
	}
	return code
}

func (a *app) kill() int {
	sig, err := unit.ParseSignal(a.opt.signal)
	if err != nil {
		return a.usage(fmt.Errorf("cannot send signal %q: %w", a.opt.signal, err))
	}
	whom := a.opt.whom
	if whom == "" {
		whom = "all"
	}
	return a.each("kill", func(n string) error { return a.c.Kill(a.ctx, n, whom, sig) })
}

func (a *app) resetFailed() int {
	if len(a.args) == 0 {
		if err := a.c.ResetFailed(a.ctx, ""); err != nil {
			return a.fail("forget failures", err)
		}
		return 0
	}
	return a.each("reset", func(n string) error { return a.c.ResetFailed(a.ctx, n) })
}

// each does something to each unit named; the last failure decides the exit code.
func (a *app) each(word string, f func(name string) error) int {
	names, err := a.names()
	if err != nil {
		return a.fail("list units", err)
	}
	code := 0
	for _, n := range names {
		if err := f(n); err != nil {
			code = a.fail(word+" "+n, err)
		}
	}
	return code
}

func (a *app) cancel() int {
	if len(a.args) == 0 {
		if err := a.c.ClearJobs(a.ctx); err != nil {
			return a.fail("cancel all jobs", err)
		}
		return 0
	}
	code := 0
	for _, s := range a.args {
		id, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return a.usage(fmt.Errorf("%q is no job number; see sctl list-jobs", s))
		}
		if err := a.c.Cancel(a.ctx, uint32(id)); err != nil {
			code = a.fail("cancel job "+s, err)
		}
	}
	return code
}

func (a *app) daemonReload() int {
	if err := a.c.Reload(a.ctx); err != nil {
		return a.fail("read the unit files again", err)
	}
	return 0
}

func (a *app) daemonReexec() int {
	if err := a.c.Reexec(a.ctx); err != nil {
		return a.fail("replace the service manager", err)
	}
	return 0
}
