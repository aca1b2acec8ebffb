package pid1

import (
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/policy"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// rescueState is the way down while no core can be kept alive. A re-exec of init keeps
// stage, pid, next and started.
type rescueState struct {
	stage   policy.Stage
	pid     int // the command that has the console; 0: none
	next    int // index of the command to try
	started time.Time
	since   time.Time     // or when the console was found used ...
	used    unix.Timespec // ... which was then
}

// alone reports that there is no core, and none is about to start.
func (r *rescueState) alone() bool { return r.stage >= policy.Shell }

// happened moves on in the table of the escalation.
func (k *keeper) happened(now time.Time, h policy.Happening) {
	stage, deed := k.rescue.stage.Next(h, k.cfg.CrashReboot > 0)
	if deed == policy.Nothing {
		return
	}
	k.rescue = rescueState{stage: stage, pid: k.rescue.pid}
	k.history = policy.History{}
	switch deed {
	case policy.StartNormal:
		k.startAt = now
	case policy.StartRescue:
		k.startAt = now
		k.tell(event.Event{Kind: event.GivenUp, Text: "starting it in the rescue role"})
	case policy.OfferShell:
		k.tell(event.Event{Kind: event.GivenUp, Text: "not in the rescue role either; starting a shell"})
		k.startRescue(now)
	case policy.Wait:
		k.startAt = now.Add(k.cfg.Retry.Rest)
		text := "no rescue command works; starting the core again in "
		if k.cfg.CrashReboot > 0 {
			k.startAt = now.Add(k.cfg.CrashReboot)
			text = "no rescue command works; rebooting in "
		}
		k.tell(event.Event{Kind: event.Rescue, Text: text + strconv.Itoa(int(k.startAt.Sub(now)/time.Second)) + " s"})
	case policy.Reboot:
		k.endWith(fdstore.Shutdown{Verb: fdstore.VerbReboot}, "the core cannot be kept alive, and nobody is at the console")
	}
}

// waited is when the stage's time is over; the zero time: never. A shell that somebody uses has
// as much again (stillUsed).
func (k *keeper) waited() time.Time {
	switch {
	case k.rescue.stage == policy.Rest:
		return k.startAt
	case k.rescue.stage == policy.Shell && k.cfg.CrashReboot > 0:
		return k.rescue.since.Add(k.cfg.CrashReboot)
	}
	return time.Time{}
}

// stillUsed reports, when the time is over, whether somebody has typed since it began, which then begins anew:
// reading updates a terminal's access time (every 8 s at most). Whether that has changed counts, not what it is: the
// clock may have been set.
func (k *keeper) stillUsed(now time.Time) bool {
	if k.rescue.stage != policy.Shell {
		return false
	}
	last := k.rescue.used
	k.rescue.used = consoleUsed()
	if k.rescue.used == last {
		return false
	}
	k.rescue.since = now
	return true
}

// consoleUsed is when the console was read from.
func consoleUsed() unix.Timespec {
	var st unix.Stat_t
	_ = unix.Fstat(0, &st) // without one nobody types
	return st.Atim
}

// startRescue runs the next rescue command on the console.
func (k *keeper) startRescue(now time.Time) {
	for k.rescue.next < len(k.cfg.Rescue) {
		c := k.cfg.Rescue[k.rescue.next]
		k.rescue.next++
		// A session of its own, and the console as its terminal if there is one.
		pid, err := k.spawn(c.Path, c, nil, []uintptr{0, 1, 2}, &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0})
		if err != nil {
			pid, err = k.spawn(c.Path, c, nil, []uintptr{0, 1, 2}, &syscall.SysProcAttr{Setsid: true})
		}
		k.tell(event.Event{Kind: event.Rescue, PID: pid, Text: "rescue command " + c.Path, Err: err})
		if err == nil {
			k.rescue.pid, k.rescue.started, k.rescue.since, k.rescue.used = pid, now, now, consoleUsed()
			return
		}
	}
	k.happened(now, policy.NoShell)
}

// rescueEnded starts the core again if somebody used the shell, and tries the next command if this
// one ended as it began: it failed, or, as sulogin without a terminal does, it only seems well.
func (k *keeper) rescueEnded(now time.Time, e fdstore.Exit) {
	k.rescue.pid = 0
	k.tell(event.Event{Kind: event.Rescue, PID: e.PID, Text: "rescue command ended, " + event.Describe(e.Code, e.Status)})
	if now.Sub(k.rescue.started) < time.Second {
		k.startRescue(now)
		return
	}
	k.happened(now, policy.Used)
}
