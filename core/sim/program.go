package sim

import "time"

// Program is how a simulated process behaves.
type Program struct {
	// Runs is how long it runs before it exits by itself; Forever: until it is killed.
	Runs time.Duration
	// Status is its exit status when it ends by itself.
	Status int
	// Ready is when it sends READY=1, if it ever does: Forever for never.
	Ready time.Duration
	// Forks: it leaves a child running as a Daemon in the same control group, and writes the
	// child's PID to PIDFile, before it exits.
	Forks   bool
	PIDFile string
	// IgnoresTerm: only SIGKILL ends it.
	IgnoresTerm bool
	// FailSpawn, if not empty, makes its set-up fail with this step and status 203.
	FailSpawn string
}

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
