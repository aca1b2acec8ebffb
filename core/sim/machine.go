package sim

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Config describes a machine.
type Config struct {
	Seed  uint64
	Types map[unit.Kind]*unit.Type
	// Load reads unit files: normally the Load method of a unitfile.Loader over an in-memory tree.
	// Each name is asked for once, and again after SetFiles.
	Load func(unit.Name) *unit.Spec
	// Check evaluates one condition; nil: all are met.
	Check func(unit.Condition) bool
	Boot  unit.Name
	Mode  unit.JobMode // of the boot job, default isolate
	// MaxDelay is the longest that an effect or an event takes; each takes a random part of it.
	// Zero: everything happens in the next turn, in order.
	MaxDelay time.Duration
	// Faults are what goes wrong by chance.
	Faults Faults
	// Store is where the core keeps its state.
	Store StoreKind
	// Limits bound what a correct machine may do; zero values have defaults.
	Limits Limits
	// Unchecked turns the rules off: the machine then reports no Violation.
	Unchecked bool
	// Trace, if set, receives a line for everything that happens.
	Trace func(string)
	// Observe, if set, receives what the core publishes.
	Observe func(core.Event)
}

// Machine is the simulated machine with its core. It belongs to one goroutine.
type Machine struct {
	cfg    Config
	pcg    *rand.PCG
	rng    *rand.Rand
	engine *core.Engine
	store  *store
	check  *checker
	flight flight
	stats  *Stats // shared with forks

	now        time.Duration
	realOffset time.Duration
	queue      []*happening // what will come, by time
	seq        uint64
	inputID    uint64
	peeked     map[uint64]sys.Input // delivered, not acknowledged
	ready      []sys.Input          // arrived, not peeked
	lanes      map[unit.Name]*lane
	load       func(unit.Name) *unit.Spec
	specs      map[unit.Name]*unit.Spec // what load said; nil entries are asked again

	programs   map[string][]Program
	otherwise  *Program // unknown ones
	procs      map[int]*process
	nextPID    int
	fds        map[string]uint64 // what init holds: files by key
	taken      map[string]uint64 // files by the keys under which messages brought them
	conns      map[string]int    // connections that wait
	served     map[string]int
	refused    map[string]int
	watched    map[string]unit.Name
	paths      map[string]pathWatch
	files      map[string]int    // PID files; 0: garbage
	exists     map[string]bool   // control groups
	groups     map[string]bool   // ... that the core watches
	emptied    map[string]string // ... whose emptiness is not told yet
	frozen     map[string]time.Duration
	runs       map[string]int
	started    []startedAt
	booted     bool
	bootTime   time.Duration
	failSpawns []Fault
	clients    []*client
	shutdown   *sys.Shutdown

	coreGen    int
	coreDown   bool // between a crash and the next core
	turns      uint64
	acted      int // effects of this turn
	stage      core.Stage
	committed  bool  // in this turn
	restless   bool  // the core has something to do at once
	crashAfter int   // checkpoints until the core crashes; below 0: never
	path       []int // where the core died so far, in checkpoints since the time before
	pathFrom   int
	planned    []int // where it will die, in the same way
	hangNext   bool
	muted      bool   // effects are not carried out: RecoverTwice
	cause      string // of the crash that the checkpoint asked for
	crashed    int
	onPoint    func(*Machine, core.Stage) error
	pointErr   error
	points     int
	sameTime   int // turns without a move of the clock
	messages   []string
	ring       [traceKept]line
	ringAt     int
	bug        plantedBug
	poison     map[unit.Name]int // units at whose next spawns the core dies
}

// Stats count what was simulated, forks included.
type Stats struct {
	Turns   int // of the engine
	Points  int // checkpoints passed
	Crashes int // cores that died and were recovered
	Hangs   int // ... of those, hanging
	Forks   int // machines that were copied to crash them
	Seeds   int // machines
	Doubled int // recoveries that were compared with a second one
}

// Add adds what o counted.
func (s *Stats) Add(o Stats) {
	s.Turns += o.Turns
	s.Points += o.Points
	s.Crashes += o.Crashes
	s.Hangs += o.Hangs
	s.Forks += o.Forks
	s.Seeds += o.Seeds
	s.Doubled += o.Doubled
}

