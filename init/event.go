package pid1

import (
	"strconv"
	"syscall"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	EventSetup        EventKind = 1  // a boot action: Text
	EventCoreStarted  EventKind = 2  // PID, Generation
	EventCoreReady    EventKind = 3  // the core completed its first turn: PID, Generation
	EventCoreDied     EventKind = 4  // PID, Cause, Exit
	EventCoreHung     EventKind = 5  // PID; SIGABRT or SIGKILL (Signal) is sent
	EventCoreRefused  EventKind = 6  // Err: it could not be executed
	EventGivenUp      EventKind = 7  // retry budget exhausted; rescue begins
	EventRescue       EventKind = 8  // a rescue command started or ended: PID, Text, Err
	EventExit         EventKind = 9  // a process was reaped: Exit
	EventFull         EventKind = 10 // exits are left to the kernel until the core acknowledges
	EventLost         EventKind = 11 // an exit could not be kept: PID
	EventBadMessage   EventKind = 12 // Err
	EventSignal       EventKind = 13 // Signal
	EventStore        EventKind = 14 // the store changed or refused: Text, Err
	EventShutdown     EventKind = 15 // the end begins: Text
	EventInternal     EventKind = 16 // a bug of init: Text; it goes on
	EventRegistration EventKind = 17 // Register refused: PID, Err
)

// Event is something that init did or saw. Fields that do not belong to the
// kind are zero.
type Event struct {
	Kind       EventKind
	PID        int
	Generation uint64
	Signal     int
	Cause      fdstore.Cause
	Exit       fdstore.Exit
	Text       string
	Err        error
}

// onConsole reports whether the event is worth a line for everybody.
func (e Event) onConsole() bool {
	switch e.Kind {
	case EventCoreStarted:
		return e.Generation > 1
	case EventCoreReady, EventExit, EventSignal, EventStore:
		return false
	}
	return true
}

// String is the event as a line for the console.
func (e Event) String() string {
	pid := strconv.Itoa(e.PID)
	text := e.Text
	switch e.Kind {
	case EventCoreStarted:
		text = "core " + strconv.FormatUint(e.Generation, 10) + " started, process " + pid
	case EventCoreReady:
		text = "core " + strconv.FormatUint(e.Generation, 10) + " completed its first turn"
	case EventCoreDied:
		text = "core died, process " + pid + ": " + e.Cause.String() + ", " + describe(e.Exit.Code, e.Exit.Status)
	case EventCoreHung:
		text = "core does not complete its turn, process " + pid + ": sending " + syscall.Signal(e.Signal).String()
	case EventCoreRefused:
		text = "cannot start the core"
	case EventGivenUp:
		text = "the core cannot be kept alive; all services stay as they are; starting rescue"
	case EventExit:
		text = "reaped process " + pid + ": " + describe(e.Exit.Code, e.Exit.Status)
	case EventFull:
		text = "too many exits unacknowledged: leaving further ones to the kernel"
	case EventLost:
		text = "too many exits unacknowledged: lost that of process " + pid
	case EventBadMessage:
		text = "cannot understand the core"
	case EventSignal:
		text = "received signal " + strconv.Itoa(e.Signal)
	case EventRegistration:
		text = "cannot register process " + pid
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func describe(code, status int32) string {
	if code == cldExited {
		return "exit status " + strconv.Itoa(int(status))
	}
	return "signal " + strconv.Itoa(int(status))
}
