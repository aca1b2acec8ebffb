package core

import (
	"bytes"
	"slices"

	"github.com/sysmaster-go/sysmaster/unit"
)

// reload is a daemon-reload under way: all specifications are read again beside the loop,
// and applied in one turn when the last one has come.
type reload struct {
	requests []*Request
	left     int
	specs    map[*entry]*unit.Spec
}

// startReload reads all files again. A reload that is asked for while one runs is answered
// by one that begins after it.
func (e *Engine) startReload(r *Request) {
	if e.reloading != nil {
		e.reloadNext = append(e.reloadNext, r)
		return
	}
	e.reloading = &reload{requests: []*Request{r}, specs: make(map[*entry]*unit.Spec)}
	e.publish(Reloading{true})
	var batch []*entry
	flush := func() {
		if len(batch) > 0 {
			e.reloading.left++
			e.load(batch, true)
			batch = nil
		}
	}
	for _, x := range e.list {
		if x.gone || x.stale {
			continue
		}
		if batch = append(batch, x); len(batch) == loadBatch {
			flush()
		}
	}
	flush()
	if e.reloading.left == 0 {
		e.applyReload()
	}
}

func (e *Engine) reloaded(l *loading, specs []*unit.Spec) {
	r := e.reloading
	for i, x := range l.entries {
		if i < len(specs) && specs[i] != nil {
			e.further()
			r.specs[x] = bounded(specs[i])
		}
	}
	r.left--
	if r.left == 0 {
		e.applyReload()
	}
}

// applyReload gives every unit its new specification and its old state. Jobs stay as they
// are: they refer to units, not to files.
func (e *Engine) applyReload() {
	r := e.reloading
	e.reloading = nil
	e.because = Cause{Kind: CauseReload}
	defer func() { e.because, e.reloadedBy = Cause{}, nil }()
	e.reloadedBy = r.requests[0]
	for _, x := range slices.Clone(e.list) {
		spec := r.specs[x]
		e.further()
		switch {
		case spec == nil || x.gone:
		case spec.Name != x.name: // it has become an alias of another unit
			if x.state.Active.IsDown() && x.job == nil && x.quar == nil {
				e.adopt(x, spec)
			}
		default:
			if sameSpec(x.spec, spec) {
				x.spec = spec // the loader keeps it, too
			} else {
				e.respec(x, spec)
			}
		}
	}
	e.rename()
	e.relink()
	e.untieJobs()
	for _, x := range e.byName() { // the order may not be what they waited for
		if x.job != nil && !x.job.running {
			e.queueRun(x)
		}
	}
	e.publish(Reloading{false})
	for _, q := range r.requests {
		e.reply(q, Response{})
	}
	e.loadsDone()
	if next := e.reloadNext; len(next) > 0 {
		e.reloadNext = nil
		e.startReload(next[0])
		if e.reloading != nil {
			e.reloading.requests = append(e.reloading.requests, next[1:]...)
		}
	}
}

// respec replaces x's specification and keeps its state. A unit that is up keeps its old
// settings if the new files cannot be used.
func (e *Engine) respec(x *entry, spec *unit.Spec) {
	e.touch(x)
	x.specDirty = true
	if !x.state.Active.IsDown() {
		e.noteRequest(x, e.reloadedBy, Change{Kind: ChangeSettings})
	}
	idle := x.state.Active.IsDown() && len(x.pending) == 0
	switch {
	case x.quar != nil: // its new settings wait with it
		x.spec = spec
	case x.clearing():
		x.spec = spec
	case x.orphaned() && x.saved.hasUnit && spec.Load == unit.LoadLoaded:
		e.unorphan(x, spec)
	case x.orphaned() && x.cgroup != "": // its processes are not known to be gone
		x.spec = spec
	case x.u == nil || x.load != unit.LoadLoaded && idle:
		x.u = nil
		e.setSpec(x, spec)
		e.stateMayHaveChanged(x)
	case spec.Load != unit.LoadLoaded && idle:
		x.u = nil
		e.setSpec(x, spec)
	case spec.Load != unit.LoadLoaded: // it runs on as it was started
		x.load, x.reason = spec.Load, spec.LoadError
		x.spec = withLoad(x.spec, spec)
	default:
		e.takeSnapshot(x)
		if x.u == nil {
			return
		}
		v, err := restoreUnit(x.typ, spec, x.typ.Version, bytes.Clone(e.snapshot), e.rec)
		if err != nil {
			e.say(unit.LevelErr, x.name, "new settings are not taken: "+err.Error())
			x.load, x.reason = unit.LoadBadSetting, err.Error()
			return
		}
		x.u = v
		e.setSpec(x, spec)
		e.indexProcs(x)
		e.stateMayHaveChanged(x)
	}
}

// unorphan gives a unit back its stored machine, now that its settings can be read.
func (e *Engine) unorphan(x *entry, spec *unit.Spec) {
	typ := e.cfg.Types[x.name.Kind()]
	if typ == nil {
		return
	}
	u, err := restoreUnit(typ, spec, x.saved.version, x.saved.snapshot, e.rec)
	if err != nil {
		e.say(unit.LevelErr, x.name, "cannot read its stored state: "+err.Error())
		return
	}
	x.u, x.saved = u, stored{}
	e.setSpec(x, spec)
	e.stateMayHaveChanged(x)
	e.indexProcs(x)
	for _, p := range x.procs {
		e.manage(x, unit.Attach{Proc: p.Proc})
	}
	e.followUp(recoveredLater{to: x})
}

// rename makes the names anew from what the files say now: one may have become another name of
// a unit, or a unit of its own.
func (e *Engine) rename() {
	clear(e.names)
	list := e.byName()
	for _, x := range list {
		e.names[x.name] = x
	}
	for _, x := range list {
		if !x.gone && x.spec != nil {
			e.alias(x)
		}
	}
	e.pub.renamed()
}

// untieJobs cancels jobs that the new order makes wait for each other: of each ring the first by name.
func (e *Engine) untieJobs() {
	for len(e.jobs) > 1 {
		p := &plan{e: e, merged: make(map[*entry]*planned)}
		for _, x := range e.byName() {
			if x.job != nil {
				j := &planned{x: x, typ: x.job.typ, old: true}
				p.merged[x], p.order = j, append(p.order, j)
			}
		}
		rings := p.rings()
		for _, ring := range rings {
			e.say(unit.LevelErr, ring[0].x.name, "its job is cancelled: after the reload the queued jobs have an "+(&CycleError{cyclePath(ring)}).Error())
			e.finish(ring[0].x.job, unit.JobCanceled)
		}
		if len(rings) == 0 {
			return
		}
	}
}

// withLoad is old with the load state of now.
func withLoad(old, now *unit.Spec) *unit.Spec {
	s := *old
	s.Load, s.LoadError, s.Diags = now.Load, now.LoadError, now.Diags
	return &s
}

// sameSpec compares what two specifications amount to, by their stored form.
func sameSpec(a, b *unit.Spec) bool {
	return a == b || a != nil && bytes.Equal(encodeSpec(a), encodeSpec(b))
}
