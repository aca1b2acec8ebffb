package sim

import (
	"slices"
	"sort"
	"time"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// lane is one unit's queue of effects: they are carried out one after the other, those of
// different units beside each other. It dies with the core; what was not carried out then never
// happened.
type lane struct {
	busy    bool
	current sys.Intent
	queue   []sys.Intent
}

type pathWatch struct {
	unit unit.Name
	path string
}

// Act implements sys.Actor.
func (m *Machine) Act(in sys.Intent) {
	m.acted++
	m.note("act", in.Unit, int64(in.Seq), 0, in.Effect)
	if _, spawn := in.Effect.(unit.Spawn); spawn && m.poison[in.Unit] > 0 && !m.muted {
		m.poison[in.Unit]--
		panic(core.Fatal{What: "it spawns for " + string(in.Unit)})
	}
	switch in.Effect.(type) {
	case sys.Load, sys.Check, sys.Shutdown, sys.Reexec:
		m.after(0, happening{gen: m.coreGen, do: doManager, act: in})
		return
	}
	if m.bug.drops(m, in) {
		return
	}
	l := m.lanes[in.Unit]
	if l == nil {
		l = &lane{}
		m.lanes[in.Unit] = l
	}
	l.queue = append(l.queue, in)
	if _, kill := in.Effect.(unit.Kill); kill {
		l.overtake()
	}
	m.pump(in.Unit, l)
}

// overtake moves the Kill at the end behind the last Spawn or Kill: what is slow never holds it up.
func (l *lane) overtake() {
	last := len(l.queue) - 1
	kill := l.queue[last]
	at := 0
	for i := last - 1; i >= 0; i-- {
		switch l.queue[i].Effect.(type) {
		case unit.Spawn, unit.Kill:
			at = i + 1
			i = -1
		}
	}
	l.queue = slices.Insert(l.queue[:last], at, kill)
}

// pump begins the next effect.
func (m *Machine) pump(n unit.Name, l *lane) {
	for !l.busy && len(l.queue) > 0 {
		in := l.queue[0]
		l.queue = slices.Delete(l.queue, 0, 1)
		l.busy, l.current = true, in
		d := m.delay()
		if until := m.frozen[in.CGroup]; until > m.now && in.CGroup != "" {
			if _, spawn := in.Effect.(unit.Spawn); spawn {
				d += until - m.now
			}
		}
		if d > 0 {
			m.at(m.now+d, happening{gen: m.coreGen, do: doEffect, act: in})
			return
		}
		if !m.carryOut(in) {
			return
		}
		l.busy, l.current = false, sys.Intent{}
	}
	if !l.busy {
		delete(m.lanes, n)
	}
}

// laneDone goes on after an effect that took time.
func (m *Machine) laneDone(n unit.Name) {
	l := m.lanes[n]
	if l == nil {
		return
	}
	l.busy, l.current = false, sys.Intent{}
	if e, ok := m.anyEmptied(n); ok {
		m.tellEmpty(e)
	}
	m.pump(n, l)
}

func (m *Machine) anyEmptied(n unit.Name) (string, bool) {
	for c := range m.emptied { // at most one is n's
		if unitOf(c) == n {
			return c, true
		}
	}
	return "", false
}

func (m *Machine) answer(in sys.Intent, body any) {
	m.ready = append(m.ready, sys.Input{Unit: in.Unit, CGroup: in.CGroup, Body: body})
}

// manage carries out an effect of the engine itself.
func (m *Machine) manage(in sys.Intent) {
	switch f := in.Effect.(type) {
	case sys.Load:
		if f.Refresh {
			clear(m.specs)
		}
		specs := make([]*unit.Spec, len(f.Names))
		for i, n := range f.Names {
			specs[i] = m.spec(n)
		}
		m.answer(in, sys.Loaded{Seq: in.Seq, Specs: specs})
	case sys.Check:
		results := make([]bool, len(f.Conditions))
		for i, c := range f.Conditions {
			results[i] = m.cfg.Check == nil || m.cfg.Check(c)
		}
		m.answer(in, sys.Checked{Seq: in.Seq, Results: results})
	case sys.Shutdown:
		m.shutdown = &f
	case sys.Reexec:
		m.after(0, happening{do: doReexec})
	}
}

func (m *Machine) spec(n unit.Name) *unit.Spec {
	s := m.specs[n]
	if s == nil {
		s = m.load(n)
		m.specs[n] = s
	}
	return s
}

// carryOut does one effect of a unit, and answers it. It reports whether the lane may go on.
func (m *Machine) carryOut(in sys.Intent) bool {
	if f, spawn := in.Effect.(unit.Spawn); spawn {
		return m.spawn(in, f)
	}
	m.doEffect(in)
	return true
}

func (m *Machine) doEffect(in sys.Intent) {
	done := unit.Done{Seq: in.Seq}
	switch f := in.Effect.(type) {
	case unit.ReadPIDFile:
		m.answer(in, m.readPIDFile(in, f))
		return
	case unit.FindMain:
		m.answer(in, m.findMain(in, f))
		return
	case unit.WatchPath:
		m.paths[f.ID+"\x00"+string(in.Unit)] = pathWatch{in.Unit, f.Path}
		return
	case unit.UnwatchPath:
		delete(m.paths, f.ID+"\x00"+string(in.Unit))
		return
	case unit.WatchFD:
		m.watchFDs(in.Unit, f.Keys)
		return
	case unit.UnwatchFD:
		for _, k := range f.Keys {
			delete(m.watched, k)
		}
		return
	case unit.Kill:
		done.None = m.kill(in, f)
	case unit.Attach:
		if in.Seq != 0 {
			m.answer(in, done) // before what it finds
		}
		m.attach(in, f)
		return
	case unit.Realize:
		if done.Err = m.effectFault(); done.Err == "" && in.CGroup != "" {
			m.exists[in.CGroup], m.groups[in.CGroup] = true, true
		}
	case unit.RemoveCgroup:
		if m.populated(in.CGroup) {
			done.Err = "the control group is not empty"
		} else {
			delete(m.exists, in.CGroup)
			delete(m.groups, in.CGroup)
		}
	case unit.Listen, unit.StoreFD, unit.DropFD:
		done.Err = m.descriptors(f)
	case unit.Dirs:
		done.Err = m.effectFault()
	}
	m.answer(in, done)
}

// descriptors carries out what concerns descriptors that init holds.
func (m *Machine) descriptors(f unit.Effect) string {
	switch f := f.(type) {
	case unit.Listen:
		if err := m.effectFault(); err != "" {
			return err
		}
		for _, s := range f.Sockets {
			m.fds[s.Key] = m.file()
		}
	case unit.StoreFD:
		if m.fds[f.From] == 0 && m.fds[f.To] == 0 {
			return "the descriptor is not held"
		}
		if file := m.fds[f.From]; file != 0 {
			m.fds[f.To] = file
		}
		delete(m.fds, f.From)
		m.storedTwice(f.To)
	case unit.DropFD:
		for _, k := range f.Keys {
			delete(m.fds, k)
			delete(m.conns, k)
		}
		for _, p := range f.Unlink {
			delete(m.files, p)
		}
	}
	return ""
}

func (m *Machine) effectFault() string {
	if m.chance(m.cfg.Faults.EffectFails) {
		return "it failed by chance"
	}
	return ""
}

// Probe implements sys.Prober: the machine knows what was spawned.
func (m *Machine) Probe(in sys.Intent) sys.Outcome {
	s, ok := in.Effect.(unit.Spawn)
	if !ok {
		return sys.Outcome{State: sys.NotDone}
	}
	if m.chance(m.cfg.Faults.ProbeUnknown) {
		m.note("probe unknown", in.Unit, int64(in.Seq), 0, nil)
		return sys.Outcome{State: sys.Unknown}
	}
	for _, p := range m.procs { // at most one
		if p.unit != in.Unit || p.seq != in.Seq {
			continue
		}
		m.note("probe found", in.Unit, int64(in.Seq), int64(p.proc.PID), nil)
		if !p.dead {
			m.watchGroup(in.CGroup, true)
		}
		execed := sys.Input{Unit: in.Unit, CGroup: in.CGroup, Body: unit.Execed{Seq: in.Seq}}
		m.ready = slices.Insert(m.ready, 0, execed) // before an Exited that waits
		return sys.Outcome{State: sys.Done, Event: unit.Spawned{Seq: in.Seq, Role: s.Role, Proc: p.proc}}
	}
	m.note("probe not done", in.Unit, int64(in.Seq), 0, nil)
	return sys.Outcome{State: sys.NotDone}
}

// Remains implements sys.Prober.
func (m *Machine) Remains(in sys.Intent) (r sys.Remains) {
	for _, p := range m.procs {
		if p.dead || p.unit != in.Unit {
			continue
		}
		r.Known = r.Known || slices.Contains(in.Known, p.proc)
		r.Newest = max(r.Newest, p.mark)
	}
	return r
}

// spawn reports whether the core has its answer already.
func (m *Machine) spawn(in sys.Intent, f unit.Spawn) bool {
	prog := m.programOf(f.Command.Path)
	fail := m.spawnFault(f.Command.Path)
	if fail == nil && prog.FailSpawn != "" {
		fail = &unit.SpawnError{Status: or(prog.FailStatus, 203), Step: prog.FailSpawn, Msg: "simulated"}
	}
	for _, fd := range f.FDs {
		if m.fds[fd.Key] == 0 {
			fail = &unit.SpawnError{Status: 202, Step: "descriptors", Msg: "descriptor " + fd.Key + " is not held"}
		}
	}
	early := fail != nil && (prog.NoProcess || fail.Status == 202 || fail.Status == 219)
	if early {
		m.answer(in, unit.Spawned{Seq: in.Seq, Role: f.Role, Err: fail})
		if m.emptied[in.CGroup] != "" {
			m.tellEmpty(in.CGroup)
		}
		return true
	}
	p := m.fork(process{unit: in.Unit, cgroup: in.CGroup, role: f.Role, path: f.Command.Path, seq: in.Seq, mark: in.Seq, prog: prog, followed: true})
	for _, fd := range f.FDs {
		p.fds = append(p.fds, fd.Key)
	}
	m.note("process", in.Unit, int64(p.proc.PID), int64(in.Seq), f.Command.Path)
	m.runs[f.Command.Path]++
	m.check.born(m, p)
	if f.Role == "main" || f.Role == "start" {
		m.started = append(m.started, startedAt{in.Unit, m.now})
	}
	m.exists[in.CGroup] = true
	m.watchGroup(in.CGroup, false)
	late := m.chance(m.cfg.Faults.LateSpawned)
	if p.setUp = fail; late {
		p.unheard = true
		m.at(m.now+spawnedLate+m.delay(), happening{gen: m.coreGen, do: doSpawned, act: in, proc: p.proc})
	} else {
		m.tellSpawned(in, p)
	}
	if fail != nil {
		m.after(0, happening{do: doExit, proc: p.proc, exit: unit.Exit{Code: unit.ExitExited, Status: fail.Status}})
		return !late
	}
	m.serve(p)
	m.lives(p, f.Notify)
	return !late
}

// spawnedLate is how long a process lives at least before a core hears late that it was made.
const spawnedLate = time.Millisecond

// tellSpawned answers a Spawn, and what the process ended with meanwhile comes behind that.
func (m *Machine) tellSpawned(in sys.Intent, p *process) {
	m.answer(in, unit.Spawned{Seq: in.Seq, Role: p.role, Proc: p.proc})
	m.answer(in, unit.Execed{Seq: in.Seq, Err: p.setUp})
	if p.unheard = false; p.dead {
		m.tellExit(p)
	}
}

// kill reports whether nobody was there.
func (m *Machine) kill(in sys.Intent, f unit.Kill) bool {
	if !f.Proc.IsZero() {
		if p := m.procs[f.Proc.PID]; p != nil && p.proc == f.Proc {
			m.signalProcess(p, f.Signal)
		}
		return false
	}
	if in.CGroup == "" {
		return false
	}
	pids := make([]int, 0, 4)
	for pid, p := range m.procs {
		if p.cgroup == in.CGroup && !p.dead && !slices.Contains(f.Except, p.proc) {
			pids = append(pids, pid)
		}
	}
	sort.Ints(pids)
	for _, pid := range pids {
		m.signalProcess(m.procs[pid], f.Signal)
	}
	return !m.populated(in.CGroup)
}

// attach has a process's end reported from now on. One that is gone already without a record of
// init is told as gone, its status unknown.
func (m *Machine) attach(in sys.Intent, f unit.Attach) {
	if !f.Proc.IsZero() {
		p := m.procs[f.Proc.PID]
		switch {
		case p != nil && p.proc == f.Proc:
			p.followed = true
		case !m.exitComes(f.Proc):
			gone := sys.Input{Unit: in.Unit, CGroup: in.CGroup, Body: unit.Exited{Proc: f.Proc}}
			m.at(m.now+exitPatience, happening{gen: m.coreGen, do: doDeliver, in: gone})
		}
	}
	m.watchGroup(in.CGroup, true)
}

// watchGroup has the core told when a group becomes empty; with tell also if it is.
func (m *Machine) watchGroup(cgroup string, tell bool) {
	switch {
	case cgroup == "" || m.groups[cgroup]:
		return
	case !m.exists[cgroup]:
		if tell {
			m.ready = append(m.ready, m.forGroup(cgroup, unit.CgroupEmpty{}))
		}
		return
	}
	m.groups[cgroup] = true
	if tell {
		m.tellEmpty(cgroup)
	}
}

func (m *Machine) readPIDFile(in sys.Intent, f unit.ReadPIDFile) unit.PIDRead {
	pid, ok := m.files[f.Path]
	p := m.procs[pid]
	switch {
	case !ok:
		return unit.PIDRead{Seq: in.Seq, NotYet: true}
	case pid == 0:
		return unit.PIDRead{Seq: in.Seq, Err: "it has no number"}
	case p == nil || p.dead:
		return unit.PIDRead{Seq: in.Seq, Err: "the process does not exist"}
	case p.cgroup != in.CGroup:
		return unit.PIDRead{Seq: in.Seq, Err: "the process does not belong to the unit"}
	}
	return unit.PIDRead{Seq: in.Seq, Proc: p.proc}
}

// findMain finds the process that MAINPID= names, or the only one that was left behind.
func (m *Machine) findMain(in sys.Intent, f unit.FindMain) unit.PIDRead {
	var found []unit.Proc
	for _, p := range m.procs {
		if p.cgroup == in.CGroup && !p.dead && (f.PID == 0 || f.PID == p.proc.PID) {
			found = append(found, p.proc)
		}
	}
	if len(found) != 1 {
		return unit.PIDRead{Seq: in.Seq, Err: "no single main process"}
	}
	return unit.PIDRead{Seq: in.Seq, Proc: found[0]}
}
