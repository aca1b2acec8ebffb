package core

import (
	"slices"

	"github.com/sysmaster-go/sysmaster/unit"
)

// prune drops what is no longer reached from the anchor, and finds what matters to it.
func (p *plan) prune() {
	for _, j := range p.jobs {
		j.reached, j.matters, j.depth = false, false, 0
	}
	p.flood(false)
	p.flood(true)
	p.jobs = slices.DeleteFunc(p.jobs, func(j *planned) bool {
		if j.reached {
			return false
		}
		j.dead = true
		return true
	})
}

func (p *plan) flood(matters bool) {
	if p.anchor.dead {
		return
	}
	queue := []*planned{p.anchor}
	p.anchor.reached = true
	if matters {
		p.anchor.matters = true
	}
	for len(queue) > 0 {
		j := queue[0]
		queue = queue[1:]
		p.e.further()
		for _, d := range j.out {
			switch {
			case d.p.dead:
			case matters && d.matters && !d.p.matters:
				d.p.matters = true
				queue = append(queue, d.p)
			case !matters && !d.p.reached:
				d.p.reached = true
				d.p.depth = j.depth + 1
				queue = append(queue, d.p)
			}
		}
	}
}

// merge leaves one job per unit.
func (p *plan) merge() error {
	for {
		p.merged = make(map[*entry]*planned)
		p.order = p.order[:0]
		again := false
		for _, j := range p.jobs {
			k := p.merged[j.x]
			if k == nil {
				c := *j
				p.merged[j.x] = &c
				p.order = append(p.order, &c)
				continue
			}
			if t := mergeTypes(k.typ, j.typ); t != 0 {
				k.typ = collapse(t, k.x)
				k.matters = k.matters || j.matters
				k.in = append(slices.Clip(k.in), j.in...)
				k.out = append(slices.Clip(k.out), j.out...)
				k.depth = min(k.depth, j.depth)
				continue
			}
			if err := p.giveWay(p.byKey[planKey{k.x, unit.JobStop}], j); err != nil {
				return err
			}
			again = true
			break
		}
		if !again {
			return nil
		}
		if p.anchor.dead {
			return p.anchor.err
		}
		p.prune()
	}
}

// giveWay decides between a stop and another job of one unit: what the request needs stays; if
// it needs neither, a stop goes, except one that a Conflicts= asked for.
func (p *plan) giveWay(stop, j *planned) error {
	other := j
	if stop == nil || stop == j || stop.dead { // j is the stop, so the other one came first
		stop = j
		for _, t := range [...]unit.JobType{unit.JobStart, unit.JobVerifyActive, unit.JobReload, unit.JobRestart} {
			if o := p.byKey[planKey{j.x, t}]; o != nil && !o.dead {
				other = o
				break
			}
		}
	}
	err := &RequestError{j.x.name, ErrConflict, "both " + stop.typ.String() + " and " + other.typ.String() + " are asked for"}
	switch {
	case stop.matters && other.matters:
		return err
	case stop.matters:
		p.kill(other, err)
	case other.matters:
		p.kill(stop, err)
	case slices.ContainsFunc(stop.in, func(d pull) bool { return d.conflicts && !d.p.dead }):
		p.kill(other, err)
	default:
		p.kill(stop, err)
	}
	return nil
}

// mergeTypes is the one job that does for two; 0 if there is none.
func mergeTypes(a, b unit.JobType) unit.JobType {
	if a == b {
		return a
	}
	if a > b {
		a, b = b, a
	}
	switch {
	case a == unit.JobStop || b == unit.JobStop:
		return 0
	case a == unit.JobStart && b == unit.JobVerifyActive:
		return unit.JobStart
	case b == unit.JobRestart:
		return unit.JobRestart
	case a == unit.JobStart && b == unit.JobReload:
		return unit.JobReloadOrStart
	case a == unit.JobVerifyActive && b == unit.JobReload:
		return unit.JobReload
	}
	return 0
}

// redundant reports whether the unit's state already is what the job wants.
func redundant(j *planned) bool {
	a := j.x.state.Active
	switch j.typ {
	case unit.JobStart, unit.JobVerifyActive:
		return a.IsUp()
	case unit.JobStop:
		return a.IsDown() && !j.x.orphaned()
	case unit.JobReload:
		return a == unit.Reloading
	}
	return false
}

// dropRedundant leaves out what is the case already, unless a queued job would change it.
func (p *plan) dropRedundant() {
	p.order = slices.DeleteFunc(p.order, func(j *planned) bool {
		if j.x == p.anchor.x || !redundant(j) || j.x.job != nil && mergeTypes(j.x.job.typ, j.typ) == 0 {
			return false
		}
		delete(p.merged, j.x)
		return true
	})
}

// minimise leaves out, for --job-mode=fail, what the request does not need and would disturb:
// a stop of something that is up, or the opposite of a job that is queued. Whatever cannot do
// without it goes too.
func (p *plan) minimise() {
	for _, j := range p.jobs {
		if j.dead || j.matters {
			continue
		}
		a := j.x.state.Active
		stops := j.typ == unit.JobStop && (a.IsUp() || a == unit.Activating)
		changes := j.x.job != nil && mergeTypes(j.x.job.typ, j.typ) == 0
		if stops || changes {
			p.kill(j, &RequestError{j.x.name, ErrDestructive, "mode fail does not allow a " + j.typ.String() + " job"})
		}
	}
	p.prune()
}

// destructive checks the plan against the jobs that are queued.
func (p *plan) destructive() error {
	for _, j := range p.order {
		o := j.x.job
		if o == nil || mergeTypes(o.typ, j.typ) != 0 {
			continue
		}
		if o.irreversible {
			return &RequestError{j.x.name, ErrIrreversible, "a " + o.typ.String() + " job is queued that must not be replaced"}
		}
		if p.op.Mode == unit.ModeFail {
			return &RequestError{j.x.name, ErrDestructive, "a " + o.typ.String() + " job is queued"}
		}
	}
	return nil
}
