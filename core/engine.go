package core

import (
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// The engine's rule.
//
// A unit has a state (its kind's machine says which), and at most one job, which says
// where somebody wants it. Edges between units say what a job pulls in (plan.go), which
// job waits for which (job.go), and what a change of state means to others (notify.go).
//
// One turn (Step) is five steps, and nothing else changes the engine:
//
//  1. peek       look at the inputs, consume none; read the clock once; collect elapsed timers
//  2. propagate  give each input to its unit; then work off the queues - runnable jobs and
//     follow-ups - until they are empty
//  3. commit     append all changed units to the store, with the effects that are about to be done
//  4. act        acknowledge the inputs, do the effects, answer the clients, publish the view
//  5. (results)  come back as inputs of a later turn
//
// A crash between any two steps loses nothing: before the commit the inputs are still with
// their owners, after it the effects are in the store and recovery (recover.go) repeats
// or probes them.
//
// Why propagate ends: each queue item either ends a job, starts one that waited, or tells a
// unit of a change. Jobs are finite and only plans make new ones. A plan that a state change
// asks for (OnFailure=, Restart=, BindsTo=) waits for the next turn, so that units that
// trigger each other in a circle turn the wheel once per turn, where the start limit and the
// world's other inputs have their say (wheel.go: a circle that needs neither is slowed down);
// maxFollowUps bounds even a bug of a unit type.
//
// What needs the world inside a plan - loading unit files - is an effect too: a request for
// a unit that is not loaded waits in e.waiting until all that it refers to is.

const (
	maxInputs    = 256     // per turn
	maxFollowUps = 1 << 20 // per turn
	// MaxUnits bounds the names that files and clients can make the engine remember.
	MaxUnits = 1 << 17
)

// Config assembles an engine. All fields but Observe and Boot are required.
type Config struct {
	World sys.World
	Store state.Store
	Types map[unit.Kind]*unit.Type
	// Observe receives what happens, after the commit, from the engine's goroutine. It must
	// not block and must not call the engine.
	Observe func(Event)
	// Boot is what a machine without stored state starts: normally default.target. Empty: nothing.
	Boot Boot
	// Trouble is what is wrong with this manager from its start, for View.Troubles: that it is a rescue.
	Trouble string
	// Seed feeds invocation ids; 16 random bytes.
	Seed [16]byte
	// Checkpoint, if set, is called between the steps of a turn and after each effect. The
	// simulator crashes the engine by returning false: Step then ends with ErrCrashed.
	Checkpoint func(Stage) bool
	// Recorder is where the engine notes what it is about to do, so that the next one knows what
	// this one died of. Zero: nothing is noted, and nothing quarantined.
	Recorder Recorder
	// Found are control groups with processes that may belong to no unit of the store: of a core
	// whose state was set aside.
	Found []Found
	// Search looks for such groups when the store has lost records: units may have been lost with all that
	// was known of them. Nil: nobody looks.
	Search func() []Found
	// Follows says that there was a core before this one since the machine booted. An empty store is then a lost one: if
	// Search finds anything, what was found is adopted, and Boot is not started.
	Follows bool
	// BootID tells one boot of the machine from another (/proc/sys/kernel/random/boot_id). If the stored
	// state is of another boot, New gives ErrOtherBoot. Empty: not known, and nothing is compared.
	BootID string
	// Spread, if set, calls do with each number below n, on several processors, and returns when all calls have. Recovery has
	// the stored units decoded so, which is most of its work. What comes of it does not depend on Spread.
	Spread func(n int, do func(i int))
	// Readable, if set, is called once within New with a View of what was committed last, before units are linked and what
	// was under way is looked into, which takes longer: for those who only want to read. It is not called of a store that
	// is new or damaged. What the View cannot tell yet - related units, all units, one that nobody stored - waits for
	// the end of New; so do not ask for that on New's goroutine.
	Readable func(*View)
	// Hold has nothing written that the program could not read that wrote what is in Store, until Release: this
	// one may have to make room for it again. New gives a *FormatError if it cannot do that.
	Hold bool

	formats func([]format) []format // for tests: versions of a program that is not there yet
}

// Boot is the first job.
type Boot struct {
	Unit unit.Name
	Mode unit.JobMode
	// Fallbacks are tried in turn when Unit cannot be started at all: rescue.target ...
	Fallbacks []unit.Name
}

// Stage is a place between two steps, for Config.Checkpoint.
type Stage uint8

// The places, in the order of a turn.
const (
	StagePeeked Stage = iota
	StagePropagated
	StageCommitted
	StageAcknowledged
	StageEffect // after each effect
	StageReplied
	StageRecovered // within New, after each step of recovery
)

// ErrOtherBoot says that the store holds the state of another boot. Its processes, descriptors and
// clocks are gone, and its jobs were wishes of that time: set it aside, and begin with an empty one.
var ErrOtherBoot = errors.New("the stored state is of another boot of the machine")

// ErrCrashed ends a Step, or New, that Config.Checkpoint cut short. The engine must not be used any more.
var ErrCrashed = errors.New("crashed by the checkpoint")

// Engine is the service manager. All methods but View belong to one goroutine.
type Engine struct {
	cfg  Config
	now  unit.Stamp
	turn uint64

	names map[unit.Name]*entry
	list  []*entry
	jobs  map[JobID]*job
	procs map[int]*entry // by PID
	cgs   map[string]*entry

	nextJob     JobID
	invocation  uint64
	manSeq      uint64              // effect numbers of the manager
	manAsked    map[uint64]*loading // Load effects under way
	wanted      []*entry            // stubs without a Load under way
	waiting     []*pendingOp        // requests that wait for files
	shutdown    *sys.Shutdown       // the machine is going down
	started     bool                // the boot transaction has ended
	booted      bool                // ... has begun
	failed      int                 // units in the failed state
	exitCode    int                 // of SuccessActionExitStatus= and its kin, for exit.target
	reloading   *reload
	reloadNext  []*Request
	bootPending bool        // the boot request waits for files
	bootRetry   bool        // ... failed, and the next fallback is due
	bootRest    []unit.Name // fallbacks
	crowded     bool        // MaxUnits was reached, and that was said
	commonKeys  *unit.KeySet

	run        []*entry
	follow     []any
	later      []jobLater // jobs that state changes ask for, in the next turn
	wheel      wheel
	heap       deadlines
	manHeap    uint64 // numbers deadlines
	heapTrim   int    // the heap's length from which it is searched for outdated ones
	dirty      []*entry
	metaDirty  bool
	acks       []uint64
	intents    []sys.Intent
	early      []sys.Input  // see tooEarly; not acknowledged
	held       []sys.Intent // spawns that wait until the store takes commits again
	events     []Event
	replies    []reply
	inputs     []sys.Input
	records    []state.Record
	marks      []int
	snapshot   []byte
	parked     []jobLater // taken from later, and waiting for files
	enc        record.Encoder
	unknown    record.Unknown // of the meta record, kept for newer versions
	gone       []unit.Name    // units whose records are to be deleted
	troubles   []string       // found in recovery: View.Troubles
	storeErr   error          // why nothing new is started; nil when the store works
	unsaved    bool           // the last commit failed altogether
	repeats    repeats        // requests that may come again
	because    Cause          // what is being handled now
	shared     *shared        // during recovery
	forgetful  bool           // during recovery: the store has lost commits
	steps      uint           // see further
	reloadedBy *Request       // who asked for what applyReload does now
	clearers   []clearer      // requests that wait for a unit to be rid of old processes

	formats formats

	rec       *recorder
	quar      map[unit.Name]*quarantine // units, loaded or not
	poisons   []*quarantine             // requests, jobs and signals
	quarDirty bool
	bootID    string // of the stored state

	procScratch []ProcView
	collectProc func(role string, p unit.Proc) // appends to procScratch

	generation uint64                     // of the graph
	graph      *atomic.Pointer[lazyGraph] // shared with all views
	pub        published
	view       atomic.Pointer[View]

	newerShutdown record.Unknown // fields that a newer version wrote about the shutdown
	untidy        string         // why the store could not be tidied
}

type reply struct {
	f func(Response)
	r Response
}

// New makes an engine and recovers what Store holds. With an empty store it begins by
// starting Boot. Nothing is done to the world before the first Step.
func New(cfg Config) (*Engine, error) {
	e := &Engine{
		cfg:        cfg,
		names:      make(map[unit.Name]*entry, cfg.Store.Health().Keys/2),
		jobs:       make(map[JobID]*job),
		procs:      make(map[int]*entry),
		cgs:        make(map[string]*entry),
		manAsked:   make(map[uint64]*loading),
		graph:      new(atomic.Pointer[lazyGraph]),
		repeats:    newRepeats(),
		commonKeys: unit.NewKeySet(unit.CommonKeys(), unit.ServiceCompatKeys()),
	}
	e.collectProc = func(role string, p unit.Proc) { e.procScratch = append(e.procScratch, ProcView{role, p}) }
	e.formats = formats{ownFormats(cfg.Types), make(map[string]uint32), cfg.Hold}
	if cfg.formats != nil {
		e.formats.own = cfg.formats(e.formats.own)
	}
	e.now = cfg.World.Clock.Now()
	cfg.World.Pulse.Further() // from here on it computes, and its silence is a hang
	e.rec = openRecorder(cfg.Recorder, e.now.Mono)
	err := e.recover()
	early := e.pub.early
	e.pub.early = nil
	if err == nil {
		for _, x := range e.dirty { // since the early View
			e.pub.changed(x.index)
		}
		e.publishView()
	}
	if early != nil {
		close(early.whole)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// View is the newest published picture; safe from any goroutine.
func (e *Engine) View() *View { return e.view.Load() }

// Run turns until stop reports true, which is asked between turns.
func (e *Engine) Run(stop func() bool) error {
	for !stop() {
		more, err := e.Step()
		if err != nil {
			return err
		}
		if more {
			continue
		}
		if e.maintain() {
			continue
		}
		e.cfg.World.Source.Wait(e.NextDeadline())
	}
	return nil
}

// Step does one turn. more is true when another turn would find work at once.
func (e *Engine) Step() (more bool, err error) {
	e.peek()
	if !e.checkpoint(StagePeeked) {
		return false, ErrCrashed
	}
	round := len(e.later) > 0 && !e.wheel.waits(e.now.Mono)
	e.propagate()
	if round && e.wheel.turned(len(e.inputs) == 0 && len(e.intents) == 0, e.now.Deadline(wheelPause)) {
		e.say(unit.LevelWarning, "", "units trigger each other in a circle; the rounds are slowed down")
	}
	if !e.checkpoint(StagePropagated) {
		return false, ErrCrashed
	}
	if e.commit() && !e.checkpoint(StageCommitted) {
		return false, ErrCrashed
	}
	e.acknowledge()
	if !e.checkpoint(StageAcknowledged) {
		return false, ErrCrashed
	}
	if err := e.act(); err != nil {
		return false, err
	}
	e.publishView()
	e.answer()
	if !e.checkpoint(StageReplied) {
		return false, ErrCrashed
	}
	e.turn++
	e.rec.turned()
	more = len(e.inputs) == maxInputs || len(e.follow)+len(e.run) > 0 || len(e.later) > 0 && !e.wheel.waits(e.now.Mono) || e.bootRetry
	e.cfg.World.Pulse.Turned(e.turn, more || len(e.jobs) > 0)
	return more, nil
}

// further is called by everything that is done once for each unit, job or edge: a turn over ten thousand of them
// takes seconds on a slow machine, and is no hang as long as it gets further.
func (e *Engine) further() {
	if e.steps++; e.steps%furtherEvery == 0 {
		e.cfg.World.Pulse.Further()
	}
}

// furtherEvery keeps the clock out of the loops: so many steps take less than a second anywhere.
const furtherEvery = 64

func (e *Engine) checkpoint(s Stage) bool {
	return e.cfg.Checkpoint == nil || e.cfg.Checkpoint(s)
}

// peek is step 1.
func (e *Engine) peek() {
	e.now = e.cfg.World.Clock.Now()
	e.inputs = e.cfg.World.Source.Peek(e.inputs[:0], maxInputs)
}

// propagate is step 2.
func (e *Engine) propagate() {
	e.drain() // what recovery found comes before what happened since
	if !e.wheel.waits(e.now.Mono) {
		for _, f := range e.later {
			e.follow = append(e.follow, f)
			e.metaDirty = true
		}
		e.later = e.later[:0]
	}
	for i := range e.inputs {
		e.further()
		if e.tooEarly(&e.inputs[i]) {
			e.early = append(e.early, e.inputs[i])
		} else {
			e.take(&e.inputs[i])
		}
		e.inputs[i].Body = nil
	}
	e.hearEarly()
	e.elapse()
	e.drain()
	if e.bootRetry {
		e.bootRetry = false
		e.bootTry(e.bootRest)
		e.drain()
	}
	e.askForFiles()
	e.maybeStarted()
}

// drain works off the queues.
func (e *Engine) drain() {
	for n := 0; n < maxFollowUps; n++ {
		e.further()
		switch {
		case len(e.follow) > 0: // first, so that a job that must fail does not run before
			f := e.follow[0]
			e.follow = e.follow[1:]
			e.doFollowUp(f)
		case len(e.run) > 0:
			x := e.run[0]
			e.run = e.run[1:]
			x.inRun = false
			e.tryRun(x)
		default:
			e.run, e.follow = nil, nil
			return
		}
	}
	e.say(unit.LevelErr, "", "a turn did not settle; the rest waits for the next one")
}

// followUp queues work of this turn.
func (e *Engine) followUp(f any) { e.follow = append(e.follow, f) }

// nextTurn queues work that must see the world first.
func (e *Engine) nextTurn(f jobLater) {
	e.later = append(e.later, f)
	e.metaDirty = true // it must survive until then
}

// answer tells clients and observers what has become true.
func (e *Engine) answer() {
	for _, r := range e.replies {
		r.f(r.r)
	}
	clear(e.replies)
	e.replies = e.replies[:0]
	if e.cfg.Observe != nil {
		for _, ev := range e.events {
			e.cfg.Observe(ev)
		}
	}
	clear(e.events)
	e.events = e.events[:0]
}

// touch marks x's record as changed.
func (e *Engine) touch(x *entry) {
	if !x.dirty {
		x.dirty = true
		e.dirty = append(e.dirty, x)
	}
}

func (e *Engine) publish(ev Event) { e.events = append(e.events, ev) }

func (e *Engine) say(l unit.Level, n unit.Name, text string) { e.publish(Message{l, n, text}) }

// NextDeadline is when the next timer or job timeout elapses, or something must be tried again.
func (e *Engine) NextDeadline() time.Duration {
	next := time.Duration(math.MaxInt64)
	for len(e.heap) > 0 {
		if e.deadlineValid(e.heap[0]) {
			next = e.heap[0].at
			break
		}
		e.heapPop()
	}
	for _, l := range e.manAsked { // the least of all: order does not matter
		next = min(next, l.deadline)
	}
	if e.storeErr != nil {
		next = min(next, e.now.Deadline(storeRetry))
	}
	if len(e.later) > 0 {
		next = min(next, e.wheel.until)
	}
	return next
}

// storeRetry is how often a store that refused is tried again.
const storeRetry = time.Second

// newInvocation derives a fresh invocation id from the seed, the unit and a counter that
// is part of the state, so that a run can be repeated.
func (e *Engine) newInvocation(x *entry) [16]byte {
	e.invocation++
	e.metaDirty = true
	return mix(e.cfg.Seed, string(x.name), e.invocation)
}
