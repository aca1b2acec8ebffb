package core

import (
	"cmp"
	"slices"

	"github.com/sysmaster-go/sysmaster/unit"
)

// Ordering cycles. Jobs that wait for each other in a ring would wait for ever. In each ring
// (strongly connected set) the job gives way that only Wants pulled in and that is farthest
// from the request, ties by name. If every job of the ring is required, an interactive
// request is refused; otherwise the ring's units are left out and the rest goes on. Each
// ring is reported once, with the file and line of every edge of one way around it.

// node is Tarjan's book-keeping for one planned job.
type node struct {
	index, low int
	onStack    bool
	next       int // position in succ
	succ       []orderEdge
}

type orderEdge struct {
	to  *planned // must end before the node's own job
	pos unit.Pos
}

// breakCycles removes jobs until the order is free of cycles.
func (p *plan) breakCycles() error {
	for {
		rings := p.rings()
		if len(rings) == 0 {
			return nil
		}
		for _, ring := range rings {
			if err := p.breakRing(ring); err != nil {
				return err
			}
		}
		if p.anchor.dead {
			return p.anchor.err
		}
		p.afterRemoval()
	}
}

func (p *plan) breakRing(ring []*planned) error {
	cycle := &CycleError{Path: cyclePath(ring)}
	var victim *planned
	for _, j := range ring {
		if j.x == p.anchor.x || slices.ContainsFunc(j.in, func(d pull) bool { return d.matters && !d.p.dead }) {
			continue
		}
		if victim == nil || j.depth > victim.depth || j.depth == victim.depth && j.x.name < victim.x.name {
			victim = j
		}
	}
	if victim != nil {
		p.notes = append(p.notes, "job "+string(victim.x.name)+"/"+victim.typ.String()+" left out: "+cycle.Error())
		p.killUnit(victim.x, cycle)
		return nil
	}
	if p.op.Manual || slices.ContainsFunc(ring, func(j *planned) bool { return j.x == p.anchor.x }) {
		return cycle
	}
	p.notes = append(p.notes, "all units of a cycle are required, all are left out: "+cycle.Error())
	for _, j := range ring {
		for _, o := range p.jobs {
			if o.x == j.x { // those that require it go on: their own start will say what is missing
				o.dead, o.err = true, cycle
			}
		}
	}
	return nil
}

func (p *plan) killUnit(x *entry, err error) {
	for _, j := range p.jobs {
		if j.x == x && !j.dead {
			p.kill(j, err)
		}
	}
}

// afterRemoval brings the merged list in step with the jobs that are left.
func (p *plan) afterRemoval() {
	p.prune()
	left := make(map[*entry]bool)
	for _, j := range p.jobs {
		left[j.x] = true
	}
	p.order = slices.DeleteFunc(p.order, func(j *planned) bool {
		if left[j.x] {
			return false
		}
		delete(p.merged, j.x)
		return true
	})
}

// predecessors lists what must end before j: jobs of the plan by the rule of waitsFor.
func (p *plan) predecessors(j *planned) []orderEdge {
	var out []orderEdge
	a := &job{typ: j.typ}
	for _, d := range j.x.edges[unit.After] {
		if o := p.merged[d.to]; o != nil && waitsFor(a, &job{typ: o.typ}, true) {
			out = append(out, orderEdge{o, d.pos})
		}
	}
	for _, d := range j.x.edges[unit.Before] {
		if o := p.merged[d.to]; o != nil && waitsFor(a, &job{typ: o.typ}, false) {
			out = append(out, orderEdge{o, d.pos})
		}
	}
	return out
}

// rings finds the strongly connected sets of more than one job (Tarjan, iterative).
func (p *plan) rings() [][]*planned {
	for _, j := range p.order {
		j.node = node{index: -1}
	}
	var rings [][]*planned
	var stack, call []*planned
	index := 0
	for _, root := range p.order {
		if root.node.index >= 0 {
			continue
		}
		call = append(call[:0], root)
		for len(call) > 0 {
			j := call[len(call)-1]
			n := &j.node
			if n.index < 0 {
				n.index, n.low = index, index
				index++
				n.onStack = true
				stack = append(stack, j)
				n.succ = p.predecessors(j)
			}
			if n.next < len(n.succ) {
				k := n.succ[n.next].to
				n.next++
				if k.node.index < 0 {
					call = append(call, k)
				} else if k.node.onStack {
					n.low = min(n.low, k.node.index)
				}
				continue
			}
			call = call[:len(call)-1]
			if len(call) > 0 {
				up := &call[len(call)-1].node
				up.low = min(up.low, n.low)
			}
			if n.low != n.index {
				continue
			}
			at := slices.Index(stack, j)
			if len(stack)-at > 1 {
				ring := slices.Clone(stack[at:])
				slices.SortFunc(ring, func(a, b *planned) int { return cmp.Compare(a.x.name, b.x.name) })
				rings = append(rings, ring)
			}
			for _, k := range stack[at:] {
				k.node.onStack = false
			}
			stack = stack[:at]
		}
	}
	return rings
}

// cyclePath walks once around a ring, from its first unit by name, breadth first, so that
// the way is a shortest one.
func cyclePath(ring []*planned) []Edge {
	in := make(map[*planned]bool, len(ring))
	for _, j := range ring {
		in[j] = true
	}
	start := ring[0]
	came := map[*planned]*planned{}
	by := map[*planned]unit.Pos{}
	queue := []*planned{start}
	for len(queue) > 0 {
		j := queue[0]
		queue = queue[1:]
		for _, s := range j.node.succ {
			if !in[s.to] {
				continue
			}
			if s.to == start {
				path := []Edge{{start.x.name, j.x.name, s.pos}}
				for k := j; k != start; k = came[k] {
					path = append(path, Edge{k.x.name, came[k].x.name, by[k]})
				}
				return path
			}
			if came[s.to] == nil {
				came[s.to], by[s.to] = j, s.pos
				queue = append(queue, s.to)
			}
		}
	}
	return nil
}
