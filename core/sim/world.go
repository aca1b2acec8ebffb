package sim

import (
	"sort"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Now implements sys.Clock.
func (m *Machine) Now() unit.Stamp {
	return unit.Stamp{Real: m.now + 1_700_000_000*time.Second, Mono: m.now, Boot: m.now}
}

// Peek implements sys.Source.
func (m *Machine) Peek(buf []sys.Input, most int) []sys.Input {
	n := min(most, len(m.ready))
	for _, in := range m.ready[:n] {
		if in.ID != 0 {
			m.peeked[in.ID] = in
		}
		buf = append(buf, in)
	}
	m.ready = m.ready[n:]
	return buf
}

// Ack implements sys.Source.
func (m *Machine) Ack(ids []uint64) {
	for _, id := range ids {
		if in, ok := m.peeked[id]; ok {
			if x, ok := in.Body.(unit.Exited); ok {
				delete(m.procs, x.Proc.PID)
			}
			delete(m.peeked, id)
		}
	}
}

// Wait implements sys.Source; the machine moves the clock itself.
func (m *Machine) Wait(time.Duration) {}

// Turned implements sys.Pulse.
func (m *Machine) Turned(uint64, bool) {}

// deliver makes an input ready.
func (m *Machine) deliver(in sys.Input) {
	if survives(in.Body) {
		m.inputID++
		in.ID = m.inputID
	}
	m.ready = append(m.ready, in)
}

// after queues f; gen binds it to one core, 0 to the machine.
func (m *Machine) after(d time.Duration, gen int, f func()) {
	if d == Forever {
		return
	}
	if m.cfg.MaxDelay > 0 {
		d += time.Duration(m.rng.Int64N(int64(m.cfg.MaxDelay)))
	}
	m.seq++
	p := pending{m.now + d, m.seq, f, gen}
	i := sort.Search(len(m.queue), func(i int) bool { return m.queue[i].at > p.at })
	m.queue = append(m.queue, pending{})
	copy(m.queue[i+1:], m.queue[i:])
	m.queue[i] = p
}

// arrive lets happen what is due.
func (m *Machine) arrive() {
	for len(m.queue) > 0 && m.queue[0].at <= m.now {
		p := m.queue[0]
		m.queue = m.queue[1:]
		if p.gen == 0 || p.gen == m.coreGen {
			p.do()
		}
	}
}

// answer delivers an effect's answer to the core that asked.
func (m *Machine) answer(n unit.Name, body any) {
	m.after(0, m.coreGen, func() { m.deliver(sys.Input{Unit: n, Body: body}) })
}

// answerInOrder is answer without a random delay: a process is known before anything is heard of it.
func (m *Machine) answerInOrder(n unit.Name, body any) {
	m.ready = append(m.ready, sys.Input{Unit: n, Body: body})
}

// Act implements sys.Actor.
func (m *Machine) Act(in sys.Intent) {
	m.trace("act %s/%d %T", in.Unit, in.Seq, in.Effect)
	switch f := in.Effect.(type) {
	case sys.Load:
		specs := make([]*unit.Spec, len(f.Names))
		for i, n := range f.Names {
			specs[i] = m.cfg.Load(n)
		}
		m.answer("", sys.Loaded{Seq: in.Seq, Specs: specs})
	case sys.Check:
		results := make([]bool, len(f.Conditions))
		for i, c := range f.Conditions {
			results[i] = m.cfg.Check == nil || m.cfg.Check(c)
		}
		m.answer(in.Unit, sys.Checked{Seq: in.Seq, Results: results})
	case sys.Shutdown:
		m.shutdown = &f
	case sys.Reexec:
		m.after(0, 0, func() { m.crashAfter = 0 })
	case unit.Spawn:
		m.spawn(in, f)
	case unit.Kill:
		m.kill(in, f)
	case unit.Attach:
		m.attach(in, f)
	case unit.ReadPIDFile:
		m.readPIDFile(in, f)
	case unit.FindMain:
		m.findMain(in, f)
	case unit.WatchPath:
		m.paths[f.ID+"\x00"+string(in.Unit)] = pathWatch{in.Unit, f.Path}
	case unit.UnwatchPath:
		delete(m.paths, f.ID+"\x00"+string(in.Unit))
	case unit.WatchFD:
		for _, k := range f.Keys {
			m.watched[k] = in.Unit
		}
	case unit.UnwatchFD:
		for _, k := range f.Keys {
			delete(m.watched, k)
		}
	case unit.Listen:
		for _, s := range f.Sockets {
			m.fds[s.Key] = true
		}
		m.answer(in.Unit, unit.Done{Seq: in.Seq})
	case unit.StoreFD:
		m.fds[f.To] = true
		m.answer(in.Unit, unit.Done{Seq: in.Seq})
	case unit.DropFD:
		for _, k := range f.Keys {
			delete(m.fds, k)
		}
		m.answer(in.Unit, unit.Done{Seq: in.Seq})
	default:
		m.answer(in.Unit, unit.Done{Seq: in.Seq})
	}
}

// Probe implements sys.Prober: the machine knows what was spawned.
func (m *Machine) Probe(in sys.Intent) sys.Outcome {
	s, ok := in.Effect.(unit.Spawn)
	if !ok {
		return sys.Outcome{State: sys.NotDone}
	}
	p, ok := m.spawned[spawnKey{in.Unit, in.Seq}]
	if !ok {
		return sys.Outcome{State: sys.NotDone}
	}
	m.answerInOrder(in.Unit, unit.Execed{Seq: in.Seq})
	return sys.Outcome{State: sys.Done, Event: unit.Spawned{Seq: in.Seq, Role: s.Role, Proc: p}}
}

func (m *Machine) spawn(in sys.Intent, f unit.Spawn) {
	prog, known := m.programs[f.Command.Path]
	if !known {
		prog = Oneshot(0)
	}
	m.nextPID++
	p := &process{proc: unit.Proc{PID: m.nextPID, Start: uint64(m.now / (10 * time.Millisecond))}, unit: in.Unit, cgroup: in.CGroup, role: f.Role, prog: prog}
	m.procs[p.proc.PID] = p
	m.spawned[spawnKey{in.Unit, in.Seq}] = p.proc
	m.runs[f.Command.Path]++
	m.answerInOrder(in.Unit, unit.Spawned{Seq: in.Seq, Role: f.Role, Proc: p.proc})
	if prog.FailSpawn != "" {
		err := &unit.SpawnError{Status: 203, Step: prog.FailSpawn, Msg: "simulated"}
		m.answerInOrder(in.Unit, unit.Execed{Seq: in.Seq, Err: err})
		m.after(0, 0, func() { m.exit(p, unit.Exit{Code: unit.ExitExited, Status: 203}) })
		return
	}
	m.answerInOrder(in.Unit, unit.Execed{Seq: in.Seq})
	if f.Notify && prog.Ready != Forever {
		m.after(prog.Ready, 0, func() {
			if p.exit == nil {
				m.deliver(sys.Input{CGroup: p.cgroup, Body: unit.Notified{From: p.proc, Fields: []unit.Field{{Key: "READY", Value: "1"}}}})
			}
		})
	}
	m.after(prog.Runs, 0, func() {
		if prog.Forks {
			m.fork(p)
		}
		m.exit(p, unit.Exit{Code: unit.ExitExited, Status: prog.Status})
	})
}

// fork leaves a daemon behind.
func (m *Machine) fork(p *process) {
	if p.exit != nil {
		return
	}
	m.nextPID++
	c := &process{proc: unit.Proc{PID: m.nextPID, Start: uint64(m.now / (10 * time.Millisecond))}, unit: p.unit, cgroup: p.cgroup, prog: Daemon(), adopted: true}
	c.prog.IgnoresTerm = p.prog.IgnoresTerm
	m.procs[c.proc.PID] = c
	if p.prog.PIDFile != "" {
		m.files[p.prog.PIDFile] = c.proc.PID
		for k, w := range m.paths { // at most one unit watches a PID file
			if w.path == p.prog.PIDFile {
				delete(m.paths, k)
				id, _, _ := cutNUL(k)
				m.deliver(sys.Input{Unit: w.unit, Body: unit.PathChanged{ID: id}})
			}
		}
	}
}

func cutNUL(s string) (before, after string, ok bool) {
	for i := range len(s) {
		if s[i] == 0 {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func (m *Machine) exit(p *process, x unit.Exit) {
	if p.exit != nil {
		return
	}
	p.exit = &x
	m.trace("exit %s pid %d %v %d", p.unit, p.proc.PID, x.Code, x.Status)
	m.deliver(sys.Input{CGroup: p.cgroup, Body: unit.Exited{Proc: p.proc, Exit: x}})
	if !m.populated(p.cgroup) {
		m.deliver(sys.Input{CGroup: p.cgroup, Body: unit.CgroupEmpty{}})
	}
}

func (m *Machine) populated(cgroup string) bool {
	for _, p := range m.procs {
		if p.cgroup == cgroup && p.exit == nil {
			return true
		}
	}
	return false
}

func (m *Machine) signalProcess(p *process, signal int) {
	const sigKILL, sigHUP, sigCONT = 9, 1, 18
	if p.exit != nil || signal == sigCONT || signal == 0 || p.prog.IgnoresTerm && signal != sigKILL || signal == sigHUP && p.prog.Runs == Forever {
		return
	}
	m.after(0, 0, func() { m.exit(p, unit.Exit{Code: unit.ExitKilled, Status: signal}) })
}

func (m *Machine) kill(in sys.Intent, f unit.Kill) {
	if !f.Proc.IsZero() {
		if p := m.procs[f.Proc.PID]; p != nil {
			m.signalProcess(p, f.Signal)
		}
	} else {
		pids := make([]int, 0, 4)
		for pid, p := range m.procs {
			if p.cgroup == in.CGroup && !excepted(p.proc, f.Except) {
				pids = append(pids, pid)
			}
		}
		sort.Ints(pids)
		for _, pid := range pids {
			m.signalProcess(m.procs[pid], f.Signal)
		}
	}
	m.answer(in.Unit, unit.Done{Seq: in.Seq})
}

func excepted(p unit.Proc, list []unit.Proc) bool {
	for _, q := range list {
		if p == q {
			return true
		}
	}
	return false
}

func (m *Machine) attach(in sys.Intent, f unit.Attach) {
	m.answer(in.Unit, unit.Done{Seq: in.Seq})
	if m.procs[f.Proc.PID] == nil {
		m.answer(in.Unit, unit.Exited{Proc: f.Proc, Exit: unit.Exit{Code: unit.ExitUnknown}})
	}
}

func (m *Machine) readPIDFile(in sys.Intent, f unit.ReadPIDFile) {
	pid, ok := m.files[f.Path]
	p := m.procs[pid]
	switch {
	case !ok:
		m.answer(in.Unit, unit.PIDRead{Seq: in.Seq, NotYet: true})
	case p == nil || p.exit != nil:
		m.answer(in.Unit, unit.PIDRead{Seq: in.Seq, Err: "the process does not exist"})
	default:
		m.answer(in.Unit, unit.PIDRead{Seq: in.Seq, Proc: p.proc})
	}
}

func (m *Machine) findMain(in sys.Intent, f unit.FindMain) {
	var found []unit.Proc
	for _, p := range m.procs {
		if p.cgroup == in.CGroup && p.exit == nil && (f.PID == 0 || f.PID == p.proc.PID) {
			found = append(found, p.proc)
		}
	}
	if len(found) != 1 {
		m.answer(in.Unit, unit.PIDRead{Seq: in.Seq, Err: "no single main process"})
		return
	}
	m.answer(in.Unit, unit.PIDRead{Seq: in.Seq, Proc: found[0]})
}
