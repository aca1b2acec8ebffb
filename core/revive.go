package core

import (
	"errors"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// An orphaned unit begins anew only when nothing is left of its old processes: a new machine knows
// nothing of them. It would start a second set, and take the end of the first for that of its own. While
// they are killed the unit has a timer of the engine's, which is in the store as every timer is.

// clearTimer is the deadline for the processes of an orphaned unit to be gone. No unit type names a timer so.
const clearTimer = "engine: clear"

// clearTimeout is as DefaultTimeoutStopSec= (man systemd-system.conf(5)): SIGKILL takes longer only where a
// process hangs in the kernel.
const clearTimeout = 90 * time.Second

// clearer is a request that is answered when the unit is clear.
type clearer struct {
	x   *entry
	r   *Request
	all *allClear // nil: it is about x alone
}

// allClear counts the units that one request waits for.
type allClear struct {
	left int
	errs []error
}

// clearing: what is left of the orphaned unit is being killed.
func (x *entry) clearing() bool {
	if x.u != nil {
		return false
	}
	for i := range x.timers {
		if x.timers[i].id == clearTimer {
			return true
		}
	}
	return false
}

// revive gives an orphaned unit a new machine once nothing is left of the old one's processes. Until
// then the unit is clearing.
func (e *Engine) revive(x *entry) {
	switch {
	case x.clearing():
	case x.cgroup == "":
		e.begetAnew(x)
	default:
		e.arm(x, clearTimer, e.now.Mono+clearTimeout)
		e.killRemains(x)
	}
}

func (e *Engine) killRemains(x *entry) {
	e.manage(x, unit.Attach{}) // so that the end of the last one is told
	e.manage(x, unit.Kill{Signal: sigKILL})
}

// remains takes an event of a unit that has no machine.
func (e *Engine) remains(x *entry, ev unit.Event) {
	if t, ok := ev.(unit.TimerFired); ok && t.ID == clearTimer {
		const why = "processes of it survive SIGKILL"
		e.say(unit.LevelErr, x.name, why)
		if j := x.job; j != nil && j.running {
			e.detail(j, why)
			e.finish(j, unit.JobFailed)
		}
		e.answerClearers(x, &RequestError{x.name, ErrLoad, why})
		return
	}
	if !x.clearing() {
		return
	}
	switch ev := ev.(type) {
	case unit.Done:
		if ev.Err != "" {
			e.say(unit.LevelErr, x.name, "what is left of it: "+ev.Err)
		}
		if ev.None {
			e.begetAnew(x)
		}
	case unit.CgroupEmpty:
		e.begetAnew(x)
	}
}

// begetAnew makes a new machine for a unit of which nothing is left.
func (e *Engine) begetAnew(x *entry) {
	e.disarm(x, clearTimer)
	if x.cgroup != "" {
		// The next process is made in a group of its own, with no settings of the old one, and so that it does not matter
		// how that was killed (cgroup.Root.Kill).
		e.manage(x, unit.RemoveCgroup{})
	}
	x.saved = stored{}
	old := x.state
	e.setState(x, deadState)
	if x.spec != nil {
		e.setSpec(x, x.spec)
	}
	e.reread(x)
	e.touch(x)
	e.publish(UnitChanged{x.name, old, x.state})
	e.settle(x)
	if x.job != nil && !x.job.running {
		e.queueRun(x)
	}
	e.answerClearers(x, nil)
}

func (e *Engine) answerClearers(x *entry, err error) {
	keep := e.clearers[:0]
	for _, c := range e.clearers {
		switch {
		case c.x != x:
			keep = append(keep, c)
		case c.all == nil:
			e.reply(c.r, Response{Unit: x.name, Err: err})
		default:
			c.all.left--
			if err != nil {
				c.all.errs = append(c.all.errs, err)
			}
			if c.all.left == 0 {
				e.reply(c.r, Response{Err: errors.Join(c.all.errs...)})
			}
		}
	}
	clear(e.clearers[len(keep):])
	e.clearers = keep
}
