package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"time"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Config describes a machine.
type Config struct {
	Seed  uint64
	Types map[unit.Kind]*unit.Type
	// Load reads unit files: normally the Load method of a unitfile.Loader over an in-memory tree.
	Load func(unit.Name) *unit.Spec
	// Check evaluates one condition; nil: all are met.
	Check func(unit.Condition) bool
	Boot  unit.Name
	Mode  unit.JobMode // of the boot job, default isolate
	// MaxDelay is the longest that an effect or an event takes to arrive; each takes a random
	// part of it. Zero: everything arrives in the next turn, in order.
	MaxDelay time.Duration
	// Trace, if set, receives a line for everything that happens.
	Trace func(string)
}

// Machine is the simulated machine with its core.
type Machine struct {
	cfg      Config
	rng      *rand.Rand
	now      time.Duration
	engine   *core.Engine
	store    *statetest.Mem
	programs map[string]Program

	queue   []pending // what will arrive, by time
	seq     uint64
	inputID uint64
	peeked  map[uint64]sys.Input // delivered, not acknowledged
	ready   []sys.Input          // arrived, not peeked

	procs    map[int]*process
	nextPID  int
	fds      map[string]bool
	watched  map[string]unit.Name
	paths    map[string]pathWatch
	files    map[string]int // PID files
	spawned  map[spawnKey]unit.Proc
	runs     map[string]int
	shutdown *sys.Shutdown
	coreGen  int
	turns    uint64

	crashAfter int // checkpoints until the core crashes; below 0: never
	points     int
	messages   []string
}

type spawnKey struct {
	unit unit.Name
	seq  uint64
}

type pathWatch struct {
	unit unit.Name
	path string
}

// process is one simulated process.
type process struct {
	proc    unit.Proc
	unit    unit.Name
	cgroup  string
	role    string
	prog    Program
	exit    *unit.Exit
	adopted bool // reported by init, not by the core's own wait
}

// pending is something that arrives later.
type pending struct {
	at  time.Duration
	seq uint64
	do  func()
	gen int // 0: happens whatever becomes of the core; else only to that core
}

// ErrStuck says that nothing can happen any more and the condition does not hold.
var ErrStuck = errors.New("nothing is left to happen")

// New makes a machine and starts its core.
func New(cfg Config) (*Machine, error) {
	m := &Machine{
		cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x5157)), now: time.Second, store: new(statetest.Mem),
		programs: make(map[string]Program), peeked: make(map[uint64]sys.Input), procs: make(map[int]*process),
		fds: make(map[string]bool), watched: make(map[string]unit.Name), paths: make(map[string]pathWatch),
		files: make(map[string]int), spawned: make(map[spawnKey]unit.Proc), runs: make(map[string]int),
		nextPID: 100, crashAfter: -1,
	}
	return m, m.start()
}

// Program sets how the program at path behaves. Unknown programs exit at once with success.
func (m *Machine) Program(path string, p Program) { m.programs[path] = p }

// start gives the machine a new core, which recovers from the store.
func (m *Machine) start() error {
	m.coreGen++
	e, err := core.New(core.Config{
		World: sys.World{Clock: m, Source: m, Actor: m, Prober: m, Pulse: m},
		Store: m.store, Types: m.cfg.Types,
		Boot:       core.Boot{Unit: m.cfg.Boot, Mode: m.cfg.Mode},
		Observe:    m.observe,
		Checkpoint: m.checkpoint,
	})
	m.engine = e
	return err
}

func (m *Machine) checkpoint(core.Stage) bool {
	m.points++
	if m.crashAfter < 0 {
		return true
	}
	m.crashAfter--
	return m.crashAfter >= 0
}

func (m *Machine) observe(ev core.Event) {
	switch ev := ev.(type) {
	case core.Message:
		m.messages = append(m.messages, string(ev.Unit)+": "+ev.Text)
		m.trace("say %s: %s", ev.Unit, ev.Text)
	case core.UnitChanged:
		m.trace("unit %s: %v/%s -> %v/%s", ev.Unit, ev.Old.Active, ev.Old.Sub, ev.New.Active, ev.New.Sub)
	case core.JobNew:
		m.trace("job %d %s/%v", ev.Job.ID, ev.Job.Unit, ev.Job.Type)
	case core.JobRemoved:
		m.trace("job %d %s/%v: %v", ev.Job.ID, ev.Job.Unit, ev.Job.Type, ev.Job.Result)
	}
}

func (m *Machine) trace(format string, args ...any) {
	if m.cfg.Trace != nil {
		m.cfg.Trace(fmt.Sprintf("%12v ", m.now) + fmt.Sprintf(format, args...))
	}
}

// CrashAfter lets the core die at the n-th checkpoint from now (0: the next). The machine
// starts a new one by itself.
func (m *Machine) CrashAfter(n int) { m.crashAfter = n }

// Points is how many checkpoints have been passed: the number of places for a crash.
func (m *Machine) Points() int { return m.points }

