package core

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// loadBatch bounds the names of one Load effect.
const loadBatch = 512

// loading is one Load effect under way.
type loading struct {
	entries  []*entry
	reload   bool
	deadline time.Duration // monotonic: the loader hangs, go on without the answer
}

// loadTimeout is how long files may take to be read: a hung network file system must not hold
// up for ever who asked.
const loadTimeout = 90 * time.Second

// pendingOp is a request that waits until what it refers to is loaded.
type pendingOp struct {
	ready func() bool
	run   func()
	note  note
}

// askForFiles emits the Load effects for all stubs that nobody reads yet.
func (e *Engine) askForFiles() {
	for len(e.wanted) > 0 {
		n := min(len(e.wanted), loadBatch)
		batch := slices.Clone(e.wanted[:n])
		e.wanted = e.wanted[n:]
		e.load(batch, false)
	}
	e.wanted = nil
}

func (e *Engine) load(batch []*entry, again bool) {
	names := make([]unit.Name, len(batch))
	for i, x := range batch {
		names[i] = x.name
	}
	e.manSeq++
	e.manAsked[e.manSeq] = &loading{batch, again, e.now.Deadline(loadTimeout)}
	e.intents = append(e.intents, sys.Intent{Seq: e.manSeq, Effect: sys.Load{Names: names, Refresh: again && e.reloading.left <= 1}})
}

// filesLoaded takes the answer to a Load, links what came, and lets go on what waited for it.
func (e *Engine) filesLoaded(l sys.Loaded) {
	asked := e.manAsked[l.Seq]
	if asked == nil {
		return
	}
	delete(e.manAsked, l.Seq)
	outer := e.doing(stageFiles, "")
	e.takeFiles(asked, l.Specs)
	e.rec.end(outer)
}

func (e *Engine) takeFiles(asked *loading, specs []*unit.Spec) {
	if asked.reload {
		e.reloaded(asked, specs)
		return
	}
	var fresh []*entry
	for i, x := range asked.entries {
		if i < len(specs) && specs[i] != nil {
			if y := e.adopt(x, specs[i]); y != nil {
				fresh = append(fresh, y)
			}
		} else {
			x.stale, x.load, x.reason = false, unit.LoadError, "the loader gave no answer"
		}
	}
	e.linkFresh(fresh)
	e.loadsDone()
}

// adopt gives x its specification. If the files say that x is only another name of a unit,
// the name moves over to that one.
func (e *Engine) adopt(x *entry, spec *unit.Spec) *entry {
	x.stale = false
	if spec.Name != x.name {
		y := e.names[spec.Name]
		switch {
		case y == nil:
			delete(e.names, x.name)
			e.forgetRecords(x)
			x.name = spec.Name
			e.names[spec.Name] = x
			e.pub.renamed()
		case y != x:
			e.merge(x, y)
			if y.loaded {
				return nil
			}
			e.wanted = slices.DeleteFunc(e.wanted, func(w *entry) bool { return w == y })
			x = y
		}
	}
	return e.adoptSpec(x, spec)
}

func (e *Engine) adoptSpec(x *entry, spec *unit.Spec) *entry {
	e.further()
	spec = bounded(spec)
	x.stale, x.loaded, x.specDirty = false, true, true
	if x.u != nil { // its file was gone, and was looked for again
		e.respec(x, spec)
	} else {
		e.setSpec(x, spec)
	}
	e.alias(x)
	e.publish(UnitNew{x.name})
	e.touch(x)
	return x
}

// bounded is spec, or what stands for one that the store would not take.
func bounded(spec *unit.Spec) *unit.Spec {
	n := len(encodeSpec(spec))
	if n <= maxSpec {
		return spec
	}
	return &unit.Spec{Name: spec.Name, Aliases: spec.Aliases, Load: unit.LoadError, FragmentPath: spec.FragmentPath,
		LoadError: "its files are too big: " + strconv.Itoa(n) + " bytes of settings, at most " + strconv.Itoa(maxSpec)}
}

// alias makes the other names of a unit point to it.
func (e *Engine) alias(x *entry) {
	for _, a := range x.spec.Aliases {
		y := e.names[a]
		switch {
		case y == x:
		case y == nil:
			e.names[a] = x
			e.pub.renamed()
		case !y.loaded:
			e.merge(y, x)
		}
	}
	if e.names[x.name] != x {
		e.names[x.name] = x
		e.pub.renamed()
	}
}

