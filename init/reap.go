package pid1

import (
	"strconv"
	"time"

	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/keep"
	"github.com/sysmaster-go/sysmaster/init/proc"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// reap is the only place where children are waited for, until shutdown. Init's
// own are asked for by name first: they must not hide behind a zombie that is
// left where it is. The core's death is acted on at once, so that a full log
// never delays the one who can empty it.
func (k *keeper) reap(now time.Time) {
	if k.core.PID > 0 {
		if e, ok := proc.Peek(k.core.PID); ok {
			k.coreDied(now, e)
			proc.Bury(e.PID)
		} else if stopped, news := proc.Stopped(k.core.PID); news && k.core.killAt.IsZero() {
			k.core.watch.Stopped(now, stopped)
		}
	}
	if k.rescue.pid > 0 {
		if e, ok := proc.Peek(k.rescue.pid); ok {
			proc.Bury(e.PID)
			k.rescueEnded(now, e)
		}
	}
	if k.reexec.pid > 0 {
		if e, ok := proc.Peek(k.reexec.pid); ok {
			proc.Bury(e.PID)
			k.preflightEnded(e)
		}
	}
	for range 1024 { // then the channel and the timers have their turn
		e, ok := proc.Peek(0)
		if !ok {
			k.full, k.Behind = false, !k.core.Turned
			return
		}
		if e.PID == k.core.PID || e.PID == k.rescue.pid || e.PID == k.reexec.pid {
			k.again = true // it died since we asked
			return
		}
		if _, registered := k.registered[e.PID]; !registered && !k.exits.Room() && !k.overflow(now) {
			return
		}
		k.record(e)
		proc.Bury(e.PID)
	}
	k.again = true
}

// record describes a zombie while /proc still knows it, and keeps its exit.
func (k *keeper) record(e fdstore.Exit) {
	if s, ok := proc.ReadStat(e.PID, k.buf); ok {
		e.StartTime, e.Session = s.StartTime, s.Session
	}
	start, registered := k.registered[e.PID]
	if registered {
		delete(k.registered, e.PID)
	}
	// behind: zombies of the time without a core may still be among these.
	registered = registered && keep.SameStart(start, e.StartTime)
	wanted := k.Behind || !k.core.Turned
	if path := proc.ReadCgroup(e.PID, k.buf); string(path) == k.lastCgroup {
		e.Cgroup = k.lastCgroup // mostly the same few: no copy
	} else if len(path) <= fdstore.MaxCgroup {
		e.Cgroup = string(path)
		k.lastCgroup = e.Cgroup
	}
	if registered {
		k.tell(event.Event{Kind: event.Exit, PID: e.PID, Exit: k.exits.AddRegistered(e)})
		return
	}
	if !k.exits.Room() {
		if k.Lost++; k.Lost&(k.Lost-1) == 0 { // thousands may follow: not a line for each
			k.tell(event.Event{Kind: event.Lost, PID: e.PID, Text: strconv.FormatUint(k.Lost, 10) + " so far"})
		}
		return
	}
	k.tell(event.Event{Kind: event.Exit, PID: e.PID, Exit: k.exits.Add(e, wanted)})
}

// overflow decides about a zombie that no room is left for: the kernel keeps
// it, and so the exit, up to MaxZombies. Beyond that the machine would run out
// of process numbers; the exit is lost, and counted. True: reap it. Registered
// processes among the zombies are taken first, wherever they are.
func (k *keeper) overflow(now time.Time) bool {
	if !k.full {
		k.full = true
		k.nextCount = now
		k.tell(event.Event{Kind: event.Full})
	}
	if k.surplus > 0 {
		k.surplus--
		return true
	}
	if now.Before(k.nextCount) {
		return false
	}
	k.reapRegistered()
	k.surplus = proc.Zombies(k.self, k.buf) - k.cfg.MaxZombies
	k.nextCount = now.Add(time.Second) // counting walks over all of /proc
	if k.surplus <= 0 {
		return false
	}
	k.nextCount = now.Add(250 * time.Millisecond) // it is a storm
	k.surplus--
	return true
}

// reapRegistered finds the registered processes among the zombies.
func (k *keeper) reapRegistered() {
	for pid, start := range k.registered {
		e, ok := proc.Peek(pid)
		if !ok || pid == k.core.PID || pid == k.rescue.pid || pid == k.reexec.pid {
			continue
		}
		if s, ok := proc.ReadStat(pid, k.buf); ok && !keep.SameStart(start, s.StartTime) {
			delete(k.registered, pid) // the number is another process's now
			continue
		}
		k.record(e)
		proc.Bury(pid)
	}
}
