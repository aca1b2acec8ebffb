package core

import "github.com/sysmaster-go/sysmaster/unit"

// Caller says who asked, for the record and for messages.
type Caller struct {
	UID  int
	PID  int
	Comm string // the process's own name, as in /proc/PID/comm
}

// Request is one call to the engine, queued as sys.Request{Body: *Request}. Op is one of
// the Op types below. Reply, if not nil, is called exactly once from the engine's
// goroutine after the commit that made the answer true; it must not block.
type Request struct {
	// ID, if not zero, makes the request one that can be sent again: the second time it is not
	// done, and gets the answer of the first. It is the caller's own: of another UID it is another.
	ID     RequestID
	Caller Caller
	// Words are what the caller asked for, in few words of its own ("TryRestart a.service replace"); they
	// decide whether a request with a known ID is the same one. Empty: made from Op.
	Words string
	Op    any
	Reply func(Response)

	by      Cause       // what the engine itself asks for; else the caller is the cause
	settled func(error) // called inside the turn in which the outcome is decided
	asked   *asked      // where the answer is kept, until there is one
}

// Response answers a Request.
type Response struct {
	Err  error
	Job  JobID     // OpJob: the job of the requested unit; 0 when nothing had to be done
	Unit unit.Name // the canonical name of the requested unit
	// Result says how the job ended, if that was known when the answer was given: nothing had to
	// be done, or the request was answered before.
	Result unit.JobResult
}

type (
	// OpJob loads the unit and enqueues a job with all that it pulls in. Manual requests
	// respect RefuseManualStart= and RefuseManualStop=.
	OpJob struct {
		Unit   unit.Name
		Type   unit.JobType
		Mode   unit.JobMode
		Manual bool
	}
	// OpLoad loads the unit. What it refers to is loaded too, perhaps after the answer.
	OpLoad struct{ Unit unit.Name }
	// OpKill signals a unit's processes.
	OpKill struct {
		Unit   unit.Name
		Who    unit.KillWho
		Signal int
	}
	// OpResetFailed clears the failed state and the start limit of one unit, or (empty) of all.
	OpResetFailed struct{ Unit unit.Name }
	// OpCancel cancels a job; ID 0 cancels all.
	OpCancel struct{ ID JobID }
	// OpReload reads all unit files again and applies what changed. No job is lost.
	OpReload struct{}
	// OpReexec replaces the core by a fresh one.
	OpReexec struct{}
	// OpShutdown takes the machine down at once, without stopping units ("--force"):
	// Verb is "poweroff", "reboot", "halt" or "exit".
	OpShutdown struct {
		Verb string
		Code int
	}
)

// Event is something that clients may want to hear of. Events are delivered after the
// commit, in order, from the engine's goroutine.
type Event interface{ isEvent() }

type (
	// JobNew says that a job was queued.
	JobNew struct{ Job JobView }
	// JobRemoved says that a job ended, with its Result.
	JobRemoved struct{ Job JobView }
	// UnitNew says that a unit was loaded.
	UnitNew struct{ Unit unit.Name }
	// UnitRemoved says that a unit was unloaded.
	UnitRemoved struct{ Unit unit.Name }
	// UnitChanged says that a unit's state changed.
	UnitChanged struct {
		Unit     unit.Name
		Old, New unit.State
	}
	// Reloading brackets a daemon-reload.
	Reloading struct{ Active bool }
	// Quarantined says that the core has died of a unit (or, with Unit empty or the stage its own, of
	// a request, job or signal) too often, and keeps its hands off it.
	Quarantined struct {
		Unit       unit.Name
		Quarantine Quarantine
	}
	// Recovery says what a step of recovery found. It is delivered with the first turn's events.
	Recovery struct {
		Step     RecoveryStep
		Units    int // that the step was about
		Effects  int
		Problems int
	}
	// StartupFinished says that the first transaction has ended.
	StartupFinished struct{}
	// Message is a line for the administrator; Unit may be empty.
	Message struct {
		Level unit.Level
		Unit  unit.Name
		Text  string
	}
)

func (JobNew) isEvent()          {}
func (JobRemoved) isEvent()      {}
func (UnitNew) isEvent()         {}
func (UnitRemoved) isEvent()     {}
func (UnitChanged) isEvent()     {}
func (Reloading) isEvent()       {}
func (Quarantined) isEvent()     {}
func (Recovery) isEvent()        {}
func (StartupFinished) isEvent() {}
func (Message) isEvent()         {}
