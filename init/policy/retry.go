package policy

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/proc"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// Retry is how often a core is started again. A core that dies by itself
// (exit, crash, hang) more than Deaths times within Window is given up, and the
// rescue commands have their turn. One that others kill is not: it only waits
// longer each time, until it completes a turn.
type Retry struct {
	Deaths   int           // [5]
	Window   time.Duration // [1 min]
	Delay    time.Duration // before the second start in a row; doubles [20 ms]
	MaxDelay time.Duration // [1 s]
	Rest     time.Duration // before a new attempt when no rescue command works [30 s]
}

// History is the deaths so far.
type History struct {
	own   []time.Time // self-inflicted, within the window
	fails int         // deaths in a row without a completed turn
}

// Died records a death and gives the delay before the next start, or gives up.
func (h *History) Died(r Retry, now time.Time, cause fdstore.Cause, turned bool) (delay time.Duration, giveUp bool) {
	if turned {
		h.fails = 0
	}
	h.fails++
	if cause != fdstore.CauseKill {
		kept := h.own[:0]
		for _, t := range h.own {
			if now.Sub(t) < r.Window {
				kept = append(kept, t)
			}
		}
		h.own = append(kept, now)
		if len(h.own) > r.Deaths {
			*h = History{}
			return 0, true
		}
	}
	if h.fails == 1 {
		return 0, false
	}
	return min(r.Delay<<min(h.fails-2, 16), r.MaxDelay), false
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
