package core

import (
	"cmp"
	"slices"
	"time"

	"github.com/sysmaster-go/sysmaster/state/record"
	"github.com/sysmaster-go/sysmaster/unit"
)

// entry is the engine's side of one unit: its files' meaning, its state machine, its
// place in the graph, and what must survive a crash.
type entry struct {
	name   unit.Name
	index  int // place in the view
	spec   *unit.Spec
	typ    *unit.Type
	common *unit.Common // never nil; shared, read only
	load   unit.LoadState
	reason string // for load
	loaded bool   // its files were read (whatever came of it)
	stale  bool   // waits for a Load (first load or reload)
	gone   bool   // merged into another entry: only a hole in the list

	u        unit.Unit   // nil unless load is LoadLoaded
	saved    stored      // the stored machine, while u cannot be made from it, or until the first view after it was
	quar     *quarantine // the core keeps its hands off it
	verbatim []byte      // its record, while that is not even read

	unknown record.Unknown // fields of the record that a newer version wrote
	state   unit.State
	seq     uint64
	pending []unit.Emitted // committed and not answered
	timers  []timer
	starts  []time.Duration // start-limit window, monotonic
	limited bool            // the start limit was hit

	job        *job
	invocation [16]byte
	times      Times
	condition  bool
	assert     bool
	cgroup     string
	procs      []ProcView // as indexed in Engine.procs
	ended      ended      // what init may report once more
	changes    []Change   // the last ones, oldest first; replaced, never changed

	edges     [unit.NumRelations][]edge
	dirty     bool // its record must be written
	specDirty bool
	inRun     bool // queued in Engine.run

	// What a newer version wrote within the record: effects by number, the whole of each, and stamps.
	asRead     map[uint64]record.Unknown
	newerTimes record.Unknown
}

// edge is one relation to another unit.
type edge struct {
	to     *entry
	pos    unit.Pos
	origin unit.Origin
}

// timer is an armed deadline of a unit; the heap holds the same deadline and is checked against it.
type timer struct {
	id string
	at time.Duration

	unknown record.Unknown // of a newer version
}

// lookup finds a unit by any name; nil when it is not known.
func (e *Engine) lookup(n unit.Name) *entry { return e.names[n] }

// intern finds or makes the entry of a name. A new one is a stub that waits for its files.
func (e *Engine) intern(n unit.Name) *entry {
	if x := e.names[n]; x != nil {
		return x
	}
	x := &entry{name: n, index: len(e.list), stale: true, common: &noCommon, load: unit.LoadNotFound, state: deadState, condition: true, assert: true}
	e.names[n] = x
	e.list = append(e.list, x)
	e.wanted = append(e.wanted, x)
	return x
}

// noCommon are the settings of a unit whose files are not read.
var noCommon unit.Common

// The states of units without a machine.
var (
	deadState   = unit.State{Active: unit.Inactive, Sub: "dead", Result: "success"}
	orphanState = unit.State{Active: unit.Failed, Sub: "failed", Result: "resources"}
)

// orphaned units have no machine, but perhaps processes: their code failed, or their stored
// state could not be read.
func (x *entry) orphaned() bool { return x.u == nil && x.quar == nil && x.state.Active == unit.Failed }

// link adds the edges that x's own specification asks for, in both directions. Edges that
// both units ask for stand twice, which costs a second look and nothing else.
func (e *Engine) link(x *entry) {
	e.further()
	implied := e.impliedBy(x)
	if x.spec != nil && !x.gone {
		x.reserve([][]unit.Dep{x.spec.Deps, implied})
	}
	for d := range depsOf(x, implied) {
		e.addDep(x, d)
	}
	e.place(x)
}

// impliedBy are the dependencies that follow from x's kind and settings.
func (e *Engine) impliedBy(x *entry) []unit.Dep {
	if x.spec == nil || x.gone || x.typ == nil || x.load != unit.LoadLoaded || x.typ.Implied == nil {
		return nil
	}
	return e.implied(x)
}

// depsOf walks over the dependencies that x's own specification asks for.
func depsOf(x *entry, implied []unit.Dep) func(func(*unit.Dep) bool) {
	return func(yield func(*unit.Dep) bool) {
		if x.spec == nil || x.gone {
			return
		}
		for _, l := range [...][]unit.Dep{x.spec.Deps, implied} {
			for i := range l {
				if !yield(&l[i]) {
					return
				}
			}
		}
	}
}

// place finds x's control group once its edges are there.
func (e *Engine) place(x *entry) {
	if x.spec == nil || x.gone || x.typ == nil || x.load != unit.LoadLoaded {
		return
	}
	if x.cgroup == "" || x.state.Active.IsDown() && x.quar == nil { // else its processes are where they were started
		x.cgroup = e.cgroupOf(x)
	}
}

// reserve makes room for the edges of a unit that has none yet, in one piece.
func (x *entry) reserve(lists [][]unit.Dep) {
	var count [unit.NumRelations]int
	total := 0
	for _, l := range lists {
		for i := range l {
			if d := &l[i]; d.Unit != "" && x.edges[d.Rel] == nil {
				count[d.Rel]++
				total++
			}
		}
	}
	room := make([]edge, total)
	for r, n := range count {
		if n > 0 {
			x.edges[r], room = room[:0:n], room[n:]
		}
	}
}

func (e *Engine) addDep(x *entry, d *unit.Dep) {
	if y := e.end(x, d); y != nil {
		addEdge(x, y, d)
	}
}

