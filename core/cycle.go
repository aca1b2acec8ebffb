package core

import (
	"cmp"
	"slices"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Ordering cycles. Jobs that wait for each other in a ring (a strongly connected set) would wait for ever. Nothing must keep a
// machine from being taken down, so in a ring of stops the one that is farthest from the request, ties by name, waits
// for nobody, and nobody for it. In any other ring the job gives way that only Wants pulled in and that is farthest
// from the request, ties by name. If every job of the ring is required, an interactive
// request is refused; otherwise the ring's units are left out and the rest goes on, those that
// require them too: a server that boots without one unit is better than one that does not.
// Each ring is reported once, with the file and line of every edge of one way around it.
//
// Jobs that are queued already take part, because the new ones may close a ring with them;
// they never give way.

// maxBreaks bounds how often a plan looks for rings again after taking out one job of each.
// Beyond that, all jobs of a ring that nothing requires give way at once.
const maxBreaks = 64

// breakCycles removes jobs until the order is free of cycles.
func (p *plan) breakCycles() error {
	for n := 0; ; n++ {
		rings := p.rings()
		if len(rings) == 0 {
			return nil
		}
		for _, ring := range rings {
			if err := p.breakRing(ring, n >= maxBreaks); err != nil {
				return err
			}
		}
		if p.anchor.dead {
			return p.anchor.err
		}
		p.afterRemoval()
	}
}

func (p *plan) breakRing(ring []*planned, all bool) error {
	cycle := &CycleError{Path: cyclePath(ring)}
	if p.untie(ring, cycle, all) {
		return nil
	}
	victims := p.dispensable(ring)
	if len(victims) == 0 {
		return p.breakRequired(ring, cycle)
	}
	if !all {
		victims = victims[:1]
	}
	for _, j := range victims {
		p.notes = append(p.notes, "job "+j.what()+" left out: "+cycle.Error())
		for _, o := range p.of[j.x] {
			if !o.dead {
				p.kill(o, cycle)
			}
		}
	}
	return nil
}

// untie has a job of a ring of stops go without its order, or all of them. It is false for any other ring.
func (p *plan) untie(ring []*planned, cycle *CycleError, all bool) bool {
	var list []*planned
	for _, j := range ring {
		if t, _ := installed(j); t != unit.JobStop {
			return false
		}
		if !j.old {
			list = append(list, j)
		}
	}
	slices.SortFunc(list, byDistance)
	if !all {
		list = list[:min(1, len(list))]
	}
	for _, j := range list {
		j.unordered = true
		p.notes = append(p.notes, "job "+j.what()+" does not wait for its turn: "+cycle.Error())
	}
	return len(list) > 0
}

// byDistance puts first what is farthest from the request, ties by name.
func byDistance(a, b *planned) int {
	return cmp.Or(cmp.Compare(b.depth, a.depth), cmp.Compare(a.x.name, b.x.name))
}

// dispensable lists the jobs of a ring that nothing requires, the one that gives way first.
func (p *plan) dispensable(ring []*planned) []*planned {
	var list []*planned
	for _, j := range ring {
		if j.old || j.x == p.anchor.x || slices.ContainsFunc(j.in, func(d pull) bool { return d.matters && !d.p.dead }) {
			continue
		}
		list = append(list, j)
	}
	slices.SortFunc(list, byDistance)
	return list
}

// breakRequired deals with a ring whose jobs are all required.
func (p *plan) breakRequired(ring []*planned, cycle *CycleError) error {
	if p.op.Manual || slices.ContainsFunc(ring, func(j *planned) bool { return j.x == p.anchor.x }) {
		return cycle
	}
	p.notes = append(p.notes, "all units of a cycle are required, all are left out: "+cycle.Error())
	for _, j := range ring {
		for _, o := range p.of[j.x] {
			o.dead, o.err = true, cycle
		}
	}
	return nil
}

// afterRemoval brings the merged list in step with the jobs that are left. What only a
// removed job asked for goes with it, and that is told.
func (p *plan) afterRemoval() {
	was := make(map[*planned]bool, len(p.jobs))
	for _, j := range p.jobs {
		was[j] = !j.dead
	}
	p.prune()
	left := make(map[*entry]bool, len(p.jobs))
	for _, j := range p.jobs {
		left[j.x] = true
	}
	p.order = slices.DeleteFunc(p.order, func(j *planned) bool {
		if left[j.x] {
			return false
		}
		if slices.ContainsFunc(p.of[j.x], func(o *planned) bool { return was[o] }) {
			p.notes = append(p.notes, "job "+j.what()+" left out: only what was left out asked for it")
		}
		delete(p.merged, j.x)
		return true
	})
}

// installed is the job type that x will have if j is installed over its present job; waits is
// false if that job runs already and goes on.
func installed(j *planned) (t unit.JobType, waits bool) {
	o := j.x.job
	if o == nil {
		return j.typ, true
	}
	if j.old {
		return o.typ, !o.running
	}
	if t = mergeTypes(o.typ, j.typ); t == 0 {
		return j.typ, true
	}
	t = collapse(t, j.x)
	return t, !o.running || t != o.typ || j.typ == unit.JobReload
}

// jobOf finds the job that x will have: of this plan, or one that is queued and stays.
func (p *plan) jobOf(x *entry) *planned {
	if j := p.merged[x]; j != nil {
		return j
	}
	if x.job == nil || p.cancels(x) {
		return nil
	}
	j := p.queued[x]
	if j == nil {
		j = &planned{x: x, typ: x.job.typ, old: true, node: node{index: -1}}
		if p.queued == nil {
			p.queued = make(map[*entry]*planned)
		}
		p.queued[x] = j
	}
	return j
}

// ignoresOrder reports whether j's job waits for nobody and holds nobody up.
func (p *plan) ignoresOrder(j *planned) bool {
	if j.unordered {
		return true
	}
	if o := j.x.job; o != nil && (j.old || mergeTypes(o.typ, j.typ) != 0) {
		return o.ignoreOrder
	}
	return p.op.Mode == unit.ModeIgnoreDependencies
}

// predecessors lists what must end before j, by the rule of waitsFor.
func (p *plan) predecessors(j *planned) []orderEdge {
	p.e.further()
	t, waits := installed(j)
	if !waits || p.ignoresOrder(j) {
		return nil
	}
	var out []orderEdge
	for _, side := range [...]struct {
		rel   unit.Relation
		after bool
	}{{unit.After, true}, {unit.Before, false}} {
		for _, d := range j.x.edges[side.rel] {
			o := p.jobOf(d.to)
			if o == nil {
				continue
			}
			if ot, _ := installed(o); goesFirst(t, ot, side.after) && !p.ignoresOrder(o) {
				out = append(out, orderEdge{o, d.pos})
			}
		}
	}
	return out
}
