package core

import (
	"strconv"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Causes in plain words, for whoever asks why.

// words finishes the sentence "it changed because ...".
func (c Cause) words() string {
	switch c.Kind {
	case CauseClient:
		return c.Caller.String() + " asked" + after(": ", c.Text)
	case CauseBoot:
		return "the machine booted"
	case CauseSignal:
		return "PID 1 got signal " + strconv.Itoa(int(c.Status))
	case CauseUnit, CauseIsolate, CauseTrigger, CauseAction:
		return c.unitWords()
	case CauseRestart:
		return "of Restart="
	case CauseUnneeded:
		return "nothing needed it any more (StopWhenUnneeded=)"
	case CauseExit:
		return c.exitWords()
	case CauseTimeLimit:
		if c.Text == "watchdog" {
			return "it sent no sign of life in time (WatchdogSec=)"
		}
		return "a time limit was exceeded (" + c.Text + ")"
	case CauseOOM:
		return "the kernel ended a process of it for want of memory"
	case CauseSetup:
		return c.Text
	case CauseNotify:
		return "it said so itself"
	case CauseEmpty:
		return "its last process ended"
	case CauseJobTimeout:
		return "its job took longer than its limit (JobTimeoutSec=, JobRunningTimeoutSec=)"
	case CauseReload:
		return "of a daemon-reload"
	case CauseRecovery:
		return "it was found so when the manager had been restarted"
	case CauseQuarantine:
		return "it brought the manager down" + after(": ", c.Text)
	case CauseBroken:
		return "the code of its kind failed" + after(": ", c.Text)
	case CauseStartLimit:
		return "it was started too often in a short time (StartLimitBurst=)"
	case CauseActivity:
		return "something came in"
	}
	return c.Text
}

func after(sep, s string) string {
	if s == "" {
		return ""
	}
	return sep + s
}

// String names the caller as a person would: its program and number.
func (c *Caller) String() string {
	if c == nil || c.PID == 0 && c.Comm == "" {
		return "a client"
	}
	s := c.Comm
	if s == "" {
		s = "a process"
	}
	return s + " (PID " + strconv.Itoa(c.PID) + ", user " + strconv.Itoa(c.UID) + ")"
}

func (c Cause) exitWords() string {
	s := "a process of it"
	switch {
	case c.Text == "main":
		s = "its main process"
	case c.Text != "":
		s = "its process " + c.Text
	}
	s += " (PID " + strconv.Itoa(int(c.PID)) + ")"
	switch c.Code {
	case unit.ExitExited:
		return s + " exited with status " + strconv.Itoa(int(c.Status))
	case unit.ExitKilled:
		return s + " was killed by signal " + strconv.Itoa(int(c.Status))
	case unit.ExitDumped:
		return s + " was killed by signal " + strconv.Itoa(int(c.Status)) + " and dumped core"
	}
	return s + " ended, and nobody saw how"
}

func (c Cause) unitWords() string {
	n := string(c.Unit)
	switch c.Kind {
	case CauseIsolate:
		return n + " was isolated and does not need it"
	case CauseTrigger:
		return n + " asked for it"
	case CauseAction:
		return n + " has " + c.Text
	}
	via := ""
	if c.Text != "" {
		via = " through " + c.Text
	}
	setting := " (" + c.Rel.String() + "=)"
	switch c.Rel {
	case unit.RequiredBy, unit.RequisiteOf, unit.BoundBy, unit.ConsistsOf, unit.UpheldBy:
		return "it depends on " + n + via + " (" + c.Rel.Inverse().String() + "=)"
	case unit.Conflicts, unit.ConflictedBy:
		return "it conflicts with " + n + via + " (Conflicts=)"
	case unit.OnFailure:
		return n + " failed" + setting
	case unit.OnSuccess:
		return n + " ended well" + setting
	case unit.TriggeredBy, unit.Triggers:
		return n + " changed" + setting
	case unit.PropagatesStopTo, unit.PropagatesReloadTo:
		return n + " hands it on" + via + setting
	}
	return n + " pulled it in" + via + setting
}

// did is what happened to the unit, without its cause: "was started", "failed".
func (c *Change) did() string {
	switch c.Kind {
	case ChangeCancel:
		return "had its job cancelled"
	case ChangeKill:
		return "was sent signal " + strconv.Itoa(int(c.Status))
	case ChangeReset:
		return "had its failures forgotten"
	case ChangeSettings:
		return "got new settings"
	case ChangeJob:
		return c.jobWords()
	}
	switch c.State {
	case unit.Failed:
		return "failed"
	case unit.Inactive:
		return "ended"
	case unit.Activating:
		if c.Open() {
			return "began to start"
		}
		return "went down"
	case unit.Deactivating:
		return "began to stop"
	}
	return "became " + c.State.String()
}

func (c *Change) jobWords() string {
	verb := jobVerb(c.Type)
	skipped := c.Result == unit.JobDone && c.Detail != "" && c.State.IsDown()
	switch {
	case c.Result == 0:
		return "has a " + c.Type.String() + " job queued"
	case c.By.Kind == CauseRestart && c.Type == unit.JobStart && c.Result == unit.JobDone && !skipped:
		return "was restarted"
	case skipped:
		return "was skipped"
	case c.Result == unit.JobDone:
		return "was " + verb
	case c.Result == unit.JobFailed:
		return "failed to be " + verb
	case c.Result == unit.JobCanceled:
		return "was to be " + verb + ", and the job was cancelled"
	}
	return "was not " + verb + " (" + c.Result.String() + ")"
}

func jobVerb(t unit.JobType) string {
	switch t {
	case unit.JobStop:
		return "stopped"
	case unit.JobReload:
		return "reloaded"
	case unit.JobRestart:
		return "restarted"
	case unit.JobVerifyActive:
		return "found active"
	}
	return "started"
}

// String is the kind's word.
func (k CauseKind) String() string {
	words := [...]string{"unknown", "client", "boot", "signal", "unit", "isolate", "trigger", "restart", "unneeded", "exit", "time-limit", "oom",
		"setup", "notify", "empty", "job-timeout", "action", "daemon-reload", "recovery", "quarantine", "broken", "start-limit", "activity"}
	if int(k) < len(words) {
		return words[k]
	}
	return "cause-" + strconv.Itoa(int(k))
}

// String is the kind's word.
func (k ChangeKind) String() string {
	words := [...]string{"state", "job", "cancel", "kill", "reset-failed", "settings"}
	if int(k) < len(words) {
		return words[k]
	}
	return "change-" + strconv.Itoa(int(k))
}
