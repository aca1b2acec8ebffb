package core

import (
	"cmp"
	"slices"

	"github.com/sysmaster-go/sysmaster/unit"
)

// node is Tarjan's book-keeping for one planned job.
type node struct {
	index, low int // index is -1 until the job was reached
	onStack    bool
	next       int // position in succ
	succ       []orderEdge
}

type orderEdge struct {
	to  *planned // must end before the node's own job
	pos unit.Pos
}

// ringSearch finds strongly connected sets (Tarjan, iterative: chains may be long).
type ringSearch struct {
	p           *plan
	stack, call []*planned
	index       int
	rings       [][]*planned
}

// rings lists the strongly connected sets of more than one job, each sorted by name.
func (p *plan) rings() [][]*planned {
	for _, j := range p.order {
		j.node = node{index: -1}
	}
	p.queued = nil
	s := ringSearch{p: p}
	for _, root := range p.order {
		if root.node.index < 0 {
			s.from(root)
		}
	}
	return s.rings
}

func (s *ringSearch) from(root *planned) {
	s.call = append(s.call[:0], root)
	for len(s.call) > 0 {
		j := s.call[len(s.call)-1]
		n := &j.node
		if n.index < 0 {
			n.index, n.low = s.index, s.index
			s.index++
			n.onStack = true
			s.stack = append(s.stack, j)
			n.succ = s.p.predecessors(j)
		}
		if n.next < len(n.succ) {
			k := n.succ[n.next].to
			n.next++
			if k.node.index < 0 {
				s.call = append(s.call, k)
			} else if k.node.onStack {
				n.low = min(n.low, k.node.index)
			}
			continue
		}
		s.call = s.call[:len(s.call)-1]
		if len(s.call) > 0 {
			up := &s.call[len(s.call)-1].node
			up.low = min(up.low, n.low)
		}
		if n.low == n.index {
			s.pop(j)
		}
	}
}

// pop takes the set whose first job is j off the stack.
func (s *ringSearch) pop(j *planned) {
	at := len(s.stack) - 1
	for s.stack[at] != j {
		at--
	}
	set := s.stack[at:]
	for _, k := range set {
		k.node.onStack = false
	}
	if len(set) > 1 {
		ring := slices.Clone(set)
		slices.SortFunc(ring, func(a, b *planned) int { return cmp.Compare(a.x.name, b.x.name) })
		s.rings = append(s.rings, ring)
	}
	s.stack = s.stack[:at]
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
