package core

import (
	"github.com/sysmaster-go/sysmaster/unit"
)

// plan is a transaction in the making: the jobs that a request pulls in, with the edges
// that say why. Building one changes nothing in the engine.
type plan struct {
	e      *Engine
	op     OpJob
	anchor *planned
	jobs   []*planned // in the order in which they were pulled in
	byKey  map[planKey]*planned
	of     map[*entry][]*planned // the jobs of one unit
	todo   []*planned
	notes  []string // what was left out, for the administrator
	merged map[*entry]*planned
	order  []*planned          // merged jobs, in order
	queued map[*entry]*planned // jobs of earlier transactions that are in the way
}

type planKey struct {
	x *entry
	t unit.JobType
}

type planned struct {
	x         *entry
	typ       unit.JobType
	in, out   []pull
	dead      bool
	err       error
	matters   bool // the request fails without it
	reached   bool
	depth     int  // edges from the request
	unordered bool // it waits for nobody, and nobody for it
	old       bool // not of this plan: a job that is queued already
	node      node
}

// pull is an edge: from wants to have to.
type pull struct {
	p                  *planned
	matters, conflicts bool
	isolate            bool          // the wanted job is in the other's way
	rel                unit.Relation // else: what the wanted one is to the other
}

// build collects, prunes, merges and orders. On success p.order is what to install.
func (e *Engine) plan(x *entry, op OpJob) (*plan, error) {
	p := &plan{e: e, op: op, byKey: make(map[planKey]*planned), of: make(map[*entry][]*planned)}
	if err := p.admit(x); err != nil {
		return nil, err
	}
	t := collapse(op.Type, x)
	if t == 0 {
		return p, nil
	}
	a, err := p.add(x, t)
	if err != nil {
		return nil, err
	}
	p.anchor = a
	p.expandAll()
	if a.dead {
		return nil, a.err
	}
	if op.Mode == unit.ModeIsolate {
		p.isolate()
		p.expandAll()
	}
	p.prune()
	if op.Mode == unit.ModeFail {
		p.minimise()
	}
	if err := p.merge(); err != nil {
		return nil, err
	}
	p.dropRedundant() // before cycles: what is up already waits for nothing
	if err := p.breakCycles(); err != nil {
		return nil, err
	}
	return p, p.destructive()
}

// admit checks what the unit itself says about such a request.
func (p *plan) admit(x *entry) error {
	c := x.common
	switch p.op.Type {
	case unit.JobStart, unit.JobReloadOrStart:
		if err := x.loadable(); err != nil {
			return err
		}
		if p.op.Manual && c.RefuseManualStart {
			return &RequestError{x.name, ErrOnlyByDep, ""}
		}
	case unit.JobStop, unit.JobRestart, unit.JobTryRestart:
		if perpetual(x) {
			return &RequestError{x.name, ErrNotApplicable, "it cannot be stopped"}
		}
		if p.op.Manual && c.RefuseManualStop {
			return &RequestError{x.name, ErrOnlyByDep, ""}
		}
		if p.op.Type == unit.JobStop && x.u == nil && x.state.Active.IsDown() && x.load == unit.LoadNotFound {
			return x.loadable()
		}
		if p.op.Type != unit.JobStop {
			if err := x.loadable(); err != nil {
				return err
			}
		}
	default:
		if err := x.loadable(); err != nil {
			return err
		}
	}
	if (p.op.Type == unit.JobReload || p.op.Type == unit.JobTryReload) && !canReload(x) {
		return &RequestError{x.name, ErrNotApplicable, "it has nothing to reload"}
	}
	if p.op.Mode == unit.ModeIsolate {
		if p.op.Type != unit.JobStart {
			return &RequestError{x.name, ErrNoIsolate, "only a start can isolate"}
		}
		if p.op.Manual && !c.AllowIsolate {
			return &RequestError{x.name, ErrNoIsolate, ""}
		}
	}
	return nil
}

// perpetual units cannot be stopped, and nobody's stop reaches them.
func perpetual(x *entry) bool {
	p, ok := x.u.(interface{ Perpetual() bool })
	return ok && p.Perpetual()
}

func canReload(x *entry) bool {
	r, ok := x.u.(interface{ CanReload() bool })
	return !ok || r.CanReload()
}

// collapse turns a conditional job type into what it means in the unit's present state; 0 for nothing.
func collapse(t unit.JobType, x *entry) unit.JobType {
	a := x.state.Active
	switch t {
	case unit.JobReloadOrStart:
		switch {
		case a.IsDown() || a == unit.Deactivating:
			return unit.JobStart
		case canReload(x):
			return unit.JobReload
		}
		return unit.JobRestart
	case unit.JobTryRestart:
		if a.IsDown() { // one that is being stopped is started again
			return 0
		}
		return unit.JobRestart
	case unit.JobTryReload:
		if a.IsDown() || a == unit.Deactivating || !canReload(x) {
			return 0
		}
		return unit.JobReload
	case unit.JobRestart:
		if a.IsDown() {
			return unit.JobStart
		}
	}
	return t
}

// add finds or makes the planned job t of x.
func (p *plan) add(x *entry, t unit.JobType) (*planned, error) {
	k := planKey{x, t}
	if j := p.byKey[k]; j != nil {
		if j.dead {
			return j, j.err
		}
		return j, nil
	}
	if t != unit.JobStop {
		if err := x.loadable(); err != nil {
			return nil, err
		}
	}
	j := &planned{x: x, typ: t}
	p.byKey[k] = j
	p.jobs = append(p.jobs, j)
	p.of[x] = append(p.of[x], j)
	p.todo = append(p.todo, j)
	return j, nil
}

