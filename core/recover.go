package core

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Recovery, in named steps. None of them does anything to the world, and what they queue is done by the
// first turn after its own commit: a crash in or after any step is as if it had not been begun.
//
//  1. load       specifications, units and the engine's own record, from the store alone; no unit file
//                is read for a unit that was known
//  2. compare    each unanswered effect with the world: done, not done, or nobody knows; after damage to the
//                store each unit with its processes (doubt.go)
//  3. repair     what that means: effects are repeated, lost answers given, jobs ended whose unit is lost
//  4. reconnect  every process that a unit holds is attached again; units set up their watches
//  5. resume     waiting jobs and follow-ups go on

// RecoveryStep names a step of recovery.
type RecoveryStep uint8

// The steps, in their order.
const (
	StepLoad RecoveryStep = iota + 1
	StepCompare
	StepRepair
	StepReconnect
	StepResume
)

// String is the step's name.
func (s RecoveryStep) String() string {
	switch s {
	case StepLoad:
		return "load"
	case StepCompare:
		return "compare"
	case StepRepair:
		return "repair"
	case StepReconnect:
		return "reconnect"
	case StepResume:
		return "resume"
	}
	return "step " + strconv.Itoa(int(s))
}

// recover fills the engine from its store.
func (e *Engine) recover() error {
	e.condemn()
	var found []finding
	var report state.Report
	for _, step := range [...]struct {
		name RecoveryStep
		do   func(*Recovery) error
	}{
		{StepLoad, func(r *Recovery) (err error) { report, err = e.loadStore(r); return err }},
		{StepCompare, func(r *Recovery) error { e.doubt(r, report); found = e.compare(r); return nil }},
		{StepRepair, func(r *Recovery) error { e.repair(r, found); return nil }},
		{StepReconnect, e.reconnect},
		{StepResume, e.resume},
	} {
		r := Recovery{Step: step.name}
		if err := step.do(&r); err != nil {
			return err
		}
		e.publish(r)
		if !e.checkpoint(StageRecovered) {
			return ErrCrashed
		}
	}
	e.forgetful = false
	if !e.booted {
		e.boot()
	}
	return nil
}

// loadStore is step 1.
func (e *Engine) loadStore(r *Recovery) (state.Report, error) {
	n := e.cfg.Store.Health().Keys / 2
	units := newStoredUnits(n)
	meta := false
	outer := e.doing(stageLoad, "")
	report, err := e.cfg.Store.Load(func(r state.Record) error {
		switch r.Segment {
		case state.Meta:
			switch {
			case r.Key == metaKey:
				meta = e.readMeta(r.Data)
			case r.Key == quarantineKey:
				e.readQuarantine(r.Data)
			case strings.HasPrefix(r.Key, repeatPrefix):
				e.readRepeat(r)
			}
		case state.Specs:
			units.addSpec(r.Key, r.Data)
		case state.Units:
			units.addUnit(r.Key, r.Data)
		}
		return nil
	})
	e.rec.end(outer)
	if err != nil {
		return report, fmt.Errorf("cannot recover the state: %w", err)
	}
	if e.bootID != e.cfg.BootID && e.cfg.BootID != "" {
		if e.bootID != "" {
			return report, ErrOtherBoot
		}
		e.metaDirty = true
	}
	if meta {
		if err := e.formats.check(); err != nil {
			return report, err
		}
	} else if units.specs == 0 {
		e.formats.held = false // there is nothing to go back to
	}
	if e.cfg.Trouble != "" {
		e.troubles = append(e.troubles, e.cfg.Trouble)
	}
	for i, p := range report.Problems {
		e.say(unit.LevelErr, "", "state store: "+p.String())
		if i < maxTroubles && harms(p) {
			e.troubles = append(e.troubles, "the state store, as this manager found it: "+p.String())
		}
	}
	if !meta && len(units.list) > 0 { // lost: what is known is that the machine is up
		e.booted, e.started = true, true
		e.metaDirty = true
	}
	e.shared = newShared()
	units.sort()
	e.rebuild(units.list, report.Whole(), meta)
	e.shared = nil
	e.repeats.recovered(e.jobs)
	e.adoptFound(e.cfg.Found)
	lost := e.cfg.Follows && !meta && len(units.list) == 0
	if e.cfg.Search != nil && (lost || doubtful(&report)) {
		found := slices.DeleteFunc(e.cfg.Search(), func(f Found) bool { return e.cfg.Types[f.Unit.Kind()] == nil })
		e.adoptFound(found)
		if lost && len(found) > 0 {
			e.lost()
		}
	}
	r.Units, r.Problems = len(units.list), len(report.Problems)
	for _, x := range e.list {
		r.Effects += len(x.pending)
		if x.orphaned() {
			r.Problems++
		}
	}
	return report, nil
}

