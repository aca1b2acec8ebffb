package sim

import (
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Signals by number on all of Go's Linux ports but MIPS.
const (
	sigHUP  = 1
	sigKILL = 9
	sigCONT = 18
)

// maxPID is small, so that numbers are used again.
const maxPID = 1 << 12

// exitPatience is how long a core waits for init's record of a process that is gone
// (core/sys/linux).
const exitPatience = 2 * time.Second

// process is one simulated process.
type process struct {
	proc     unit.Proc
	unit     unit.Name
	cgroup   string
	role     string
	path     string
	seq      uint64 // of its Spawn; 0: it was forked by another process
	mark     uint64 // the same, but inherited
	prog     *Program
	began    time.Duration
	followed bool // its end is reported to the core: spawned, or attached
	adopted  bool // not spawned by any core
	dead     bool
	unheard  bool // the core does not know yet that it was made
	setUp    *unit.SpawnError
	told     bool // its Exited is with the core, or waits for it
	exit     unit.Exit
	fds      []string
	killed   bool // it was sent SIGKILL
	stubborn bool // it was sent SIGKILL while frozen, or ignores what it gets: not the unit's fault
}

// startedAt is when a main process of a unit was made, for Order.
type startedAt struct {
	unit unit.Name
	at   time.Duration
}

// fork makes a process.
func (m *Machine) fork(p process) *process {
	for m.procs[m.nextPID] != nil || m.nextPID < 100 {
		if m.nextPID++; m.nextPID >= maxPID {
			m.nextPID = 100
		}
	}
	m.seq++ // the start time: no two are the same
	p.proc = unit.Proc{PID: m.nextPID, Start: m.seq}
	p.began = m.now
	m.nextPID++
	m.procs[p.proc.PID] = &p
	return &p
}

// programOf is how the next run of path behaves.
func (m *Machine) programOf(path string) *Program {
	list := m.programs[path]
	if len(list) == 0 && m.otherwise != nil {
		return m.otherwise
	}
	if len(list) == 0 {
		return &Program{Ready: Forever}
	}
	return &list[min(m.runs[path], len(list)-1)]
}

// lives schedules what a process does with its life.
func (m *Machine) lives(p *process, notify bool) {
	if notify && p.prog.Ready != Forever {
		m.after(p.prog.Ready, happening{do: doNotice, proc: p.proc, n: -1})
	}
	if notify {
		for i := range p.prog.Notices {
			m.after(p.prog.Notices[i].After, happening{do: doNotice, proc: p.proc, n: i})
		}
		if p.prog.Ping > 0 {
			m.after(p.prog.Ping, happening{do: doPing, proc: p.proc})
		}
	}
	m.after(p.prog.Runs, happening{do: doEnd, proc: p.proc})
}

// end is a program's own end.
func (m *Machine) end(p *process) {
	for range p.prog.Leaves {
		m.child(p, &Program{Runs: Forever, IgnoresTerm: p.prog.IgnoresTerm})
	}
	if p.prog.Forks {
		runs := p.prog.ChildRuns
		if runs == 0 {
			runs = Forever
		}
		c := m.child(p, &Program{Runs: runs, Ready: Forever, IgnoresTerm: p.prog.IgnoresTerm, PIDFile: p.prog.PIDFile, PIDFileSays: p.prog.PIDFileSays})
		if p.prog.PIDFile != "" && p.prog.PIDFileSays != PIDNone {
			if p.prog.PIDFileLate > 0 {
				m.after(p.prog.PIDFileLate, happening{do: doPIDFile, proc: c.proc, n: c.proc.PID})
			} else {
				m.writePIDFile(c, c.proc.PID)
			}
		}
	}
	x := unit.Exit{Code: unit.ExitExited, Status: p.prog.Status}
	switch {
	case p.prog.Signal != 0 && p.prog.Dumped:
		x = unit.Exit{Code: unit.ExitDumped, Status: p.prog.Signal}
	case p.prog.Signal != 0:
		x = unit.Exit{Code: unit.ExitKilled, Status: p.prog.Signal}
	}
	m.exit(p, x)
}

// child is a process that p forks and that stays in p's control group.
func (m *Machine) child(p *process, prog *Program) *process {
	c := m.fork(process{unit: p.unit, cgroup: p.cgroup, path: p.path, mark: p.mark, prog: prog, adopted: true, fds: p.fds})
	m.note("fork", p.unit, int64(p.proc.PID), int64(c.proc.PID), nil)
	m.after(prog.Runs, happening{do: doEnd, proc: c.proc})
	return c
}

func (m *Machine) writePIDFile(p *process, pid int) {
	switch p.prog.PIDFileSays {
	case PIDGone:
		pid = maxPID + 1
	case PIDForeign:
		pid = m.foreign(p).PID
	case PIDGarbage:
		pid = 0
	}
	m.files[p.prog.PIDFile] = pid
	m.note("PID file", p.unit, int64(pid), 0, p.prog.PIDFile)
	for _, k := range sortedKeys(m.paths) { // at most one unit watches a PID file
		if w := m.paths[k]; w.path == p.prog.PIDFile {
			delete(m.paths, k)
			id, _, _ := strings.Cut(k, "\x00")
			m.ready = append(m.ready, sys.Input{Unit: w.unit, Body: unit.PathChanged{ID: id}})
		}
	}
}

// foreign is a live process of another unit, or one that nobody knows.
func (m *Machine) foreign(p *process) unit.Proc {
	best := unit.Proc{PID: 2, Start: 1}
	for pid, q := range m.procs {
		if q.unit != p.unit && !q.dead && (best.PID == 2 || pid < best.PID) {
			best = q.proc
		}
	}
	return best
}

// notify sends one message to the notification socket.
func (m *Machine) notify(p *process, n Notice) {
	in := sys.Input{CGroup: p.cgroup}
	ev := unit.Notified{From: p.proc}
	if n.Foreign {
		ev.From, in.CGroup = m.foreign(p), ""
		if q := m.procs[ev.From.PID]; q != nil {
			in.CGroup = q.cgroup
		}
	}
	text := strings.ReplaceAll(n.Text, "$FOREIGN", strconv.Itoa(m.foreign(p).PID))
	text = strings.ReplaceAll(text, "$CHILD", strconv.Itoa(m.nextPID-1))
	for text != "" {
		var l string
		l, text, _ = strings.Cut(text, "\n")
		if k, v, ok := strings.Cut(l, "="); ok && k != "" {
			ev.Fields = append(ev.Fields, unit.Field{Key: k, Value: v})
		}
	}
	for range n.FDs {
		m.seq++
		key := "tmp/" + strconv.FormatUint(m.seq, 10)
		m.hold(key, m.file())
		ev.FDs = append(ev.FDs, unit.FDRef{Key: key, Name: "stored"})
	}
	if len(ev.Fields) == 0 {
		return
	}
	in.Body = ev
	m.note("notify", p.unit, int64(ev.From.PID), 0, n.Text)
	m.deliver(in)
}

// exit ends a process. Whoever follows it is told: the core of its child, init of the rest.
func (m *Machine) exit(p *process, x unit.Exit) {
	if p.dead {
		return
	}
	p.dead, p.exit = true, x
	m.note("exit", p.unit, int64(p.proc.PID), 0, x)
	switch {
	case !p.followed && !m.coreDown: // nobody asked init to report it
		delete(m.procs, p.proc.PID)
	case p.unheard: // the answer to its Spawn comes before
	case p.adopted && !m.coreDown && m.chance(m.cfg.Faults.LostExit):
		m.at(m.now+exitPatience, happening{do: doDeliver, in: sys.Input{CGroup: p.cgroup, Body: unit.Exited{Proc: p.proc}}})
	default:
		m.tellExit(p)
	}
	m.tellEmpty(p.cgroup)
}

// tellExit makes a process's end ready.
func (m *Machine) tellExit(p *process) {
	p.told = true
	if m.bug.loses(m, p) {
		delete(m.procs, p.proc.PID)
		return
	}
	in := sys.Input{CGroup: p.cgroup, Body: unit.Exited{Proc: p.proc, Exit: p.exit}}
	if !m.coreDown && p.followed {
		in.Unit = p.unit
	}
	m.deliver(in)
}

// unspawned: the core died before it heard of these processes. Their ends are init's to tell.
func (m *Machine) unspawned() {
	pids := make([]int, 0, len(m.procs))
	for pid, p := range m.procs {
		if p.unheard {
			pids = append(pids, pid)
		}
	}
	sort.Ints(pids)
	for _, pid := range pids {
		p := m.procs[pid]
		if p.unheard = false; p.dead {
			m.tellExit(p)
		}
	}
}

// exitTold goes on when an Exited was delivered late.
func (m *Machine) exitTold(cgroup string, x unit.Exited) {
	if p := m.procs[x.Proc.PID]; p != nil && p.proc == x.Proc {
		p.told = true
	}
	if m.emptied[cgroup] != "" {
		m.tellEmpty(cgroup)
	}
}

// tellEmpty tells the core that a group it watches is empty, after all ends of processes.
func (m *Machine) tellEmpty(cgroup string) {
	delete(m.emptied, cgroup)
	if !m.groups[cgroup] || m.coreDown || m.populated(cgroup) {
		return
	}
	if l := m.lanes[unitOf(cgroup)]; l != nil && l.busy {
		if _, spawning := l.current.Effect.(unit.Spawn); spawning {
			m.emptied[cgroup] = cgroup
			return
		}
	}
	for _, p := range m.procs {
		if p.cgroup == cgroup && p.dead && p.followed && !p.told {
			m.emptied[cgroup] = cgroup
			return
		}
	}
	m.ready = append(m.ready, m.forGroup(cgroup, unit.CgroupEmpty{}))
}

func (m *Machine) forGroup(cgroup string, body any) sys.Input {
	return sys.Input{Unit: unitOf(cgroup), CGroup: cgroup, Body: body}
}

// unitOf is the unit whose control group this is.
func unitOf(cgroup string) unit.Name {
	return unit.Name(cgroup[strings.LastIndexByte(cgroup, '/')+1:])
}

func (m *Machine) populated(cgroup string) bool {
	for _, p := range m.procs {
		if p.cgroup == cgroup && !p.dead {
			return true
		}
	}
	return false
}

// signalProcess sends a signal. SIGHUP is for programs that reload: those that run for ever.
func (m *Machine) signalProcess(p *process, signal int) {
	const nothing = 0
	switch {
	case p.dead, signal == sigCONT, signal == nothing, signal == sigHUP && p.prog.Runs == Forever:
		return
	case p.prog.IgnoresTerm && signal != sigKILL:
		p.stubborn = true
		return
	}
	if m.frozen[p.cgroup] > m.now {
		p.stubborn = true
	}
	d := p.prog.TermTakes
	if signal == sigKILL {
		d, p.killed = 0, true
	}
	m.after(d, happening{do: doExit, proc: p.proc, exit: unit.Exit{Code: unit.ExitKilled, Status: signal}})
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