func (p *plan) expandAll() {
	for len(p.todo) > 0 {
		j := p.todo[0]
		p.todo = p.todo[1:]
		if !j.dead && p.op.Mode != unit.ModeIgnoreDependencies {
			p.expand(j)
		}
	}
	p.todo = nil
}

// expand pulls in what j's type asks of its neighbours.
func (p *plan) expand(j *planned) {
	p.e.further()
	switch j.typ {
	case unit.JobStart:
		if p.op.Mode != unit.ModeIgnoreRequirements {
			p.pull(j, unit.Requires, unit.JobStart, true, false)
			p.pull(j, unit.BindsTo, unit.JobStart, true, false)
			p.pull(j, unit.Requisite, unit.JobVerifyActive, true, false)
		}
		p.pull(j, unit.Wants, unit.JobStart, false, false)
		p.pull(j, unit.Upholds, unit.JobStart, false, false)
		p.pull(j, unit.Conflicts, unit.JobStop, true, true)
		p.pull(j, unit.ConflictedBy, unit.JobStop, false, false)
	case unit.JobStop, unit.JobRestart:
		t := unit.JobStop
		if j.typ == unit.JobRestart {
			t = unit.JobTryRestart
		}
		p.pull(j, unit.RequiredBy, t, true, false)
		p.pull(j, unit.RequisiteOf, t, true, false)
		p.pull(j, unit.BoundBy, t, true, false)
		p.pull(j, unit.ConsistsOf, t, true, false)
		if j.typ == unit.JobStop {
			p.pull(j, unit.PropagatesStopTo, t, true, false)
		}
	case unit.JobReload:
		p.pull(j, unit.PropagatesReloadTo, unit.JobTryReload, false, false)
	}
}

func (p *plan) pull(j *planned, r unit.Relation, t unit.JobType, matters, conflicts bool) {
	for _, d := range j.x.edges[r] {
		if j.dead {
			return
		}
		tt := collapse(t, d.to)
		if (tt == unit.JobStop || tt == unit.JobRestart) && perpetual(d.to) {
			continue
		}
		if tt == 0 {
			continue
		}
		k, err := p.add(d.to, tt)
		if err != nil {
			if matters {
				p.kill(j, &RequestError{j.x.name, ErrLoad, "needs " + err.Error()})
			} else if !quiet(err) {
				p.notes = append(p.notes, string(j.x.name)+" wants "+err.Error())
			}
			continue
		}
		j.out = append(j.out, pull{p: k, matters: matters, conflicts: conflicts, rel: r})
		k.in = append(k.in, pull{p: j, matters: matters, conflicts: conflicts, rel: r})
	}
}

// quiet: a wanted unit that does not exist or is masked is no news.
func quiet(err error) bool {
	r, ok := err.(*RequestError)
	return ok && (r.Err == ErrNoSuchUnit || r.Err == ErrMasked || r.Detail == "unsupported type")
}

func (j *planned) what() string { return string(j.x.name) + "/" + j.typ.String() }

// kill takes j out of the plan, and with it all that cannot do without it.
func (p *plan) kill(j *planned, err error) {
	stack := []*planned{j}
	j.dead, j.err = true, err
	for len(stack) > 0 {
		k := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, up := range k.in {
			if up.matters && !up.p.dead {
				up.p.dead, up.p.err = true, err
				stack = append(stack, up.p)
			} else if !up.matters && !up.p.dead {
				p.notes = append(p.notes, string(up.p.x.name)+" goes on without "+k.what()+": "+err.Error())
			}
		}
	}
}

// isolate adds a stop for everything that the plan does not want.
func (p *plan) isolate() {
	keep := make(map[*entry]bool)
	for _, j := range p.jobs {
		if !j.dead {
			keep[j.x] = true
		}
	}
	for _, x := range p.e.byName() {
		if keep[x] || x.u == nil || x.common.IgnoreOnIsolate || perpetual(x) || x.state.Active.IsDown() && x.job == nil || p.triggeredByKept(x, keep) {
			continue
		}
		j, err := p.add(x, unit.JobStop)
		if err == nil {
			p.anchor.out = append(p.anchor.out, pull{p: j, matters: true, isolate: true})
			j.in = append(j.in, pull{p: p.anchor, matters: true, isolate: true})
		}
	}
}

func (p *plan) triggeredByKept(x *entry, keep map[*entry]bool) bool {
	for _, d := range x.edges[unit.TriggeredBy] {
		if keep[d.to] {
			return true
		}
	}
	return false
}

// Planned is one job of a Plan.
type Planned struct {
	Unit    unit.Name
	Type    unit.JobType
	Matters bool // the request fails without it
}

// Plan says what a job request would do, and changes nothing. All that the unit refers to
// must be loaded. Notes tell what would be left out and why.
func (e *Engine) Plan(op OpJob) (jobs []Planned, notes []string, err error) {
	x := e.lookup(op.Unit)
	if x == nil {
		return nil, nil, &RequestError{op.Unit, ErrNoSuchUnit, ""}
	}
	p, err := e.plan(x, op)
	if err != nil {
		return nil, nil, err
	}
	for _, j := range p.order {
		jobs = append(jobs, Planned{j.x.name, j.typ, j.matters})
	}
	return jobs, p.notes, nil
}