// String is one line.
func (s Stats) String() string {
	return fmt.Sprintf("%d seeds, %d turns, %d checkpoints, %d crash points (%d of them hangs), %d forks, %d double recoveries",
		s.Seeds, s.Turns, s.Points, s.Crashes, s.Hangs, s.Forks, s.Doubled)
}

// ErrStuck says that nothing can happen any more and the condition does not hold.
var ErrStuck = errors.New("nothing is left to happen")

// ErrLimit says that the virtual time is over and the condition does not hold.
var ErrLimit = errors.New("the virtual time is over")

// New makes a machine and starts its core.
func New(cfg Config) (*Machine, error) {
	m, err := assemble(cfg)
	if err != nil {
		return nil, err
	}
	return m, m.start()
}

// assemble makes a machine that has no core yet.
func assemble(cfg Config) (*Machine, error) {
	cfg.Limits = cfg.Limits.orDefaults()
	m := &Machine{
		cfg: cfg, pcg: rand.NewPCG(cfg.Seed, 0x5157), now: bootedAt, load: cfg.Load,
		stats: &Stats{Seeds: 1}, nextPID: 100, crashAfter: -1, check: newChecker(),
		peeked: make(map[uint64]sys.Input), lanes: make(map[unit.Name]*lane), specs: make(map[unit.Name]*unit.Spec),
		programs: make(map[string][]Program), procs: make(map[int]*process), fds: make(map[string]uint64), taken: make(map[string]uint64),
		conns: make(map[string]int), served: make(map[string]int), refused: make(map[string]int),
		watched: make(map[string]unit.Name), paths: make(map[string]pathWatch), files: make(map[string]int),
		exists: make(map[string]bool), groups: make(map[string]bool), emptied: make(map[string]string),
		frozen: make(map[string]time.Duration), runs: make(map[string]int),
		flight: newFlight(), poison: make(map[unit.Name]int),
	}
	m.rng = rand.New(m.pcg)
	m.store = newStore(m)
	if err := m.store.open(); err != nil {
		return nil, err
	}
	return m, nil
}

// Program sets how the program at path behaves: its first run as the first of list, and so on;
// the last one repeats. Unknown programs behave as Default says, or exit at once with success.
func (m *Machine) Program(path string, list ...Program) { m.programs[path] = list }

// Default sets how programs behave that Program does not name.
func (m *Machine) Default(p Program) { m.otherwise = &p }

// SetFiles replaces the unit files, as an editor would. The core sees them when it loads a unit
// for the first time, and at a daemon-reload.
func (m *Machine) SetFiles(load func(unit.Name) *unit.Spec) {
	m.load, m.specs = load, make(map[unit.Name]*unit.Spec)
}