// Crash kills the core now and starts a new one.
func (m *Machine) Crash() error {
	m.trace("core crashes")
	m.crashAfter = -1
	// What was peeked and not acknowledged is still with its owner.
	ids := make([]uint64, 0, len(m.peeked))
	for id := range m.peeked {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	var again []sys.Input
	for _, id := range ids {
		again = append(again, m.peeked[id])
	}
	m.peeked = make(map[uint64]sys.Input)
	keep := again[:0]
	for _, in := range append(again, m.ready...) {
		if survives(in.Body) {
			keep = append(keep, in)
		}
	}
	m.ready = keep
	clear(m.watched)
	clear(m.paths)
	m.store = m.store.Reopen()
	return m.start()
}

// survives: exits, notifications and signals stay with the kernel or init; results of
// effects, watches and clients' calls die with the core.
func survives(body any) bool {
	switch body.(type) {
	case unit.Exited, unit.Notified, unit.CgroupEmpty, sys.Signal:
		return true
	}
	return false
}

// Step does one turn of the core; if nothing is ready, the clock moves to the next thing
// that happens. It reports false when nothing will ever happen again.
func (m *Machine) Step() (bool, error) {
	m.arrive()
	more, err := m.engine.Step()
	m.turns++
	if errors.Is(err, core.ErrCrashed) {
		return true, m.Crash()
	}
	if err != nil {
		return false, err
	}
	if more || len(m.ready) > 0 {
		return true, nil
	}
	return m.advance(), nil
}

// advance moves the clock to the next event; false when there is none.
func (m *Machine) advance() bool {
	next := m.engine.NextDeadline()
	if len(m.queue) > 0 {
		next = min(next, m.queue[0].at)
	}
	if next == Forever {
		return false
	}
	m.now = max(m.now, next)
	return true
}

// RunUntil turns until cond holds. It gives up with an error after the virtual time limit,
// or when nothing can happen any more.
func (m *Machine) RunUntil(cond func() bool, limit time.Duration) error {
	end := m.now + limit
	for !cond() {
		if m.now > end {
			return fmt.Errorf("%v of virtual time have passed", limit)
		}
		more, err := m.Step()
		if err != nil {
			return err
		}
		if !more && !cond() {
			return ErrStuck
		}
	}
	return nil
}

// Settle turns until nothing is left to happen within limit of virtual time.
func (m *Machine) Settle(limit time.Duration) error {
	end := m.now + limit
	for m.now <= end {
		more, err := m.Step()
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// Request queues a call of the control API; reply may be nil.
func (m *Machine) Request(op any, reply func(core.Response)) {
	m.ready = append(m.ready, sys.Input{Body: sys.Request{Body: &core.Request{Op: op, Reply: reply}}})
}

// Do queues a job request and waits until its job is gone.
func (m *Machine) Do(t unit.JobType, n unit.Name, mode unit.JobMode) error {
	var got *core.Response
	m.Request(core.OpJob{Unit: n, Type: t, Mode: mode, Manual: true}, func(r core.Response) { got = &r })
	err := m.RunUntil(func() bool {
		return got != nil && (got.Err != nil || got.Job == 0 || !m.hasJob(got.Job))
	}, time.Hour)
	if err != nil {
		return err
	}
	return got.Err
}

func (m *Machine) hasJob(id core.JobID) bool {
	for _, j := range m.engine.View().Jobs() {
		if j.ID == id {
			return true
		}
	}
	return false
}

// Signal delivers one of PID 1's signals.
func (m *Machine) Signal(n int) { m.deliver(sys.Input{Body: sys.Signal{Number: n}}) }

// Engine is the present core.
func (m *Machine) Engine() *core.Engine { return m.engine }

// Now is the virtual monotonic time.
func (m *Machine) NowMono() time.Duration { return m.now }

// State is a unit's state; the zero State if it is not loaded.
func (m *Machine) State(n unit.Name) unit.State {
	if u := m.engine.View().Unit(n); u != nil {
		return u.State
	}
	return unit.State{}
}

// Active reports whether a unit is up.
func (m *Machine) Active(n unit.Name) bool { return m.State(n).Active.IsUp() }

// Runs is how often the program at path was started.
func (m *Machine) Runs(path string) int { return m.runs[path] }

// Messages are the lines for the administrator so far.
func (m *Machine) Messages() []string { return m.messages }

// Down is how the machine was taken down; nil while it is up.
func (m *Machine) Down() *sys.Shutdown { return m.shutdown }

// Procs lists the PIDs of a unit's live processes.
func (m *Machine) Procs(n unit.Name) (pids []int) {
	for pid, p := range m.procs {
		if p.unit == n && p.exit == nil {
			pids = append(pids, pid)
		}
	}
	sort.Ints(pids)
	return pids
}

// KillProcess ends a process from outside, as kill(1) would.
func (m *Machine) KillProcess(pid, signal int) {
	if p := m.procs[pid]; p != nil {
		m.signalProcess(p, signal)
	}
}

// Connect makes a held socket readable, as a client's connection would.
func (m *Machine) Connect(key string) {
	if n, ok := m.watched[key]; ok {
		delete(m.watched, key)
		m.deliver(sys.Input{Unit: n, Body: unit.FDReady{Key: key}})
	}
}

// Store is the core's stored state.
func (m *Machine) Store() state.Store { return m.store }
