package policy

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/proc"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// Retry is how often a core is started again. A core that dies by itself
// (exit, crash, hang, out of memory) more than Deaths times within Window, or in a row
// without a completed turn however long each takes, is given up, and the next Stage has its
// turn. The core gives an event up at its third death of it: Deaths must be more. One that
// others kill is not given up: it only waits longer each time, until it completes a turn.
type Retry struct {
	Deaths       int // [5]
	RescueDeaths int // the same for the rescue role [2]

	Window   time.Duration // [1 min]
	Delay    time.Duration // before the second start in a row; doubles [20 ms]
	MaxDelay time.Duration // [1 s]
	Rest     time.Duration // before a new attempt when no rescue command works [30 s]
}

// Of is the Retry of a stage.
func (r Retry) Of(s Stage) Retry {
	if s == Rescue {
		r.Deaths = r.RescueDeaths
	}
	return r
}

// History is the deaths so far.
type History struct {
	Own   []time.Time // self-inflicted, within the window
	Fails int         // deaths of any kind in a row without a completed turn
	dead  int         // those of them that were self-inflicted
}

// Died records a death and gives the delay before the next start, or gives up.
func (h *History) Died(r Retry, now time.Time, cause fdstore.Cause, turned bool) (delay time.Duration, giveUp bool) {
	if turned {
		h.Fails, h.dead = 0, 0
	}
	h.Fails++
	if cause == fdstore.CauseExit || cause.SelfInflicted() {
		h.dead++
		kept := h.Own[:0]
		for _, t := range h.Own {
			if now.Sub(t) < r.Window {
				kept = append(kept, t)
			}
		}
		h.Own = append(kept, now)
		if len(h.Own) > r.Deaths || h.dead > r.Deaths {
			*h = History{}
			return 0, true
		}
	}
	late := h.Fails - 2
	if cause == fdstore.CauseKill {
		late -= spared
	}
	if late < 0 {
		return 0, false
	}
	return min(r.Delay<<min(late, 16), r.MaxDelay), false
}

// spared is how many kills by others in a row are answered at once although no turn was completed
// in between: with many units the first one takes a while, and it is not the core's fault.
const spared = 8

// CauseOfRefusal classifies an execution that failed. That there are no process numbers or no
// memory, or that the file is being written, passes and is nobody's fault.
func CauseOfRefusal(err error) fdstore.Cause {
	switch err {
	case unix.EAGAIN, unix.ENOMEM, unix.ETXTBSY:
		return fdstore.CauseKill
	}
	return fdstore.CauseExit
}

// CauseOf classifies the end of a core that init did not kill.
func CauseOf(code, status int32) fdstore.Cause {
	if code == proc.CLDExited {
		if status == 2 { // a Go panic or a fatal error of the runtime
			return fdstore.CauseCrash
		}
		return fdstore.CauseExit
	}
	switch syscall.Signal(status) {
	case unix.SIGABRT, unix.SIGSEGV, unix.SIGBUS, unix.SIGILL, unix.SIGFPE, unix.SIGSYS, unix.SIGTRAP:
		return fdstore.CauseCrash
	}
	return fdstore.CauseKill
}
