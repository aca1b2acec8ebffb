package core

import (
	"cmp"
	"slices"

	"github.com/sysmaster-go/sysmaster/unit"
)

// install makes the plan's jobs the engine's. It cannot fail.
func (e *Engine) install(p *plan) JobID {
	for _, n := range p.notes {
		e.say(unit.LevelInfo, "", n)
	}
	if p.anchor == nil {
		return 0
	}
	e.cancelOthers(p)
	for _, j := range p.order {
		e.installJob(j, p.op)
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
		e.remove(e.jobs[id], unit.JobCanceled)
	}
}

func (e *Engine) installJob(p *planned, op OpJob) {
	x := p.x
	irreversible := op.Mode == unit.ModeReplaceIrreversibly
	if o := x.job; o != nil {
		t := mergeTypes(o.typ, p.typ)
		if t != 0 {
			t = collapse(t, x)
			if o.running && (t != o.typ || p.typ == unit.JobReload) {
				o.running, o.checking = false, false
			}
			o.typ = t
			o.irreversible = o.irreversible || irreversible
			e.jobChanged(x)
			return
		}
		e.remove(o, unit.JobCanceled)
	}
	e.nextJob++
	e.metaDirty = true
	j := &job{id: e.nextJob, x: x, typ: p.typ, irreversible: irreversible,
		ignoreOrder: op.Mode == unit.ModeIgnoreDependencies, began: e.now.Mono}
	x.job = j
	e.jobs[j.id] = j
	e.pub.jobs = true
	e.armJob(j, x.common.JobTimeout)
	e.touch(x)
	e.publish(JobNew{j.view()})
}
