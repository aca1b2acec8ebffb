package sim

import "time"

// Program is how a simulated process behaves. The zero value exits at once with success.
type Program struct {
	// Runs is how long it runs before it exits by itself; Forever: until it is killed.
	Runs time.Duration
	// Status is its exit status when it ends by itself.
	Status int
	// Signal, if not 0, ends it instead of an exit status: 11 for a crash. Dumped: with a core dump.
	Signal int
	Dumped bool `json:",omitempty"`
	// Ready is when it sends READY=1, if it ever does: Forever for never.
	Ready time.Duration
	// Notices are further messages to the notification socket.
	Notices []Notice `json:",omitempty"`
	// Ping, if not 0, is how often it sends WATCHDOG=1, until PingUntil (0: as long as it lives).
	Ping      time.Duration `json:",omitempty"`
	PingUntil time.Duration `json:",omitempty"`
	// Forks: it leaves a child running in the same control group, and writes the child's PID to
	// PIDFile, before it exits: a daemon's double fork. The child runs for ChildRuns (0: Forever).
	Forks     bool          `json:",omitempty"`
	ChildRuns time.Duration `json:",omitempty"`
	PIDFile   string        `json:",omitempty"`
	// PIDFileLate is how long after the fork the file is written; PIDFileSays what it says.
	PIDFileLate time.Duration `json:",omitempty"`
	PIDFileSays PIDFileSays   `json:",omitempty"`
	// Leaves is the number of children that stay in the control group when it has ended, as long
	// as nobody kills them. They are no main process and write no PID file.
	Leaves int `json:",omitempty"`
	// IgnoresTerm: only SIGKILL ends it, and its children.
	IgnoresTerm bool `json:",omitempty"`
	// TermTakes is how long it takes to end after a signal other than SIGKILL.
	TermTakes time.Duration `json:",omitempty"`
	// FailSpawn, if not empty, makes its set-up fail with this step and FailStatus (0: 203). With
	// NoProcess it fails before there is a process.
	FailSpawn  string `json:",omitempty"`
	FailStatus int    `json:",omitempty"`
	NoProcess  bool   `json:",omitempty"`
}

// Notice is one message to the notification socket, sent After the program's start if the sender
// is still alive. Lines without "=" are dropped, as they are by the real socket's reader.
// $FOREIGN in Text is the PID of another unit's process, $CHILD that of the last child.
type Notice struct {
	After time.Duration
	Text  string
	// Foreign: the sender is a process of another unit, or of none.
	Foreign bool `json:",omitempty"`
	// FDs is the number of descriptors that come with it.
	FDs int `json:",omitempty"`
}

// PIDFileSays is what a program writes into its PID file.
type PIDFileSays string

// What a PID file can say. The zero value is the PID of the child.
const (
	PIDRight   PIDFileSays = ""
	PIDNone    PIDFileSays = "none"    // it is never written
	PIDGone    PIDFileSays = "gone"    // a PID that nobody has
	PIDForeign PIDFileSays = "foreign" // a process of another unit
	PIDGarbage PIDFileSays = "garbage" // no number
)

// Forever never comes.
const Forever = time.Duration(1<<63 - 1)

// Daemon runs until it is told to stop, and is ready at once.
func Daemon() Program { return Program{Runs: Forever} }

// Oneshot runs for d and succeeds.
func Oneshot(d time.Duration) Program { return Program{Runs: d, Ready: Forever} }

// Failing runs for d and exits with status.
func Failing(d time.Duration, status int) Program {
	return Program{Runs: d, Status: status, Ready: Forever}
}

// Forking ends after d and leaves a daemon behind, whose PID it writes to pidFile (none if empty).
func Forking(d time.Duration, pidFile string) Program {
	return Program{Runs: d, Ready: Forever, Forks: true, PIDFile: pidFile}
}

// Crashing runs for d and dies of SIGSEGV.
func Crashing(d time.Duration) Program {
	return Program{Runs: d, Signal: 11, Dumped: true}
}

// Stubborn runs until SIGKILL.
func Stubborn() Program { return Program{Runs: Forever, IgnoresTerm: true} }