// forgetRecords deletes what is stored under x's name.
func (e *Engine) forgetRecords(x *entry) {
	if x.loaded {
		e.gone = append(e.gone, x.name)
	}
}

// merge turns x, which is a stub or down, into another name of y: edges that pointed to x
// point to y.
func (e *Engine) merge(x, y *entry) {
	e.forgetRecords(x)
	e.setState(x, deadState)
	x.u, x.spec, x.timers, x.pending, x.loaded = nil, nil, nil, nil, false
	e.indexProcs(x)
	if e.cgs[x.cgroup] == x {
		delete(e.cgs, x.cgroup)
	}
	x.cgroup = ""
	for n, t := range e.names { // every name of x; the order does not matter
		if t == x {
			e.names[n] = y
		}
	}
	for r := range x.edges {
		rel := unit.Relation(r)
		inv := rel.Inverse()
		for _, d := range x.edges[r] {
			z := d.to
			z.edges[inv] = slices.DeleteFunc(z.edges[inv], func(b edge) bool { return b.to == x })
			if z != y && z != x && !y.hasEdge(rel, z) {
				y.edges[r] = append(y.edges[r], d)
				z.edges[inv] = append(z.edges[inv], edge{y, d.pos, d.origin})
			}
		}
		x.edges[r] = nil
	}
	x.stale, x.gone = false, true
	e.wanted = slices.DeleteFunc(e.wanted, func(w *entry) bool { return w == x })
	e.pub.renamed()
	e.pub.changed(x.index)
}

// setSpec decodes a specification into x. Errors are load states.
func (e *Engine) setSpec(x *entry, spec *unit.Spec) {
	x.spec, x.load, x.reason = spec, spec.Load, spec.LoadError
	x.typ = e.cfg.Types[x.name.Kind()]
	x.common = defaultCommon(x.typ)
	if x.typ == nil {
		x.load, x.reason = unsupported(x.load, x.reason)
		return
	}
	if x.load != unit.LoadLoaded {
		return
	}
	if err := e.decodeCommon(x); err != nil {
		x.load, x.reason = unit.LoadBadSetting, err.Error()
		return
	}
	if e.confine(x) {
		return
	}
	if x.u == nil {
		e.makeUnit(x)
	}
	e.shareCommon(x)
}

func (e *Engine) makeUnit(x *entry) {
	outer := e.doing(stageSettings, x.name)
	u, err := newUnit(x.typ, x.spec)
	e.rec.end(outer)
	if err != nil {
		x.load, x.reason = unit.LoadBadSetting, err.Error()
		e.say(unit.LevelErr, x.name, err.Error())
		return
	}
	x.u = u
	if x.state.Active.IsDown() {
		e.setState(x, u.State())
	}
}

// defaultCommon are the settings of [Unit] when a unit has none.
func defaultCommon(t *unit.Type) *unit.Common {
	c := unit.NewCommon()
	c.IgnoreOnIsolate = t != nil && t.IgnoreOnIsolate
	return &c
}

// decodeCommon decodes the engine's share of x's specification. At an error x has what comes before it.
func (e *Engine) decodeCommon(x *entry) error {
	x.common = defaultCommon(x.typ)
	if x.typ == nil {
		return nil
	}
	return unit.Decode(x.spec, e.commonKeys, x.common)
}

func (e *Engine) linkFresh(fresh []*entry) {
	if len(fresh) == 0 {
		return
	}
	for _, x := range fresh {
		e.link(x)
	}
	// A target's members may have come before or after it.
	targets := slices.Clone(fresh)
	seen := make(map[*entry]bool, len(fresh))
	for _, x := range fresh {
		seen[x] = true
	}
	for _, x := range fresh {
		for _, r := range [...]unit.Relation{unit.RequiredBy, unit.RequisiteOf, unit.WantedBy, unit.BoundBy, unit.ConsistsOf, unit.UpheldBy} {
			for _, d := range x.edges[r] {
				if !seen[d.to] {
					seen[d.to] = true
					targets = append(targets, d.to)
				}
			}
		}
	}
	for _, x := range targets {
		e.linkMembers(x)
	}
	sort := slices.Clone(targets)
	for _, x := range targets {
		for r := range x.edges {
			for _, d := range x.edges[r] {
				if !seen[d.to] {
					seen[d.to] = true
					sort = append(sort, d.to)
				}
			}
		}
	}
	e.sortEdges(sort)
	for _, x := range sort {
		if c := e.cgroupOf(x); c != x.cgroup && x.state.Active.IsDown() && (x.quar == nil || x.cgroup == "") {
			x.cgroup = c
			e.touch(x)
		}
	}
	e.generation++
}