// maxTroubles bounds what View.Troubles repeats of one report.
const maxTroubles = 4

// readMeta reports whether the engine's own record could be read.
func (e *Engine) readMeta(data []byte) bool {
	if err := e.decodeMeta(data); err != nil {
		e.say(unit.LevelErr, "", "cannot read the engine's own record: "+err.Error())
		return false
	}
	return true
}

// rebuild makes timers, jobs and graph of what was read. whole is false if the store lost records, meta if it has none
// of the engine itself.
func (e *Engine) rebuild(units []storedUnit, whole, meta bool) {
	e.list = slices.Grow(e.list, len(units))
	for i := range units {
		x := e.intern(unit.Name(units[i].name))
		x.stale, x.loaded = false, true
		units[i].x = x
	}
	e.decodeAll(units)
	for i := range units {
		e.further()
		s := &units[i]
		e.restore(s.x, e.specOf(s), s.data, &s.read, whole)
	}
	e.wanted = nil
	for _, x := range slices.Clone(e.list) {
		e.alias(x)
	}
	for _, x := range e.list {
		e.reindex(x)
	}
	if whole && meta && e.cfg.Readable != nil {
		e.publishEarly()
	}
	e.relink()
}

// reindex puts what x has into the engine's own lists.
func (e *Engine) reindex(x *entry) {
	e.indexProcs(x)
	if x.quar == nil {
		for _, t := range x.timers {
			e.heapPush(t.at, x, t.id)
		}
	}
	e.closeLost(x)
	if j := x.job; j != nil {
		e.jobs[j.id] = j
		e.nextJob = max(e.nextJob, j.id)
		if j.deadline != 0 {
			e.heapPush(j.deadline, x, "")
		}
	}
}

// finding is what compare found about one effect.
type finding struct {
	x   *entry
	em  unit.Emitted
	in  sys.Intent
	out sys.Outcome
}

// compare is step 2. Only probed effects need a look at the world: the idempotent ones are as good as not
// done, and one that must not be repeated counts as unknown.
func (e *Engine) compare(r *Recovery) (found []finding) {
	for _, x := range e.byName() {
		if x.quar != nil {
			continue
		}
		for _, em := range x.pending {
			f := finding{x: x, em: em, in: e.intent(x, em)}
			e.further()
			f.out = e.look(x, f.in)
			if f.out.State == sys.Unknown {
				r.Problems++
			}
			found = append(found, f)
		}
		if len(x.pending) > 0 {
			r.Units++
		}
	}
	r.Effects = len(found)
	return found
}

func (e *Engine) look(x *entry, in sys.Intent) sys.Outcome {
	switch in.Effect.Class() {
	case unit.Probe:
		for _, p := range x.procs {
			in.Known = append(in.Known, p.Proc)
		}
		in.Known = append(in.Known, x.ended.procs...)
		in.Recorded = e.recorded
		outer := e.rec.begin(intentNote(stageProbe, &in))
		out := e.cfg.World.Prober.Probe(in)
		e.rec.end(outer)
		return out
	case unit.AtMostOnce:
		return sys.Outcome{State: sys.Unknown}
	}
	return sys.Outcome{State: sys.NotDone}
}