// end is the unit that a dependency of x leads to; nil for none.
func (e *Engine) end(x *entry, d *unit.Dep) *entry {
	if d.Unit == "" { // RequiresMountsFor: there are no mount units yet that could satisfy it
		return nil
	}
	y := e.names[d.Unit]
	if y == nil {
		if len(e.list) >= MaxUnits {
			if !e.crowded {
				e.crowded = true
				e.say(unit.LevelErr, x.name, "too many units: dependencies on further ones are ignored")
			}
			return nil
		}
		y = e.intern(d.Unit)
	}
	return y
}

func addEdge(x, y *entry, d *unit.Dep) {
	if y == x || x.hasEdge(d.Rel, y) {
		return
	}
	x.edges[d.Rel] = append(x.edges[d.Rel], edge{y, d.Pos, d.Origin})
	inv := d.Rel.Inverse()
	y.edges[inv] = append(y.edges[inv], edge{x, d.Pos, d.Origin})
}

// hasEdge looks for the edge to y. Every edge stands at both ends, so the shorter list
// will do: a target that everything points to is never searched.
func (x *entry) hasEdge(r unit.Relation, y *entry) bool {
	list, other := x.edges[r], y
	if inv := y.edges[r.Inverse()]; len(inv) < len(list) {
		list, other = inv, x
	}
	for i := range list {
		if list[i].to == other {
			return true
		}
	}
	return false
}

// memberRelations are those by which a target pulls in its members.
var memberRelations = [...]unit.Relation{unit.Requires, unit.Requisite, unit.Wants, unit.BindsTo, unit.PartOf, unit.Upholds}

func isMember(r unit.Relation) bool { return slices.Contains(memberRelations[:], r) }

// linkMembers orders a target after what it pulls in (man systemd.target(5), Default Dependencies).
func (e *Engine) linkMembers(x *entry) {
	e.further()
	if x.typ == nil || !x.typ.AfterMembers || !x.common.DefaultDependencies {
		return
	}
	for _, r := range memberRelations {
		for _, m := range x.edges[r] {
			if m.to.load != unit.LoadLoaded || !m.to.common.DefaultDependencies {
				continue
			}
			if x.hasEdge(unit.Before, m.to) { // it is meant the other way round
				continue
			}
			e.addDep(x, &unit.Dep{Rel: unit.After, Unit: m.to.name, Origin: unit.OriginDefault, Pos: m.pos})
		}
	}
}

// relink builds the whole graph anew from the specifications: after daemon-reload and recovery.
func (e *Engine) relink() {
	for _, x := range e.list {
		for r := range x.edges {
			x.edges[r] = nil
		}
	}
	e.linkAll()
	for _, x := range e.list {
		e.linkMembers(x)
	}
	e.sortEdges(e.list)
	e.generation++
}

// linkAll is link for all units. It counts first, so that each list of edges is made once and has its right size: thousands
// of units may point to the same target.
func (e *Engine) linkAll() {
	type counts [unit.NumRelations]int32
	var (
		implied = make([][]unit.Dep, 0, len(e.list))
		ends    []*entry // of each dependency, in the order of the walk; nil: it is no edge
		count   = make([]counts, len(e.list), len(e.list)+len(e.list)/8)
	)
	for i := 0; i < len(e.list); i++ { // end may append stubs
		x := e.list[i]
		e.further()
		implied = append(implied, e.impliedBy(x))
		members := x.typ != nil && x.typ.AfterMembers
		for d := range depsOf(x, implied[i]) {
			y := e.end(x, d)
			ends = append(ends, y)
			if y == nil || y == x {
				continue
			}
			for len(count) < len(e.list) {
				count = append(count, counts{})
			}
			count[i][d.Rel]++
			count[y.index][d.Rel.Inverse()]++
			if members && isMember(d.Rel) { // linkMembers
				count[i][unit.After]++
				count[y.index][unit.Before]++
			}
		}
	}
	for i, x := range e.list {
		total := int32(0)
		for _, n := range count[i] {
			total += n
		}
		room := make([]edge, total)
		for r, n := range count[i] {
			if n > 0 {
				x.edges[r], room = room[:0:n], room[n:]
			}
		}
	}
	for i, x := range e.list {
		e.further()
		for d := range depsOf(x, implied[i]) {
			if y := ends[0]; y != nil {
				addEdge(x, y, d)
			}
			ends = ends[1:]
		}
		e.place(x)
	}
}

// sortEdges makes every walk of the graph follow unit names, so that the order in which
// files were read never shows.
func (e *Engine) sortEdges(list []*entry) {
	for _, x := range list {
		e.further()
		for r := range x.edges {
			if l := x.edges[r]; len(l) > 1 && !slices.IsSortedFunc(l, byEnd) {
				slices.SortStableFunc(l, byEnd)
			}
		}
	}
}

func byEnd(a, b edge) int { return cmp.Compare(a.to.name, b.to.name) }

// cgroupOf is where the unit's processes live, relative to the managed root: under its
// slice, or for a slice the path of its name.
func (e *Engine) cgroupOf(x *entry) string {
	if x.name.Kind() == unit.KindSlice {
		return x.name.SlicePath()
	}
	if slice := x.edges[unit.InSlice]; len(slice) > 0 {
		if p := slice[0].to.name.SlicePath(); p != "" {
			return p + "/" + string(x.name)
		}
		return string(x.name)
	}
	return ""
}

// related lists names of one relation, sorted and without repetition.
func (x *entry) related(r unit.Relation) []unit.Name {
	list := x.edges[r]
	if len(list) == 0 {
		return nil
	}
	out := make([]unit.Name, 0, len(list))
	for i := range list {
		if n := list[i].to.name; len(out) == 0 || out[len(out)-1] != n {
			out = append(out, n)
		}
	}
	return out
}
