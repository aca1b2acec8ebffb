package policy

import (
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// RTMin is SIGRTMIN as C libraries, and so systemd(1), count it.
const RTMin = 34

// Request is what a signal asks PID 1 for (systemd(1), SIGNALS).
type Request struct {
	Forward bool         // the core's business
	Verb    fdstore.Verb // what init does itself: at once, or if the core does not take it
}

// RequestOf is the table of systemd(1). A keeper has no machine: there the
// signals that end programs end it.
func RequestOf(n int, keeper bool) Request {
	if keeper && (n == int(unix.SIGTERM) || n == int(unix.SIGINT)) {
		return Request{true, fdstore.VerbExit}
	}
	switch n {
	case int(unix.SIGINT): // ctrl-alt-del.target
		return Request{true, fdstore.VerbReboot}
	case int(unix.SIGTERM), int(unix.SIGHUP), int(unix.SIGPWR), int(unix.SIGWINCH), int(unix.SIGUSR1), int(unix.SIGUSR2):
		return Request{Forward: true}
	case RTMin + 3:
		return Request{true, fdstore.VerbHalt}
	case RTMin + 4:
		return Request{true, fdstore.VerbPoweroff}
	case RTMin + 5:
		return Request{true, fdstore.VerbReboot}
	case RTMin + 6:
		return Request{true, fdstore.VerbKexec}
	case RTMin + 13:
		return Request{Verb: fdstore.VerbHalt}
	case RTMin + 14:
		return Request{Verb: fdstore.VerbPoweroff}
	case RTMin + 15:
		return Request{Verb: fdstore.VerbReboot}
	case RTMin + 16:
		return Request{Verb: fdstore.VerbKexec}
	case RTMin + 24: // only a user's manager exits so
		if keeper {
			return Request{Verb: fdstore.VerbExit}
		}
	}
	// default, rescue, emergency, soft-reboot; status output, log levels and targets, re-execution.
	return Request{Forward: n >= RTMin && n <= RTMin+29}
}
