package event

import (
	"strconv"
	"syscall"

	"github.com/sysmaster-go/sysmaster/init/proc"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// Kind says what happened.
type Kind uint8

// The kinds of events.
const (
	Setup        Kind = 1  // a boot action: Text
	CoreStarted  Kind = 2  // PID, Generation
	CoreReady    Kind = 3  // the core completed its first turn: PID, Generation
	CoreDied     Kind = 4  // PID, Cause, Exit
	CoreHung     Kind = 5  // PID; SIGABRT or SIGKILL (Signal) is sent
	CoreRefused  Kind = 6  // Err: it could not be executed
	GivenUp      Kind = 7  // retry budget exhausted; Text: what comes next
	Rescue       Kind = 8  // a rescue command started or ended: PID, Text, Err
	Exit         Kind = 9  // a process was reaped: Exit
	Full         Kind = 10 // exits are left to the kernel until the core acknowledges
	Lost         Kind = 11 // an exit could not be kept: PID; Text how many so far: told at the 1st, 2nd, 4th, 8th ...
	BadMessage   Kind = 12 // Err
	Signal       Kind = 13 // Signal
	Store        Kind = 14 // a change of the descriptor store was refused: Text, Err
	Shutdown     Kind = 15 // the end begins: Text
	Internal     Kind = 16 // a bug of init: Text; it goes on
	Registration Kind = 17 // Register refused: PID, Err
	LastWords    Kind = 20 // a line of what the dead core wrote, made safe to print: PID, Text
	Upgrade      Kind = 64 // of core or init: Text, Err
)

// Event is something that init did or saw. Fields that do not belong to the
// kind are zero.
type Event struct {
	Kind       Kind
	PID        int
	Generation uint64
	Signal     int
	Cause      fdstore.Cause
	Exit       fdstore.Exit
	Text       string
	Err        error
}

// OnConsole reports whether the event is worth a line for everybody.
func (e Event) OnConsole() bool {
	switch e.Kind {
	case CoreStarted:
		return e.Generation > 1
	case CoreReady, Exit, Signal, Store:
		return false
	}
	return true
}

// String is the event as a line for the console.
func (e Event) String() string {
	pid := strconv.Itoa(e.PID)
	text := e.Text
	switch e.Kind {
	case CoreStarted:
		text = "core " + strconv.FormatUint(e.Generation, 10) + " started, process " + pid
	case CoreReady:
		text = "core " + strconv.FormatUint(e.Generation, 10) + " completed its first turn"
	case CoreDied:
		text = "core died, process " + pid + ": " + e.Cause.String() + ", " + Describe(e.Exit.Code, e.Exit.Status)
	case CoreHung:
		text = "core does not complete its turn, process " + pid + ": sending " + syscall.Signal(e.Signal).String()
	case CoreRefused:
		text = "cannot start the core"
	case GivenUp:
		text = "the core cannot be kept alive; all services stay as they are; " + e.Text
	case Exit:
		text = "reaped process " + pid + ": " + Describe(e.Exit.Code, e.Exit.Status)
	case Full:
		text = "too many exits unacknowledged: leaving further ones to the kernel"
	case Lost:
		text = "too many exits unacknowledged: lost that of process " + pid + ", " + e.Text
	case BadMessage:
		text = "cannot understand the core"
	case Signal:
		text = "received signal " + strconv.Itoa(e.Signal)
	case LastWords:
		text = "core " + pid + " said: " + text
	case Registration:
		text = "cannot register process " + pid
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Describe says how a process ended (si_code and si_status of waitid(2)).
func Describe(code, status int32) string {
	if code == proc.CLDExited {
		return "exit status " + strconv.Itoa(int(status))
	}
	return "signal " + strconv.Itoa(int(status))
}