// Unsupported are the names that came up since the last SetFiles and whose kind is not among
// Config.Types, whether they have a file or not: such a unit cannot start, and what only wants it goes
// on without. Sorted.
func (m *Machine) Unsupported() (names []unit.Name) {
	for n := range m.specs {
		if m.cfg.Types[n.Kind()] == nil {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// start gives the machine a new core, which recovers from the store. It may die in that, too.
func (m *Machine) start() error {
	for {
		err := m.begin()
		switch {
		case m.pointErr != nil:
			return m.pointErr
		case !errors.Is(err, core.ErrCrashed):
			return err
		}
		if err := m.die(m.cause); err != nil {
			return err
		}
	}
}

func (m *Machine) begin() (err error) {
	m.coreGen++
	m.restless = true
	m.stage = core.StageRecovered
	defer func() {
		if p := recover(); p != nil {
			err = m.caught(p, "recovery panics: ")
		}
	}()
	m.check.early = nil
	e, err := core.New(core.Config{
		Readable: func(v *core.View) { m.check.early = v },
		World:    m.world(), Store: m.store.use(), Types: m.cfg.Types,
		Boot:       core.Boot{Unit: m.cfg.Boot, Mode: m.cfg.Mode},
		Observe:    m.observe,
		Checkpoint: m.checkpoint,
		Recorder:   m.flight.recorder(m.coreGen),
		Search:     m.search,
	})
	if err == nil {
		m.engine = e
	}
	return err
}

// search finds the control groups that have processes.
func (m *Machine) search() (list []core.Found) {
	seen := make(map[unit.Name]string)
	for _, p := range m.procs {
		if !p.dead {
			seen[p.unit] = p.cgroup
		}
	}
	for _, n := range slices.Sorted(maps.Keys(seen)) {
		list = append(list, core.Found{Unit: n, CGroup: seen[n]})
	}
	return list
}

func (m *Machine) world() sys.World {
	return sys.World{Clock: m, Source: m, Actor: m, Prober: m, Pulse: m}
}

// Now implements sys.Clock.
func (m *Machine) Now() unit.Stamp {
	return unit.Stamp{Real: m.now + m.realOffset + 1_700_000_000*time.Second, Mono: m.now, Boot: m.now}
}

// Turned implements sys.Pulse. A virtual core is alive as long as it turns; FaultHang and
// FaultLostAlive play init's part.
func (m *Machine) Turned(uint64, bool) {}

// Further implements sys.Pulse. A virtual turn takes no time.
func (m *Machine) Further() {}

func (m *Machine) observe(ev core.Event) {
	if m.cfg.Observe != nil {
		m.cfg.Observe(ev)
	}
	switch ev := ev.(type) {
	case core.Message:
		m.messages = append(m.messages, string(ev.Unit)+": "+ev.Text)
		m.note("say", ev.Unit, 0, 0, ev.Text)
	case core.UnitChanged:
		m.note("unit", ev.Unit, 0, 0, ev.New)
	case core.StartupFinished:
		m.booted, m.bootTime = true, m.now-bootedAt
	case core.JobNew:
		m.note("job", ev.Job.Unit, int64(ev.Job.ID), 0, ev.Job.Type)
	case core.JobRemoved:
		m.note("job ended", ev.Job.Unit, int64(ev.Job.ID), 0, ev.Job.Result)
		m.jobRemoved(ev.Job)
	}
	m.check.observe(ev)
}

// Step does one turn of the core; if nothing is ready, the clock moves to the next thing that
// happens. It reports false when nothing will ever happen again. The error is a *Violation if a
// rule was broken; the machine must not be used any more then.
func (m *Machine) Step() (bool, error) {
	m.arrive()
	m.acted, m.committed = 0, false
	more, err := m.turn()
	m.turns++
	m.stats.Turns++
	m.restless = more || err != nil || len(m.ready) > 0
	switch {
	case m.pointErr != nil:
		return false, m.pointErr
	case errors.Is(err, core.ErrCrashed):
		down := time.Duration(0)
		if m.cause == causeHang {
			down = AliveLimit
		}
		return true, m.crash(m.cause, down)
	case err != nil:
		return false, err
	}
	if err := m.verify(); err != nil {
		return false, err
	}
	if more || len(m.ready) > 0 {
		return true, nil
	}
	m.store.maintain()
	return m.advance()
}

// turn is one turn of the engine; a panic of the engine is a broken rule.
func (m *Machine) turn() (more bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = m.caught(p, "")
		}
	}()
	return m.engine.Step()
}

// advance moves the clock to the next event; false when there is none.
func (m *Machine) advance() (bool, error) {
	next := m.engine.NextDeadline()
	if len(m.queue) > 0 {
		next = min(next, m.queue[0].at)
	}
	if next == Forever {
		return false, m.quiet()
	}
	m.now = max(m.now, next)
	return true, nil
}

// RunUntil turns until cond holds. It gives up with ErrLimit after the virtual time limit, with
// ErrStuck when nothing can happen any more, and with a *Violation when a rule is broken.
func (m *Machine) RunUntil(cond func() bool, limit time.Duration) error {
	end := m.now + limit
	for !cond() {
		if m.now > end {
			return fmt.Errorf("%w: %v have passed", ErrLimit, limit)
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

// Signal delivers one of PID 1's signals.
func (m *Machine) Signal(n int) { m.deliver(sys.Input{Body: sys.Signal{Number: n}}) }

// Engine is the present core.
func (m *Machine) Engine() *core.Engine { return m.engine }

// NowMono is the virtual monotonic time.
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

// Stats are the numbers so far, those of forks included.
func (m *Machine) Stats() Stats { return *m.stats }

// Procs lists the PIDs of a unit's live processes.
func (m *Machine) Procs(n unit.Name) (pids []int) {
	for pid, p := range m.procs {
		if p.unit == n && !p.dead {
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

// Store is the core's stored state.
func (m *Machine) Store() state.Store { return m.store.use() }