// recorded reports whether a unit has a process with this number.
func (e *Engine) recorded(pid int) bool { return e.procs[pid] != nil }

// repair is step 3.
func (e *Engine) repair(r *Recovery, found []finding) {
	for _, f := range found {
		e.repairOne(f)
	}
	r.Effects = len(found)
	for _, x := range e.byName() {
		if x.quar == nil {
			continue
		}
		r.Units++
		r.Problems++
		e.noteQuarantine(x)
		if x.job != nil {
			e.followUp(finishLater{x.name, x.job.id, unit.JobFailed, "it brought the manager down"})
		}
	}
}

func (e *Engine) repairOne(f finding) {
	switch {
	case f.out.State == sys.NotDone:
		e.intents = append(e.intents, f.in)
	case f.out.State == sys.Done && f.out.Event == nil:
	case f.out.State == sys.Done:
		e.followUp(answerLater{f.x, f.out.Event})
	default:
		e.say(unit.LevelErr, f.x.name, "it is not known whether its command ran before the restart; it counts as failed")
		e.followUp(answerLater{f.x, unknownOutcome(f.em)})
	}
}

// unknownOutcome is the answer to an effect that may have been done and must not be repeated.
func unknownOutcome(em unit.Emitted) unit.Event {
	return failedAnswer(em, "the outcome is not known after a restart of the manager")
}

func failedAnswer(em unit.Emitted, why string) unit.Event {
	switch f := em.Effect.(type) {
	case unit.Spawn:
		return unit.Spawned{Seq: em.Seq, Role: f.Role, Err: &unit.SpawnError{Step: "recovery", Msg: why}}
	case unit.ReadPIDFile, unit.FindMain:
		return unit.PIDRead{Seq: em.Seq, Err: why}
	}
	return unit.Done{Seq: em.Seq, Err: why}
}

// reconnect is step 4.
func (e *Engine) reconnect(r *Recovery) error {
	before := len(e.intents)
	e.intents = slices.Grow(e.intents, len(e.procs))
	for _, x := range e.byName() {
		if e.reconnectOne(x) {
			r.Units++
		}
	}
	r.Effects = len(e.intents) - before
	return nil
}

func (e *Engine) reconnectOne(x *entry) bool {
	e.further()
	for _, p := range x.procs {
		e.reattach(x, p.Proc)
	}
	if x.clearing() {
		e.killRemains(x)
		return true
	}
	if x.u == nil || x.state.Active.IsDown() && len(x.procs) == 0 {
		return false
	}
	if _, ok := x.u.(unit.ProcHolder); ok && len(x.procs) == 0 && x.cgroup != "" {
		e.reattach(x, unit.Proc{}) // its group may hold processes that the unit does not know
	}
	e.followUp(recoveredLater{x, e.forgetful})
	return true
}

// reattach has a process, or x's control group, watched by this core. It is not recorded, and not answered: the
// next core will need all of them anew. So x's record stays as it is, and the first turn writes what has
// changed and not as many records as there are services.
func (e *Engine) reattach(x *entry, p unit.Proc) {
	e.intents = append(e.intents, e.intent(x, unit.Emitted{Effect: unit.Attach{Proc: p}}))
}

// resume is step 5.
func (e *Engine) resume(r *Recovery) error {
	for _, x := range e.byName() {
		if x.job != nil && !x.job.running {
			e.queueRun(x)
			r.Units++
		}
	}
	if e.shutdown != nil {
		e.intents = append(e.intents, sys.Intent{Effect: *e.shutdown})
		r.Effects++
	}
	return nil
}

// byName lists the units in an order that does not depend on how they came to be loaded.
func (e *Engine) byName() []*entry {
	list := slices.DeleteFunc(slices.Clone(e.list), func(x *entry) bool { return x.gone })
	slices.SortFunc(list, func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	return list
}
