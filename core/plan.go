package core

import (
	"cmp"
	"slices"

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
	todo   []*planned
	notes  []string // what was left out, for the administrator
	merged map[*entry]*planned
	order  []*planned // merged jobs, in order
}

type planKey struct {
	x *entry
	t unit.JobType
}

type planned struct {
	x       *entry
	typ     unit.JobType
	in, out []pull
	dead    bool
	err     error
	matters bool // the request fails without it
	reached bool
	depth   int // edges from the request
	node    node
}

// pull is an edge: from wants to have to.
type pull struct {
	p                  *planned
	matters, conflicts bool
}

// build collects, prunes, merges and orders. On success p.order is what to install.
func (e *Engine) plan(x *entry, op OpJob) (*plan, error) {
	p := &plan{e: e, op: op, byKey: make(map[planKey]*planned)}
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
	if err := p.merge(); err != nil {
		return nil, err
	}
	if err := p.breakCycles(); err != nil {
		return nil, err
	}
	p.dropRedundant()
	if op.Mode == unit.ModeFail {
		p.minimise()
	}
	return p, p.destructive()
}

// admit checks what the unit itself says about such a request.
func (p *plan) admit(x *entry) error {
	c := &x.common
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
	up := !x.state.Active.IsDown() && x.state.Active != unit.Deactivating || x.job != nil && x.job.typ != unit.JobStop
	switch t {
	case unit.JobReloadOrStart:
		if up && x.state.Active != unit.Activating {
			if canReload(x) {
				return unit.JobReload
			}
			return unit.JobRestart
		}
		return unit.JobStart
	case unit.JobTryRestart:
		if up {
			return unit.JobRestart
		}
		return 0
	case unit.JobTryReload:
		if x.state.Active.IsUp() && canReload(x) {
			return unit.JobReload
		}
		return 0
	case unit.JobRestart:
		if x.state.Active.IsDown() {
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
		p.pull(j, unit.ConflictedBy, unit.JobStop, false, true)
	case unit.JobStop, unit.JobRestart:
		t := unit.JobStop
		if j.typ == unit.JobRestart {
			t = unit.JobTryRestart
		}
		p.pull(j, unit.RequiredBy, t, true, false)
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
		if tt == 0 || tt == unit.JobStop && d.to.state.Active.IsDown() && d.to.job == nil && !p.starts(d.to) {
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
		j.out = append(j.out, pull{k, matters, conflicts})
		k.in = append(k.in, pull{j, matters, conflicts})
	}
}

// starts reports whether the plan starts x; a stop of what is down matters only then.
func (p *plan) starts(x *entry) bool { return p.byKey[planKey{x, unit.JobStart}] != nil }

// quiet: a wanted unit that does not exist or is masked is no news.
func quiet(err error) bool {
	r, ok := err.(*RequestError)
	return ok && (r.Err == ErrNoSuchUnit || r.Err == ErrMasked || r.Detail == "unsupported type")
}

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
				p.notes = append(p.notes, string(up.p.x.name)+" goes on without "+string(k.x.name)+": "+err.Error())
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
	for _, x := range p.e.list {
		if keep[x] || x.gone || x.u == nil || x.common.IgnoreOnIsolate || perpetual(x) || x.state.Active.IsDown() && x.job == nil || p.triggeredByKept(x, keep) {
			continue
		}
		j, err := p.add(x, unit.JobStop)
		if err == nil {
			p.anchor.out = append(p.anchor.out, pull{j, true, false})
			j.in = append(j.in, pull{p.anchor, true, false})
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
		return a.IsDown() && j.x.u != nil
	case unit.JobReload:
		return a == unit.Reloading
	}
	return false
}

func (p *plan) dropRedundant() {
	p.order = slices.DeleteFunc(p.order, func(j *planned) bool {
		if j.x == p.anchor.x || !redundant(j) {
			return false
		}
		return j.x.job == nil || mergeTypes(j.x.job.typ, j.typ) != 0
	})
}

// minimise leaves out, for --job-mode=fail, what the request does not need and would disturb.
func (p *plan) minimise() {
	p.order = slices.DeleteFunc(p.order, func(j *planned) bool {
		if j.matters {
			return false
		}
		stops := j.typ == unit.JobStop && !j.x.state.Active.IsDown()
		changes := j.x.job != nil && mergeTypes(j.x.job.typ, j.typ) == 0
		return stops || changes
	})
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

// install makes the plan's jobs the engine's. It cannot fail.
func (e *Engine) install(p *plan) JobID {
	for _, n := range p.notes {
		e.say(unit.LevelInfo, "", n)
	}
	if p.anchor == nil {
		return 0
	}
	if p.op.Mode == unit.ModeFlush {
		e.flush(p)
	}
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

// flush cancels every job that the plan does not contain.
func (e *Engine) flush(p *plan) {
	ids := make([]JobID, 0, len(e.jobs))
	for id, j := range e.jobs {
		if p.merged[j.x] == nil {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, cmp.Compare[JobID])
	for _, id := range ids {
		e.finish(e.jobs[id], unit.JobCanceled)
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
				o.running = false
			}
			o.typ = t
			o.irreversible = o.irreversible || irreversible
			e.touch(x)
			return
		}
		o.irreversible = false
		e.finish(o, unit.JobCanceled)
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
