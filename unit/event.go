package unit

// Event is one thing that happens to a unit. The concrete types below are all there are.
type Event interface{ isEvent() }

// Proc names a process beyond the reuse of its PID.
type Proc struct {
	PID   int
	Start uint64 // field 22 of /proc/PID/stat, clock ticks since boot
}

// IsZero reports whether p names no process.
func (p Proc) IsZero() bool { return p.PID == 0 }

// ExitCode is how a process ended (si_code of waitid(2)).
type ExitCode uint8

const (
	ExitUnknown ExitCode = iota // it is gone, nobody saw its status
	ExitExited                  // Status is the exit status
	ExitKilled                  // Status is the signal
	ExitDumped                  // Status is the signal, a core was dumped
)

// Exit is how a process ended.
type Exit struct {
	Code   ExitCode
	Status int
}

type (
	// Start asks the unit to start. Conditions have been checked; ordering is satisfied.
	Start struct{}
	// Stop asks the unit to stop.
	Stop struct{}
	// Reload asks an active unit to reload its configuration.
	Reload struct{}
	// Request is a client's or the engine's wish that is not a job.
	Request struct {
		Kind   RequestKind
		Signal int     // RequestKill
		Who    KillWho // RequestKill
		Proc   Proc    // RequestAttach
		FDs    []FDRef // RequestAttach of descriptors
	}
	// Spawned answers a Spawn as soon as the process exists; what it set up and executed is
	// told by Execed. With Err there is no process.
	Spawned struct {
		Seq  uint64
		Role string
		Proc Proc
		Err  *SpawnError
	}
	// Execed follows each successful Spawned once the set-up ended: the command's execve
	// succeeded, or (Err) a step failed and Exited with Err.Status will follow.
	Execed struct {
		Seq uint64
		Err *SpawnError
	}
	// Exited says that a process the unit owns is gone. It comes after the Spawned of that process.
	Exited struct {
		Proc Proc
		Exit Exit
	}
	// Notified is one sd_notify(3) datagram whose sender's credentials are From. One that was handled and
	// committed comes again if the core died before it could take it from the socket.
	Notified struct {
		From   Proc
		Fields []Field
		FDs    []FDRef // already held by init under temporary keys; StoreFD keeps, DropFD drops them
		// Same has, for each of FDs, the other keys under which the same open file is held, by whomever
		// and for whatever; shorter than FDs: for the rest there are none.
		Same [][]string
	}
	// TimerFired says that the timer armed under ID has elapsed; it is disarmed.
	TimerFired struct{ ID string }
	// FDReady says that a watched descriptor became readable; the watch is over.
	FDReady struct{ Key string }
	// CgroupEmpty says that the unit's control group has no process any more.
	CgroupEmpty struct{}
	// OOM says that the kernel's OOM killer took a process of the unit.
	OOM struct{}
	// PeerChanged tells a unit that a unit it Triggers, is TriggeredBy or BindsTo changed state.
	PeerChanged struct {
		Peer     Name
		Rel      Relation // seen from the receiver
		Old, New State
	}
	// PIDRead answers ReadPIDFile and FindMain.
	PIDRead struct {
		Seq  uint64
		Proc Proc
		Err  string // empty on success; what is wrong with the file
		// NotYet: the file does not exist or is empty, and may appear later.
		NotYet bool
	}
	// PathChanged says that a path under WatchPath may have changed; the watch is over.
	PathChanged struct{ ID string }
	// Done answers every other effect that has an answer.
	Done struct {
		Seq uint64
		Err string // empty on success
		// None, to a Kill of the whole control group: it had no process. A unit that waits
		// for CgroupEmpty need not wait any longer.
		None bool
	}
	// Recovered is the first event after a restart of the core: the world may have moved.
	// Unfinished effects are repeated or answered by the engine; the unit only
	// re-establishes what lives in the core alone (watches). Forgetful: the store has lost commits, so that something that the
	// unit was told may be missing, and will not be told again.
	Recovered struct{ Forgetful bool }
)

// RequestKind says what a Request wants.
type RequestKind uint8

const (
	RequestKill RequestKind = iota + 1
	RequestResetFailed
	RequestFreeze
	RequestThaw
	RequestClean
	RequestAttach
	RequestAbandon
	// RequestConditionFailed: the engine found a condition of a start job not met.
	RequestConditionFailed
	// RequestStartLimitHit: the engine refused a start because of StartLimitBurst=.
	RequestStartLimitHit
)

// KillWho selects processes of a unit (man systemctl(1), --kill-whom=).
type KillWho uint8

const (
	KillAll KillWho = iota
	KillMain
	KillControl
)

// Field is one KEY=VALUE line of a notification.
type Field struct{ Key, Value string }

// FDRef names a descriptor held by init.
type FDRef struct {
	Key  string // of the fd store, unique in the machine
	Name string // for LISTEN_FDNAMES
}

// SpawnError is a failed set-up step or exec: systemd's exit status and the setting at fault.
type SpawnError struct {
	Status int    // systemd.exec(5), "Process Exit Codes": 203 for a failed execve
	Step   string // the setting or call, "User", "execve"
	Msg    string
}

func (e *SpawnError) Error() string { return "cannot set up " + e.Step + ": " + e.Msg }

func (Start) isEvent()       {}
func (Stop) isEvent()        {}
func (Reload) isEvent()      {}
func (Request) isEvent()     {}
func (Spawned) isEvent()     {}
func (Execed) isEvent()      {}
func (Exited) isEvent()      {}
func (Notified) isEvent()    {}
func (TimerFired) isEvent()  {}
func (FDReady) isEvent()     {}
func (CgroupEmpty) isEvent() {}
func (OOM) isEvent()         {}
func (PeerChanged) isEvent() {}
func (PIDRead) isEvent()     {}
func (PathChanged) isEvent() {}
func (Done) isEvent()        {}
func (Recovered) isEvent()   {}
