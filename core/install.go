package core

import (
	"cmp"
	"slices"

	"github.com/sysmaster-go/sysmaster/unit"
)

// install makes the plan's jobs the engine's. It cannot fail.
func (e *Engine) install(p *plan, by Cause) JobID {
	for _, n := range p.notes {
		e.say(unit.LevelInfo, "", n)
	}
	if p.anchor == nil {
		return 0
	}
	e.cancelOthers(p)
	for _, j := range p.order {
		e.installJob(j, p, by)
	}
	for _, j := range p.order {
		e.queueRun(j.x)
	}
	if j := p.anchor.x.job; j != nil {
		return j.id
	}
	return 0
}

// cancels reports whether installing the plan removes the queued job of x.
func (p *plan) cancels(x *entry) bool {
	switch p.op.Mode {
	case unit.ModeFlush:
		return p.merged[x] == nil
	case unit.ModeIsolate:
		return p.merged[x] == nil && !x.common.IgnoreOnIsolate
	}
	return false
}

// cancelOthers removes the jobs that the plan's mode does not leave beside it.
func (e *Engine) cancelOthers(p *plan) {
	var ids []JobID
	for id, j := range e.jobs {
		if p.cancels(j.x) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, cmp.Compare[JobID])
	for _, id := range ids {
		e.detail(e.jobs[id], "a job of "+string(p.anchor.x.name)+" in mode "+p.op.Mode.String()+" left none beside it")
		e.remove(e.jobs[id], unit.JobCanceled)
	}
}

func (e *Engine) installJob(p *planned, whole *plan, by Cause) {
	x, op := p.x, &whole.op
	by = whole.causeIn(p, by)
	irreversible := op.Mode == unit.ModeReplaceIrreversibly
	if o := x.job; o != nil {
		t := mergeTypes(o.typ, p.typ)
		if t != 0 {
			t = collapse(t, x)
			if o.running && (t != o.typ || p.typ == unit.JobReload) {
				o.running, o.checking = false, false
			}
			if t != o.typ || x == whole.anchor.x {
				e.noteJob(o, t, op, by)
			}
			o.typ = t
			o.irreversible = o.irreversible || irreversible
			o.ignoreOrder = o.ignoreOrder || p.unordered
			e.jobChanged(x)
			return
		}
		e.detail(o, "a "+p.typ.String()+" job took its place")
		e.remove(o, unit.JobCanceled)
	}
	e.nextJob++
	e.metaDirty = true
	j := &job{id: e.nextJob, x: x, typ: p.typ, irreversible: irreversible,
		ignoreOrder: op.Mode == unit.ModeIgnoreDependencies || p.unordered, began: e.now.Mono}
	x.job = j
	e.noteJob(j, p.typ, op, by)
	e.jobs[j.id] = j
	e.pub.jobs = true
	e.armJob(j, x.common.JobTimeout)
	e.touch(x)
	e.publish(JobNew{j.view()})
}
