package core

import (
	"bytes"
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sysmaster-go/sysmaster/unit"
)

// published is what the last View shares with the next one.
type published struct {
	chunks  []*chunk
	dirty   []int // indexes of entries that changed
	renames bool
	jobs    bool
	names   map[unit.Name]int
	early   *early // while New is not through, if there is an early View
}

func (p *published) changed(i int) { p.dirty = append(p.dirty, i) }
func (p *published) renamed()      { p.renames = true }

// publishView makes a new View of what was committed. It copies the chunks of changed
// units and nothing else.
func (e *Engine) publishView() {
	p := &e.pub
	old := e.view.Load()
	state, troubles := e.systemState(), e.troubles
	if e.storeErr != nil {
		troubles = append(slices.Clip(troubles), "nothing new is started, as the state cannot be recorded: "+e.storeErr.Error())
	}
	if old != nil && old.early == p.early && len(p.dirty) == 0 && !p.renames && !p.jobs && old.state == state && old.count == len(e.list) && slices.Equal(old.troubles, troubles) {
		return
	}
	if g := e.graph.Load(); g == nil || g.generation != e.generation {
		e.graph.Store(e.newLazyGraph())
	}
	first := 0
	if old != nil {
		first = old.count
	}
	for i := first; i < len(e.list); i++ {
		p.changed(i)
	}
	p.chunks = slices.Clone(p.chunks)
	for len(p.chunks)*chunkSize < len(e.list) {
		p.chunks = append(p.chunks, new(chunk))
	}
	slices.Sort(p.dirty)
	last := -1
	for _, i := range slices.Compact(p.dirty) {
		e.further()
		if c := i / chunkSize; c != last {
			last = c
			fresh := *p.chunks[c]
			p.chunks[c] = &fresh
		}
		p.chunks[last][i%chunkSize] = e.unitView(e.list[i])
	}
	p.dirty = p.dirty[:0]
	if p.names == nil || p.renames || len(p.names) != len(e.names) {
		p.names = make(map[unit.Name]int, len(e.names))
		for n, x := range e.names {
			p.names[n] = x.index
		}
	}
	v := &View{Turn: e.turn, names: p.names, units: p.chunks, count: len(e.list), state: state, troubles: troubles, early: p.early}
	if old != nil && !p.jobs {
		v.jobs = old.jobs
	} else {
		v.jobs = e.jobViews()
	}
	p.renames, p.jobs = false, false
	e.view.Store(v)
}

// early is what a View has that was published before recovery was through.
type early struct {
	whole chan struct{}         // closed when New returns
	view  *atomic.Pointer[View] // the newest
}

// publishEarly shows what was committed last. Units are not linked yet.
func (e *Engine) publishEarly() {
	p := &e.pub
	p.early = &early{make(chan struct{}), &e.view}
	e.graph.Store(&lazyGraph{generation: e.generation, early: p.early})
	e.publishView()
	e.cfg.Readable(e.view.Load())
}

// wait gives the View that tells everything: the newest one after New, v itself if New failed or v is none of the early ones.
func (v *View) wait() *View {
	if v.early == nil {
		return v
	}
	<-v.early.whole
	if now := v.early.view.Load(); now.early == nil {
		return now
	}
	return v
}

func (e *Engine) jobViews() []*JobView {
	out := make([]*JobView, 0, len(e.jobs))
	for _, j := range e.jobs {
		v := j.view()
		out = append(out, &v)
	}
	slices.SortFunc(out, func(a, b *JobView) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (e *Engine) systemState() string {
	switch {
	case e.shutdown != nil:
		return "stopping"
	case !e.started:
		return "starting"
	case e.failed > 0:
		return "degraded"
	}
	return "running"
}

func (e *Engine) unitView(x *entry) *UnitView {
	if x.gone {
		return nil
	}
	v := &UnitView{
		Name: x.name, Spec: x.spec, Type: x.typ, Common: x.common, Load: x.load, LoadError: x.reason,
		State: x.state, CGroup: x.cgroup, Invocation: x.invocation, Times: x.times, Procs: x.procs, Changes: x.changes,
		ConditionResult: x.condition, AssertResult: x.assert,
	}
	if x.job != nil {
		j := x.job.view()
		v.Job = &j
	}
	if x.quar != nil {
		v.Quarantine = x.quar.public()
	}
	if x.u != nil && x.saved.hasUnit { // restored and not changed since
		v.snapshot, v.version = x.saved.snapshot, x.saved.version
		x.saved = stored{}
	} else if x.u != nil {
		outer := e.doing(stageSnapshot, x.name)
		e.snapshot = x.u.Snapshot(e.snapshot[:0])
		v.snapshot, v.version = bytes.Clone(e.snapshot), x.typ.Version
		e.rec.end(outer)
	}
	graph, i := e.graph, x.index // not the graph of now: others may point to x later, without a change of x
	v.Relations = func() *[unit.NumRelations][]unit.Name {
		g := graph.Load()
		if g.early != nil {
			<-g.early.whole
			g = graph.Load()
		}
		return g.relations(i)
	}
	return v
}

// lazyGraph computes names of related units for readers, in the reader's goroutine, from
// the edges that one generation of the graph had.
type lazyGraph struct {
	generation uint64
	early      *early // not there yet
	once       sync.Once
	sources    []graphSource
	related    [][unit.NumRelations][]unit.Name
}

// graphSource is one unit's edges in one direction, immutable.
type graphSource struct {
	name unit.Name
	out  []graphEdge
}

type graphEdge struct {
	rel unit.Relation
	to  int
}

func (e *Engine) newLazyGraph() *lazyGraph {
	g := &lazyGraph{generation: e.generation, sources: make([]graphSource, len(e.list))}
	n := 0
	for _, x := range e.list {
		for r := 0; r < len(x.edges); r += 2 { // every edge stands at both ends: one direction suffices
			n += len(x.edges[r])
		}
	}
	all := make([]graphEdge, 0, n)
	for i, x := range e.list {
		from := len(all)
		for r := 0; r < len(x.edges); r += 2 {
			for _, d := range x.edges[r] {
				all = append(all, graphEdge{unit.Relation(r), d.to.index})
			}
		}
		g.sources[i] = graphSource{x.name, all[from:len(all):len(all)]}
	}
	return g
}

func (g *lazyGraph) relations(i int) *[unit.NumRelations][]unit.Name {
	g.once.Do(g.compute)
	if i >= len(g.related) { // a stub that came later, which nothing was linked to yet
		return new([unit.NumRelations][]unit.Name)
	}
	return &g.related[i]
}

func (g *lazyGraph) compute() {
	g.related = make([][unit.NumRelations][]unit.Name, len(g.sources))
	for a := range g.sources {
		for _, d := range g.sources[a].out {
			g.related[a][d.rel] = append(g.related[a][d.rel], g.sources[d.to].name)
			inv := d.rel.Inverse()
			g.related[d.to][inv] = append(g.related[d.to][inv], g.sources[a].name)
		}
	}
	for a := range g.related {
		for r := range g.related[a] {
			slices.Sort(g.related[a][r])
			g.related[a][r] = slices.Compact(g.related[a][r])
		}
	}
}
