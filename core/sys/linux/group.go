package linux

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// group is a unit's control group, watched.
type group struct {
	unit   unit.Name
	memory bool   // the kernel has memory.events
	oom    uint64 // its count that has been told
	// emptied: the group is empty, but an Exited or Spawned that belongs before CgroupEmpty
	// is still on its way (the kernel takes a process out of its group before it is a zombie).
	emptied   bool
	unwatched bool // its turn comes in watchSome
}

// startGroups makes the watcher's descriptor part of the loop.
func (w *World) startGroups() error {
	if w.watcher == nil {
		return nil
	}
	_, err := w.poll.add(w.watcher.FD(), unix.EPOLLIN, func(uint32) {
		if err := w.watcher.Read(w.groupChanged); err != nil {
			w.note("", "watch control groups", err)
		}
	})
	return err
}

// watchGroup watches the unit's group. With tell, one that is found empty is told at once:
// the core was away when it emptied.
func (w *World) watchGroup(in sys.Intent, tell bool) error {
	if w.watcher == nil || in.CGroup == "" {
		if tell && w.watcher == nil {
			w.countDown(in.Unit)
		}
		return nil
	}
	if g := w.groups[in.CGroup]; g != nil && w.cfg.CGroup.Exists(in.CGroup) {
		g.unit = in.Unit
		return nil
	}
	err := w.watcher.Add(in.CGroup)
	if errors.Is(err, unix.ENOENT) { // there is no such group
		if tell { // removed by a core that died before it recorded why: as empty as can be
			w.pushEnd(sys.Input{Unit: in.Unit, CGroup: in.CGroup, Body: unit.CgroupEmpty{}}, nil)
		}
		return nil
	}
	if err != nil {
		return err
	}
	w.outlive(watchGroupsKey, w.watcher.FD())
	g := &group{unit: in.Unit, memory: w.watcher.HasMemory(in.CGroup)}
	if g.memory {
		if g.oom, err = w.cfg.CGroup.OOMKills(in.CGroup); err != nil {
			return err
		}
	}
	w.groups[in.CGroup] = g
	if tell {
		w.groupChanged(in.CGroup)
	}
	return nil
}

// watchGroupOf has the group of a process watched that is followed and lives: it need not be looked
// at before that has ended. After a restart there are as many as services, and clients wait: the
// watches are made a few at a time when the engine has nothing to do.
func (w *World) watchGroupOf(in sys.Intent) error {
	if w.watcher == nil || in.CGroup == "" {
		return nil
	}
	if w.groups[in.CGroup] != nil {
		return w.watchGroup(in, false)
	}
	w.groups[in.CGroup] = &group{unit: in.Unit, emptied: true, unwatched: true}
	w.unwatched = append(w.unwatched, in.CGroup)
	return nil
}

// watchBatch is how many watches are made before inputs are looked for again.
const watchBatch = 32

// watchSome makes watches that were put off.
func (w *World) watchSome() {
	n := min(watchBatch, len(w.unwatched))
	for _, path := range w.unwatched[:n] {
		if g := w.groups[path]; g != nil && g.unwatched {
			w.watchLate(path, g)
		}
	}
	if w.unwatched = w.unwatched[n:]; len(w.unwatched) == 0 {
		w.unwatched = nil
	}
}

func (w *World) watchLate(path string, g *group) {
	g.unwatched = false
	err := w.watcher.Add(path)
	if err == nil {
		w.outlive(watchGroupsKey, w.watcher.FD())
		if g.memory = w.watcher.HasMemory(path); g.memory {
			g.oom, err = w.cfg.CGroup.OOMKills(path)
		}
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		w.note(g.unit, "watch control group", err)
	}
	if !g.emptied { // it was looked at since, and what happened between was not told
		w.groupChanged(path)
	}
}

// groupChanged looks at what has become of a group.
func (w *World) groupChanged(path string) {
	g := w.groups[path]
	if g == nil {
		return
	}
	if g.memory {
		w.lookForOOM(path, g)
	}
	populated, err := w.cfg.CGroup.Populated(path)
	if err != nil {
		w.note(g.unit, "watch control group", err)
		return
	}
	g.emptied = !populated && w.expectsMore(path, g)
	if !populated && !g.emptied {
		w.pushEnd(sys.Input{Unit: g.unit, CGroup: path, Body: unit.CgroupEmpty{}}, nil)
	}
}

func (w *World) lookForOOM(path string, g *group) {
	oom, err := w.cfg.CGroup.OOMKills(path)
	if err != nil {
		w.note(g.unit, "watch control group", err)
		return
	}
	if oom > g.oom {
		g.oom = oom
		w.inputs.push(sys.Input{Unit: g.unit, CGroup: path, Body: unit.OOM{}}, nil)
	}
}