// maxEarly is how many waiting requests are looked at while files are still being read: each look
// may walk the whole graph. The rest goes on when nothing is being read any more.
const maxEarly = 16

// loadsDone lets those waiting requests go on that have all they need.
func (e *Engine) loadsDone() {
	ops := e.waiting
	e.waiting = nil
	for i, op := range ops {
		busy := len(e.wanted) > 0 || len(e.manAsked) > 0
		if (!busy || i < maxEarly) && op.ready() {
			outer := e.rec.begin(op.note)
			op.run()
			e.rec.end(outer)
		} else {
			e.waiting = append(e.waiting, op)
		}
	}
}

// loadsOverdue gives up on loads that are not answered.
func (e *Engine) loadsOverdue() {
	for _, seq := range slices.Sorted(maps.Keys(e.manAsked)) {
		if l := e.manAsked[seq]; l.deadline <= e.now.Mono {
			e.say(unit.LevelErr, l.entries[0].name, "its files are not read in time, nor those of "+strconv.Itoa(len(l.entries)-1)+" more units")
			e.filesLoaded(sys.Loaded{Seq: seq})
		}
	}
}

// needs are the relations by which a job on a unit looks at others that must be loaded.
var needs = [...]unit.Relation{unit.Requires, unit.BindsTo, unit.Requisite, unit.Wants, unit.Upholds, unit.Conflicts, unit.PropagatesReloadTo}

// ready reports whether everything is loaded that a request for x looks at. What only ends
// something never waits for files of other units.
func (e *Engine) ready(x *entry, ends bool) bool {
	if x.stale || ends || len(e.wanted) == 0 && len(e.manAsked) == 0 {
		return !x.stale
	}
	seen := map[*entry]bool{x: true}
	for todo := []*entry{x}; len(todo) > 0; {
		y := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		e.further()
		for _, r := range needs {
			for _, d := range y.edges[r] {
				if d.to.stale {
					return false
				}
				if !seen[d.to] {
					seen[d.to] = true
					todo = append(todo, d.to)
				}
			}
		}
	}
	return true
}

// whenLoaded runs f when all that n refers to is loaded: now, or in the turn in which the
// last file came.
func (e *Engine) whenLoaded(r *Request, n unit.Name, ends bool, f func(x *entry)) {
	if _, err := unit.ParseName(string(n)); err != nil {
		e.reply(r, Response{Err: &RequestError{n, ErrNoSuchUnit, "not a valid unit name"}})
		return
	}
	if e.names[n] == nil && len(e.names) >= MaxUnits {
		e.reply(r, Response{Err: &RequestError{n, ErrTooManyUnits, ""}})
		return
	}
	x := e.intern(n)
	if (x.load == unit.LoadNotFound || x.spec == nil) && !x.stale && x.job == nil && x.state.Active.IsDown() {
		x.stale = true // look again: the file may have come since
		e.wanted = append(e.wanted, x)
	}
	if e.ready(x, ends) {
		f(x)
		return
	}
	// By name: meanwhile it may become the name of another unit.
	e.waiting = append(e.waiting, &pendingOp{
		ready: func() bool { return e.ready(e.intern(n), ends) },
		run:   func() { f(e.intern(n)) },
		note:  requestNote(r),
	})
}

// loadable is why x cannot be started; nil when it can.
func (x *entry) loadable() error {
	switch {
	case x.quar != nil:
		return x.quar.refusal(x.name)
	case x.u != nil && x.load == unit.LoadLoaded:
		return nil
	case x.load == unit.LoadNotFound:
		return &RequestError{x.name, ErrNoSuchUnit, x.reason}
	case x.load == unit.LoadMasked:
		return &RequestError{x.name, ErrMasked, ""}
	case x.load == unit.LoadBadSetting:
		return &RequestError{x.name, ErrBadUnit, firstLine(x.reason)}
	}
	return &RequestError{x.name, ErrLoad, firstLine(x.reason)}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
