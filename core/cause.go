package core

import (
	"time"

	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Each unit keeps its last changes, and each change what brought it about: a client, the boot, a
// signal, another unit's change, the unit's own settings, or something that happened to it. A
// cause that is another change names it by unit and number, so that a chain of causes can be followed
// to its root (View.Why). The changes are part of the unit's record in the store.

// maxChanges bounds what a unit keeps.
const maxChanges = 8

// CauseKind says what brought a change about. The numbers are stored: append only.
type CauseKind uint8

// The kinds of causes, with the fields of Cause that they use.
const (
	CauseUnknown    CauseKind = iota
	CauseClient               // Caller; Text: its words
	CauseBoot                 // the machine's first job
	CauseSignal               // Status: the signal that PID 1 got
	CauseUnit                 // Unit's Change, through Rel (what this unit is to Unit)
	CauseIsolate              // Unit's Change was a start in mode isolate, which stops what it does not need
	CauseTrigger              // Unit asked for it: a socket its service
	CauseRestart              // Restart= of the unit itself, after its Change
	CauseUnneeded             // StopWhenUnneeded=
	CauseExit                 // a process ended: Text its role, PID, Code, Status; Change: who killed it
	CauseTimeLimit            // Text: the unit's timer ("state", "watchdog")
	CauseOOM                  // the kernel's OOM killer
	CauseSetup                // a process could not be set up; Text says why
	CauseNotify               // the service said so (sd_notify)
	CauseEmpty                // no process was left in its control group
	CauseJobTimeout           // JobTimeoutSec= or JobRunningTimeoutSec= of its job
	CauseAction               // Text: a setting of Unit such as "FailureAction=reboot"
	CauseReload               // daemon-reload; Caller
	CauseRecovery             // so it was found after a restart of the manager
	CauseQuarantine           // it brought the manager down; Text says how
	CauseBroken               // the code of the unit's kind failed; Text says how
	CauseStartLimit           // StartLimitBurst= within StartLimitIntervalSec=
	CauseActivity             // something came in on what the unit listens to
)

// Cause is why something changed. It is comparable.
type Cause struct {
	Kind   CauseKind
	Rel    unit.Relation
	Code   unit.ExitCode
	Change uint32 // Change.N of Unit, or of the unit itself; 0: not known
	PID    int32
	Status int32
	Unit   unit.Name
	Text   string
	Caller *Caller // shared, never changed
}

// ChangeKind says what a Change is. The numbers are stored: append only.
type ChangeKind uint8

// The kinds of changes.
const (
	ChangeState    ChangeKind = iota // the state changed, and nobody had asked for that
	ChangeJob                        // a job was queued, and perhaps ended since
	ChangeCancel                     // Job was cancelled
	ChangeKill                       // signal Status was asked for
	ChangeReset                      // reset-failed
	ChangeSettings                   // daemon-reload gave it other settings
)

// Change is one entry of a unit's record.
type Change struct {
	N      uint32 // counts the unit's changes, from 1
	Kind   ChangeKind
	Type   unit.JobType     // ChangeJob
	Mode   unit.JobMode     // ChangeJob
	Result unit.JobResult   // ChangeJob; 0 while the job goes on
	State  unit.ActiveState // the state that it led to, so far
	Idle   bool             // the job found everything as it wanted it
	Starts uint16           // how many starts counted against StartLimitBurst= with this one
	Status uint16           // ChangeKill
	Job    JobID
	Real   time.Duration // when it began: CLOCK_REALTIME since the epoch
	Mono   time.Duration // ... CLOCK_MONOTONIC
	Ended  time.Duration // when it was over, CLOCK_MONOTONIC; 0: not yet
	Detail string        // more about how it ended: why a start failed or was skipped
	By     Cause

	newer *record.Unknown // what a newer version wrote
}

// Open reports whether more will be added to c.
func (c *Change) Open() bool { return c.Ended == 0 }

// note adds a change to x's record and returns its number. The slice is shared with views: it is
// replaced, never changed.
func (e *Engine) note(x *entry, c Change) uint32 {
	if n := len(x.changes); n > 0 {
		c.N = x.changes[n-1].N
	}
	c.N++
	c.Real, c.Mono = e.now.Real, e.now.Mono
	keep := x.changes
	skip := -1
	if len(keep) >= maxChanges {
		skip = leastTelling(keep)
	}
	list := make([]Change, 0, min(len(keep)+1, maxChanges))
	for i := range keep {
		if i != skip {
			list = append(list, keep[i])
		}
	}
	x.changes = append(list, c)
	e.touch(x)
	return c.N
}

// leastTelling chooses the entry to forget: the oldest, but not the last one that says who wanted the
// unit, which a service that restarts often would lose soon.
func leastTelling(list []Change) int {
	for i := len(list) - 1; i > 0; i-- {
		if list[i].origin() {
			return 0
		}
	}
	if list[0].origin() {
		return 1
	}
	return 0
}

// origin reports whether c is a start that the unit did not bring about itself.
func (c *Change) origin() bool {
	return c.Kind == ChangeJob && !c.Idle && c.By.Kind != CauseRestart && c.By.Kind != CauseTrigger &&
		(c.Type == unit.JobStart || c.Type == unit.JobRestart)
}

// amend changes entry i of x's record.
func (e *Engine) amend(x *entry, i int, f func(*Change)) {
	list := make([]Change, len(x.changes))
	copy(list, x.changes)
	f(&list[i])
	x.changes = list
	e.touch(x)
}

// last is the number of x's last change; 0 if there is none.
func (x *entry) last() uint32 {
	if n := len(x.changes); n > 0 {
		return x.changes[n-1].N
	}
	return 0
}

// lastOf is the number of the newest entry about x's job; 0 if there is none.
func (x *entry) lastOf(id JobID) uint32 {
	for i := len(x.changes) - 1; i >= 0; i-- {
		if c := &x.changes[i]; c.Kind == ChangeJob && c.Job == id {
			return c.N
		}
	}
	return 0
}

// byChange is the cause that is x's last change, seen from its neighbour of relation r.
func byChange(x *entry, r unit.Relation) Cause {
	return Cause{Kind: CauseUnit, Unit: x.name, Rel: r, Change: x.last()}
}
