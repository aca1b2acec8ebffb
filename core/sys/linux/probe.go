package linux

import (
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/core/sys/linux/spawn"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

// mark says in spawn.MarkEnv which Spawn made a process. Together with the control group it tells a
// new core whether a Spawn that the one before meant to carry out was carried out.
func mark(in sys.Intent) string {
	return string(in.Unit) + "/" + strconv.FormatUint(in.Seq, 10)
}

// stampedMark is a mark with the time at which it was made, in the kernel's clock ticks: what began
// earlier has nothing to do with this Spawn.
func stampedMark(in sys.Intent) string {
	return mark(in) + " " + strconv.FormatUint(ticksNow(), 10)
}

// splitMark takes a mark apart; since is 0 if there is no time in it.
func splitMark(text string) (m string, since uint64) {
	m, ticks, _ := strings.Cut(text, " ")
	since, _ = strconv.ParseUint(ticks, 10, 64) // 0: a core of another age made it
	return m, since
}

// Probe tells what became of an effect of the core before (sys.Prober). Call it before
// anything new is begun for the unit.
func (w *World) Probe(in sys.Intent) sys.Outcome {
	w.learn(in)
	switch e := in.Effect.(type) {
	case unit.Spawn:
		w.lookAtLeaders(in)
		return w.probeSpawn(in, e)
	case unit.Listen:
		for _, s := range e.Sockets {
			if w.fds[s.Key] == nil {
				return sys.Outcome{State: sys.NotDone}
			}
		}
		return sys.Outcome{State: sys.Done, Event: unit.Done{Seq: in.Seq}}
	case sys.Reexec:
		return sys.Outcome{State: sys.Done} // we are the new core
	}
	return sys.Outcome{State: sys.NotDone}
}

// probeSpawn looks for the process by its mark, then among the exits that init recorded. The mark is
// inherited: a daemon that forked away has it, too, and may be all that is left while the process that
// the Spawn made has ended. Taken for that one it would never end, and the start neither; so the eldest
// is the one, and an exit of an elder one is the answer. A session leader without a readable environment
// may be it, after it has overwritten its memory (setproctitle) or before it got so far as to have one:
// then nobody knows.
func (w *World) probeSpawn(in sys.Intent, e unit.Spawn) sys.Outcome {
	found, doubt, err := w.findMarked(in)
	if err != nil {
		w.note(in.Unit, "probe", err)
		return sys.Outcome{State: sys.Unknown}
	}
	if !found.IsZero() {
		doubt = false // an elder one is waited for
	}
	doubt = w.awaitDying(in, found) || doubt
	if r := w.endedBefore(in, found); r != nil {
		w.executed(in) // before the Exited that waits: Execed is pushed to the front
		return sys.Outcome{State: sys.Done, Event: unit.Spawned{Seq: in.Seq, Role: e.Role, Proc: unit.Proc{PID: r.PID, Start: r.StartTime}}}
	}
	if !found.IsZero() && !doubt {
		if err := w.adopt(in, found.Proc); err != nil {
			w.note(in.Unit, "probe", err)
			return sys.Outcome{State: sys.Unknown}
		}
		return sys.Outcome{State: sys.Done, Event: unit.Spawned{Seq: in.Seq, Role: e.Role, Proc: found.Proc}}
	}
	// Without control groups init does not keep what it was not asked for.
	if doubt || w.channel.welcome.Lost > 0 || w.cfg.CGroup == nil && w.cfg.Init != nil {
		return sys.Outcome{State: sys.Unknown}
	}
	return sys.Outcome{State: sys.NotDone}
}

// endedBefore is init's record of the eldest process that may be the Spawn's and that is elder than
// found; nil if there is none.
func (w *World) endedBefore(in sys.Intent, found bearer) (eldest *record) {
	for i := range w.records {
		r := &w.records[i]
		p := unit.Proc{PID: r.PID, Start: r.StartTime}
		if in.CGroup == "" || !inGroup(r.cgroup, in.CGroup) || r.PID != r.Session || w.known(in, p) || !found.mayFollow(p) {
			continue
		}
		if eldest == nil || elder(p, unit.Proc{PID: eldest.PID, Start: eldest.StartTime}) {
			eldest = r
		}
	}
	return eldest
}

// bearer is a live session leader with the mark of a Spawn. The zero bearer is none.
type bearer struct {
	unit.Proc
	since uint64 // when the mark was made; 0: not known
}

// mayFollow reports whether p may be the Spawn's process and b one of its descendants. Everybody may
// be the Spawn's process as long as no bearer is found; where the mark does not say when it was made, the
// bearer itself is.
func (b bearer) mayFollow(p unit.Proc) bool {
	return b.IsZero() || b.since != 0 && p.Start >= b.since && elder(p, b.Proc)
}

// elder reports whether a began before b. Within a tick numbers tell: the kernel counts them upwards.
func elder(a, b unit.Proc) bool {
	return a.Start < b.Start || a.Start == b.Start && a.PID < b.PID
}

// bornPatience is how long all probes together wait for children of the core before that have
// not executed their program yet.
const bornPatience = time.Second

// findMarked looks for the eldest session leader with this Spawn's mark. A child of the core before
// that has not got so far as to execute anything has neither a mark nor a session yet, and lives on
// when that core is killed: it is waited for, since a second one must not be started beside it.
func (w *World) findMarked(in sys.Intent) (found bearer, doubt bool, err error) {
	for {
		unborn := false
		found, doubt, unborn, err = w.lookForMarked(in)
		if err != nil || !found.IsZero() || !unborn && !doubt {
			return found, doubt, err
		}
		if !w.waitABit() {
			return found, true, nil
		}
	}
}

// lookForMarked looks once.
func (w *World) lookForMarked(in sys.Intent) (found bearer, doubt, unborn bool, err error) {
	mine := mark(in)
	look := func(pid int) {
		s, err := readStat(pid)
		if err != nil || s.dead() {
			return
		}
		p := unit.Proc{PID: pid, Start: s.Start}
		if w.known(in, p) {
			return // made by another Spawn
		}
		v, ok := environ(pid, spawn.MarkEnv, fdstore.EnvFD)
		m, since := "", uint64(0)
		if ok {
			m, since = splitMark(v[0])
		}
		switch {
		case ok && v[1] != "" && w.cfg.CGroup != nil:
			unborn = true // it still has the core's own environment
		case s.Session != pid:
		case m == mine:
			if found.IsZero() || elder(p, found.Proc) {
				found = bearer{p, since}
			}
		case w.cfg.CGroup != nil && m == "":
			doubt = true
		}
	}
	if w.cfg.CGroup == nil {
		err = allPIDs(look)
	} else if in.CGroup != "" {
		err = w.cfg.CGroup.Procs(in.CGroup, func(pid int) bool { look(pid); return true })
	}
	return found, doubt, unborn, err
}

// markOf is the mark in a process's environment; false if there is none to read.
func markOf(pid int) (string, bool) {
	v, ok := environ(pid, spawn.MarkEnv)
	if !ok {
		return "", false
	}
	m, _ := splitMark(v[0])
	return m, true
}

// known reports whether a process is accounted for.
func (w *World) known(in sys.Intent, p unit.Proc) bool {
	if f := w.followed[p.PID]; f != nil && f.Start == p.Start {
		return true
	}
	for _, k := range in.Known {
		if k.PID == p.PID && (k.Start == p.Start || p.Start == 0) {
			return true
		}
	}
	return false
}

// adopt follows a process that the core before spawned.
func (w *World) adopt(in sys.Intent, p unit.Proc) error {
	if err := w.attach(in, unit.Attach{Proc: p}); err != nil {
		return err
	}
	w.executed(in)
	return nil
}

// Remains looks for processes of a unit that its record may be too old to know (sys.Prober).
func (w *World) Remains(in sys.Intent) (r sys.Remains) {
	if r.Known = slices.ContainsFunc(in.Known, alive); r.Known {
		return r
	}
	if w.cfg.CGroup == nil {
		r.Newest = w.newestMarks()[in.Unit]
		return r
	}
	if in.CGroup == "" {
		return r
	}
	err := w.cfg.CGroup.Procs(in.CGroup, func(pid int) bool {
		if s, err := readStat(pid); err != nil || s.dead() {
			return true
		}
		if u, seq, ok := markedBy(pid); ok && u == in.Unit {
			r.Newest = max(r.Newest, seq)
		} else {
			r.Nameless = true
		}
		return true
	})
	if err != nil { // it is not known what there is
		w.note(in.Unit, "probe", err)
		r.Nameless = true
	}
	return r
}

// markedBy is which Spawn made a process or one of its ancestors.
func markedBy(pid int) (u unit.Name, seq uint64, ok bool) {
	m, ok := markOf(pid)
	at := strings.LastIndexByte(m, '/')
	if !ok || at < 0 {
		return "", 0, false
	}
	seq, err := strconv.ParseUint(m[at+1:], 10, 64)
	return unit.Name(m[:at]), seq, err == nil
}

// Marked is a unit that has processes.
type Marked struct {
	Unit       unit.Name
	Invocation [16]byte // of the newest of them; zero if it cannot be read
}

// Marked finds units by the marks in the environments of living processes, sorted by name. Where there are no control groups a core
// that knows nothing has no other way.
func (w *World) Marked() ([]Marked, error) {
	newest := make(map[unit.Name]uint64)
	found := make(map[unit.Name]Marked)
	err := allPIDs(func(pid int) {
		if pid == 1 || pid == os.Getpid() { // what these have is of the manager outside
			return
		}
		u, seq, ok := markedBy(pid)
		if _, err := unit.ParseName(string(u)); !ok || err != nil || seq < newest[u] {
			return
		}
		if s, err := readStat(pid); err != nil || s.dead() {
			return
		}
		m := Marked{Unit: u}
		if v, ok := environ(pid, "INVOCATION_ID"); ok {
			if id, err := hex.DecodeString(v[0]); err == nil && len(id) == len(m.Invocation) {
				copy(m.Invocation[:], id)
			}
		}
		newest[u], found[u] = seq, m
	})
	list := slices.Collect(maps.Values(found))
	slices.SortFunc(list, func(a, b Marked) int { return strings.Compare(string(a.Unit), string(b.Unit)) })
	if err != nil {
		err = fmt.Errorf("cannot list processes: %w", err)
	}
	return list, err
}

// newestMarks looks once at all processes for the last Spawn of each unit; without control groups there is
// no other way.
func (w *World) newestMarks() map[unit.Name]uint64 {
	if w.marks == nil {
		w.marks = make(map[unit.Name]uint64)
		err := allPIDs(func(pid int) {
			if u, seq, ok := markedBy(pid); ok {
				w.marks[u] = max(w.marks[u], seq)
			}
		})
		if err != nil {
			w.note("", "probe", err)
		}
	}
	return w.marks
}

// executed queues the Execed of a process that was found. Whether its set-up had failed is
// told by its exit status.
func (w *World) executed(in sys.Intent) {
	w.inputs.pushFirst(sys.Input{Unit: in.Unit, CGroup: in.CGroup, Body: unit.Execed{Seq: in.Seq}})
}