// expectsMore reports whether something has to be told of a group before that it is empty.
func (w *World) expectsMore(path string, g *group) bool {
	if l := w.lanes[g.unit]; l != nil {
		if _, spawning := l.current.(unit.Spawn); spawning {
			return true
		}
	}
	for _, f := range w.followed {
		if f.cgroup == path && !f.gone {
			return true
		}
	}
	return false
}

// exitTold looks again at a group that was found empty, after an Exited or a Spawn without a process.
func (w *World) exitTold(u unit.Name, path string) {
	if g := w.groups[path]; g != nil && g.emptied {
		w.groupChanged(path)
	}
	w.countDown(u)
}

func (w *World) removeCGroup(in sys.Intent) error {
	delete(w.tracks, in.Unit)
	if w.cfg.CGroup == nil || in.CGroup == "" {
		return nil
	}
	if err := w.cfg.CGroup.Remove(in.CGroup); err != nil {
		return err
	}
	w.watcher.Remove(in.CGroup)
	delete(w.groups, in.CGroup)
	return nil
}

// track stands in for a control group where there are none: the processes whose
// environment names the unit's invocation. One that clears its environment is lost.
type track struct {
	id    [16]byte
	hints map[unit.Proc]bool // followed for a new count only
}

// learn remembers the unit's invocation.
func (w *World) learn(in sys.Intent) {
	if w.cfg.CGroup != nil || in.Invocation == [16]byte{} {
		return
	}
	if t := w.tracks[in.Unit]; t == nil || t.id != in.Invocation {
		w.tracks[in.Unit] = &track{id: in.Invocation, hints: make(map[unit.Proc]bool)}
	}
}

// unitByInvocation is the unit of a process that is not followed.
func (w *World) unitByInvocation(pid int) unit.Name {
	if len(w.tracks) == 0 {
		return ""
	}
	v, ok := environ(pid, "INVOCATION_ID")
	if !ok || v[0] == "" {
		return ""
	}
	for u, t := range w.tracks {
		if hexID(t.id) == v[0] {
			return u
		}
	}
	return ""
}

// eachOfInvocation calls f with each live process of an invocation.
func (w *World) eachOfInvocation(id [16]byte, f func(unit.Proc)) error {
	if id == [16]byte{} {
		return nil
	}
	text := hexID(id)
	err := allPIDs(func(pid int) {
		v, ok := environ(pid, "INVOCATION_ID")
		if !ok || v[0] != text {
			return
		}
		if s, err := readStat(pid); err == nil && !s.dead() {
			f(unit.Proc{PID: pid, Start: s.Start})
		}
	})
	if err != nil {
		return fmt.Errorf("cannot list processes: %w", err)
	}
	return nil
}

// countDown, without control groups, looks whether the unit has processes left: CgroupEmpty
// if not, else the next exit of one of them asks again.
func (w *World) countDown(u unit.Name) {
	t := w.tracks[u]
	if t == nil {
		return
	}
	any := false
	for range 2 { // twice, for one that was forked behind the first look
		err := w.eachOfInvocation(t.id, func(p unit.Proc) {
			any = true
			w.hint(u, t, p)
		})
		if err != nil {
			w.note(u, "count processes", err)
			return
		}
		if any {
			return
		}
	}
	w.pushEnd(sys.Input{Unit: u, Body: unit.CgroupEmpty{}}, nil)
}

// hint has the end of one more process noticed.
func (w *World) hint(u unit.Name, t *track, p unit.Proc) {
	if t.hints[p] || w.followed[p.PID] != nil {
		return
	}
	fd := openProc(p)
	if fd < 0 {
		return
	}
	var token uint64
	token, err := w.poll.add(fd, unix.EPOLLIN|unix.EPOLLONESHOT, func(uint32) {
		w.poll.remove(token, fd)
		closeFD(fd)
		delete(t.hints, p)
		if w.tracks[u] == t {
			w.countDown(u)
		}
	})
	if err != nil {
		closeFD(fd)
		w.note(u, "count processes", err)
		return
	}
	t.hints[p] = true
}

// inGroup reports whether path is the group or below it.
func inGroup(path, group string) bool {
	rest, ok := strings.CutPrefix(path, group)
	return ok && (rest == "" || rest[0] == '/')
}

// hexID is an invocation id as INVOCATION_ID shows it.
func hexID(id [16]byte) string { return hex.EncodeToString(id[:]) }
