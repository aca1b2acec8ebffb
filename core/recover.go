package core

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Recovery, in steps that may each be repeated:
//
//  1. load       specifications, units and the engine's own record, from the store alone
//  2. rebuild    graph, timers, jobs; no unit file is read for a unit that was known
//  3. compare    each unanswered effect: idempotent ones are repeated, spawns are probed
//  4. reconnect  every process that a unit holds is attached again; units set up their watches
//  5. resume     waiting jobs and follow-ups go on
//
// Steps 3 to 5 only queue work; the first turn does it, after its own commit.

// recover fills the engine from its store.
func (e *Engine) recover() error {
	specs := make(map[string]*unit.Spec)
	units := make(map[string][]byte)
	meta := false
	report, err := e.cfg.Store.Load(func(r state.Record) error {
		switch r.Segment {
		case state.Meta:
			if r.Key == metaKey {
				meta = e.readMeta(r.Data)
			}
		case state.Specs:
			specs[r.Key] = e.readSpec(r)
		case state.Units:
			units[r.Key] = slices.Clone(r.Data)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot recover the state: %w", err)
	}
	for _, p := range report.Problems {
		e.say(unit.LevelErr, "", "state store: "+p.String())
	}
	if !meta && len(specs) > 0 { // lost: what is known is that the machine is up
		e.booted, e.started = true, true
		e.nextJob += 1 << 16
		e.metaDirty = true
	}
	e.rebuild(specs, units, report.Whole())
	if !e.booted {
		e.boot()
		return nil
	}
	e.compare()
	e.reconnect()
	e.resume()
	return nil
}

// readMeta reports whether the engine's own record could be read.
func (e *Engine) readMeta(data []byte) bool {
	if err := e.decodeMeta(data); err != nil {
		e.say(unit.LevelErr, "", "cannot read the engine's own record: "+err.Error())
		return false
	}
	return true
}

// readSpec gives a unit whose settings cannot be read some that say so, until the next
// daemon-reload.
func (e *Engine) readSpec(r state.Record) *unit.Spec {
	s, err := decodeSpec(r.Data)
	if err == nil && s.Name == unit.Name(r.Key) {
		return s
	}
	why := "its stored settings cannot be read; daemon-reload reads its files again"
	if err != nil {
		why += ": " + err.Error()
	}
	e.say(unit.LevelErr, unit.Name(r.Key), why)
	return &unit.Spec{Name: unit.Name(r.Key), Load: unit.LoadError, LoadError: why}
}

// rebuild is step 2. whole is false if the store lost records.
func (e *Engine) rebuild(specs map[string]*unit.Spec, units map[string][]byte, whole bool) {
	for name := range units { // lost settings: the order does not matter
		if specs[name] == nil {
			specs[name] = e.readSpec(state.Record{Key: name, Data: nil})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		x := e.intern(unit.Name(name))
		x.stale, x.loaded = false, true
		e.restore(x, specs[name], units[name], whole)
	}
	e.wanted = nil
	for _, x := range slices.Clone(e.list) {
		e.alias(x)
	}
	e.relink()
	for _, x := range e.list {
		e.indexProcs(x)
		for _, t := range x.timers {
			e.heapPush(t.at, x, t.id)
		}
		if j := x.job; j != nil {
			e.jobs[j.id] = j
			e.nextJob = max(e.nextJob, j.id)
			if j.deadline != 0 {
				e.heapPush(j.deadline, x, "")
			}
		}
	}
}

// restore gives x its stored specification and state. What cannot be read costs that unit
// only: it is orphaned, and its processes are found by its control group.
func (e *Engine) restore(x *entry, spec *unit.Spec, data []byte, whole bool) {
	e.setSpecOnly(x, spec)
	if data == nil && whole {
		e.fresh(x)
		return
	}
	load, reason := x.load, x.reason
	s, err := decodeUnit(data, x)
	known := x.state
	x.state = deadState
	e.setState(x, known)
	switch {
	case err != nil:
	case data == nil:
		err = errLost
	case x.typ == nil || load == unit.LoadError && spec.FragmentPath == "" && s.hasUnit:
		x.load, x.reason, x.saved = load, reason, s
		if s.hasUnit {
			e.orphan(x)
		}
		return
	case s.hasUnit:
		if x.u, err = restoreUnit(x.typ, spec, s.version, s.snapshot); err == nil {
			e.setState(x, x.u.State())
		}
	}
	if err != nil {
		x.load, x.reason, x.saved = unit.LoadError, "cannot read its stored state: "+err.Error(), s
		e.say(unit.LevelErr, x.name, x.reason+"; stop or reset-failed kill what is left of it and begin anew")
		e.orphan(x)
	}
}

var errLost = errors.New("it is lost")

// orphan marks a unit whose machine is lost. Numbers of effects go on far from those that
// may have been used.
func (e *Engine) orphan(x *entry) {
	x.u, x.pending, x.timers, x.job = nil, nil, nil, nil
	x.seq += 1 << 32
	e.setState(x, orphanState)
	e.touch(x)
}

// fresh makes x's unit in its first state, if its files allow it.
func (e *Engine) fresh(x *entry) {
	x.u = nil
	e.setSpec(x, x.spec)
}

// setSpecOnly decodes the engine's share of a specification without making a unit.
func (e *Engine) setSpecOnly(x *entry, spec *unit.Spec) {
	x.spec, x.load, x.reason = spec, spec.Load, spec.LoadError
	x.typ = e.cfg.Types[x.name.Kind()]
	x.common = unit.NewCommon()
	if x.typ == nil {
		x.load, x.reason = unsupported(x.load, x.reason)
		return
	}
	x.common.IgnoreOnIsolate = x.typ.IgnoreOnIsolate
	if err := unit.Decode(spec, e.commonKeys, &x.common); err != nil && x.load == unit.LoadLoaded {
		x.load, x.reason = unit.LoadBadSetting, err.Error()
	}
}

func unsupported(load unit.LoadState, reason string) (unit.LoadState, string) {
	if load == unit.LoadLoaded {
		return unit.LoadError, "unsupported type"
	}
	return load, reason
}

// compare is step 3.
func (e *Engine) compare() {
	for _, x := range e.byName() {
		for _, em := range slices.Clone(x.pending) {
			in := e.intent(x, em)
			if em.Effect.Class() != unit.Probe {
				e.intents = append(e.intents, in)
				continue
			}
			for _, p := range x.procs {
				in.Known = append(in.Known, p.Proc)
			}
			out := e.cfg.World.Prober.Probe(in)
			switch {
			case out.State == sys.NotDone:
				e.intents = append(e.intents, in)
			case out.State == sys.Done && out.Event == nil:
			case out.State == sys.Done:
				e.followUp(answerLater{x, out.Event})
			default:
				e.say(unit.LevelErr, x.name, "it is not known whether its command ran before the restart; it counts as failed")
				e.followUp(answerLater{x, unknownOutcome(em)})
			}
		}
	}
}

// unknownOutcome is the answer to an effect that may have been done and must not be repeated.
func unknownOutcome(em unit.Emitted) unit.Event {
	const why = "the outcome is not known after a restart of the manager"
	if s, ok := em.Effect.(unit.Spawn); ok {
		return unit.Spawned{Seq: em.Seq, Role: s.Role, Err: &unit.SpawnError{Step: "recovery", Msg: why}}
	}
	return unit.Done{Seq: em.Seq, Err: why}
}

// reconnect is step 4.
func (e *Engine) reconnect() {
	for _, x := range e.byName() {
		for _, p := range slices.Clone(x.procs) {
			e.manage(x, unit.Attach{Proc: p.Proc})
		}
		if x.u != nil && (!x.state.Active.IsDown() || len(x.procs) > 0) {
			if _, ok := x.u.(unit.ProcHolder); ok && len(x.procs) == 0 && x.cgroup != "" {
				e.manage(x, unit.Attach{}) // its group may hold processes that the unit does not know
			}
			e.followUp(recoveredLater{x})
		}
	}
}

// resume is step 5.
func (e *Engine) resume() {
	for _, x := range e.byName() {
		if x.job != nil && !x.job.running {
			e.queueRun(x)
		}
	}
	if e.shutdown != nil {
		e.intents = append(e.intents, sys.Intent{Effect: *e.shutdown})
	}
}

// byName lists the units in an order that does not depend on how they came to be loaded.
func (e *Engine) byName() []*entry {
	list := slices.DeleteFunc(slices.Clone(e.list), func(x *entry) bool { return x.gone })
	slices.SortFunc(list, func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	return list
}
