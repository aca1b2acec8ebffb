package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// node is one unit of the graph.
type node struct {
	spec *unit.Spec
	typ  *unit.Type
	deps []unit.Dep // from files and from the kind
	root bool       // it is one of those that are verified

	unit         unit.Unit // nil: it cannot be made
	err          error     // why
	withDefaults bool      // DefaultDependencies=yes

	next       []edge
	index, low int // in the search, from 1
	onStack    bool
}

// edge: to is started later.
type edge struct {
	to  *node
	pos unit.Pos
}

// node loads a unit, once under all its names.
func (k *check) node(name unit.Name) *node {
	if n := k.nodes[name]; n != nil {
		return n
	}
	spec := k.Loader.Load(name)
	if n := k.nodes[spec.Name]; n != nil {
		k.nodes[name] = n
		return n
	}
	n := &node{spec: spec, typ: k.Types[spec.Name.Kind()]}
	k.nodes[name], k.nodes[spec.Name] = n, n
	k.order = append(k.order, n)
	if n.typ == nil || spec.Load != unit.LoadLoaded {
		return n
	}
	common := unit.NewCommon()
	if err := unit.Decode(spec, k.common, &common); err == nil {
		n.withDefaults = common.DefaultDependencies
	}
	n.make()
	return n
}

// make has the kind do what the manager has it do before a first start. A kind that panics is told, and costs this unit.
func (n *node) make() {
	defer func() {
		if p := recover(); p != nil {
			n.unit, n.err = nil, fmt.Errorf("internal error: %v", p)
		}
	}()
	n.deps = slices.Clone(n.spec.Deps)
	if n.typ.Implied != nil {
		n.deps = append(n.deps, n.typ.Implied(n.spec)...)
	}
	n.unit, n.err = n.typ.New(n.spec)
}

// startable units get a job when something pulls them in.
func (n *node) startable() bool {
	return n.typ != nil && n.spec.Load == unit.LoadLoaded && n.err == nil
}

// pulls: a start of the one starts the other.
func pulls(r unit.Relation) bool {
	return r == unit.Requires || r == unit.Wants || r == unit.BindsTo || r == unit.Upholds
}

// isMember: by these relations a target has members, which it is after.
func isMember(r unit.Relation) bool { return pulls(r) || r == unit.Requisite || r == unit.PartOf }

// together lists what gets a job with roots.
func (k *check) together(roots ...*node) []*node {
	list, seen := slices.Clone(roots), make(map[*node]bool)
	for _, n := range roots {
		seen[n] = true
	}
	var only []*node // looked at, and not started
	for i := 0; i < len(list); i++ {
		for _, d := range list[i].deps {
			if d.Unit == "" || !pulls(d.Rel) && d.Rel != unit.Requisite {
				continue
			}
			m := k.node(d.Unit)
			switch {
			case !m.startable() || seen[m]:
			case d.Rel == unit.Requisite:
				only = append(only, m)
			default:
				seen[m] = true
				list = append(list, m)
			}
		}
	}
	for _, m := range only {
		if !seen[m] {
			seen[m] = true
			list = append(list, m)
		}
	}
	k.steps += len(list)
	return list
}

// maxSteps bounds how many units are visited for cycles. What is not looked at then is told as what may be.
const maxSteps = 500_000

// cycles looks for rings among the units that each root starts.
func (k *check) cycles(roots []*node) {
	roots = slices.DeleteFunc(roots, func(n *node) bool { return !n.startable() })
	suspects := make(map[*node]bool) // if all were started together
	all := k.rings(k.together(roots...))
	for _, ring := range all {
		for _, n := range ring {
			suspects[n] = true
		}
	}
	if len(suspects) == 0 {
		return
	}
	told := make(map[string]bool)
	guilty := make(map[*node]bool)
	for _, root := range roots {
		if k.steps > maxSteps {
			break
		}
		list := slices.DeleteFunc(k.together(root), func(n *node) bool { return !suspects[n] })
		for _, ring := range k.rings(list) {
			k.cycle(ring, "", told)
			for _, n := range ring {
				guilty[n] = true
			}
		}
	}
	if k.steps <= maxSteps {
		return
	}
	for _, ring := range k.rings(k.together(roots...)) {
		if !slices.ContainsFunc(ring, func(n *node) bool { return guilty[n] }) {
			k.cycle(ring, ", if they are started together", told)
		}
	}
}

// link makes the edges among list.
func (k *check) link(list []*node) {
	in := make(map[*node]bool, len(list))
	for _, n := range list {
		in[n] = true
		n.next, n.index, n.low, n.onStack = n.next[:0], 0, 0, false
	}
	before := func(a, b *node, pos unit.Pos) {
		if a != b && in[a] && in[b] {
			a.next = append(a.next, edge{b, pos})
		}
	}
	for _, n := range list {
		for _, d := range n.deps {
			if d.Unit == "" {
				continue
			}
			m := k.nodes[d.Unit]
			if m == nil || !in[m] {
				continue
			}
			switch d.Rel {
			case unit.After:
				before(m, n, d.Pos)
			case unit.Before:
				before(n, m, d.Pos)
			}
		}
	}
	for _, n := range list { // a target is after what it pulls in, unless that is ordered the other way (systemd.target(5))
		if !n.typ.AfterMembers || !n.withDefaults {
			continue
		}
		first := make(map[*node]bool, len(n.next))
		for _, e := range n.next {
			first[e.to] = true
		}
		for _, d := range n.deps {
			m := k.nodes[d.Unit]
			if d.Unit == "" || m == nil || !in[m] || !isMember(d.Rel) || !m.withDefaults {
				continue
			}
			if !first[m] {
				before(m, n, d.Pos)
			}
		}
	}
	for _, n := range list {
		slices.SortStableFunc(n.next, func(a, b edge) int { return cmp.Compare(a.to.spec.Name, b.to.spec.Name) })
	}
}

// rings are the strongly connected sets of more than one unit (Tarjan), each sorted by name. Without recursion, since files may
// make chains of any length.
func (k *check) rings(list []*node) (rings [][]*node) {
	k.link(list)
	type frame struct {
		n    *node
		next int
	}
	var stack []*node
	count := 0
	for _, root := range list {
		if root.index != 0 {
			continue
		}
		calls := []frame{{root, 0}}
		for len(calls) > 0 {
			f := &calls[len(calls)-1]
			n := f.n
			if n.index == 0 {
				count++
				n.index, n.low, n.onStack = count, count, true
				stack = append(stack, n)
			}
			if f.next < len(n.next) {
				m := n.next[f.next].to
				f.next++
				if m.index == 0 {
					calls = append(calls, frame{m, 0})
				} else if m.onStack {
					n.low = min(n.low, m.index)
				}
				continue
			}
			calls = calls[:len(calls)-1]
			if len(calls) > 0 {
				up := calls[len(calls)-1].n
				up.low = min(up.low, n.low)
			}
			if n.low != n.index {
				continue
			}
			at := len(stack) - 1
			for stack[at] != n {
				at--
			}
			ring := slices.Clone(stack[at:])
			stack = stack[:at]
			for _, m := range ring {
				m.onStack = false
			}
			if len(ring) > 1 {
				slices.SortFunc(ring, func(a, b *node) int { return cmp.Compare(a.spec.Name, b.spec.Name) })
				rings = append(rings, ring)
			}
		}
	}
	return rings
}

// cycle tells of one shortest way around a ring, from its first unit, once.
func (k *check) cycle(ring []*node, condition string, told map[string]bool) {
	in := make(map[*node]bool, len(ring))
	for _, n := range ring {
		in[n] = true
	}
	start := ring[0]
	type step struct {
		from *node
		pos  unit.Pos
	}
	came := map[*node]step{}
	var last step
	for queue := []*node{start}; last.from == nil; queue = queue[1:] {
		n := queue[0]
		for _, e := range n.next {
			if e.to == start {
				last = step{n, e.pos}
				break
			}
			if _, seen := came[e.to]; in[e.to] && !seen {
				came[e.to] = step{n, e.pos}
				queue = append(queue, e.to)
			}
		}
	}
	way := []Place{{start.spec.Name, last.pos}} // each with the line that has it come after the one before
	for n := last.from; n != start; n = came[n].from {
		way = append(way, Place{n.spec.Name, came[n].pos})
	}
	slices.Reverse(way)
	var text strings.Builder
	text.WriteString("ordering cycle: " + string(start.spec.Name))
	for i, p := range way {
		if i == maxWay {
			text.WriteString(" ...")
			break
		}
		text.WriteString(" before " + string(p.Unit))
		if at := p.Pos.String(); at != "" {
			text.WriteString(" (" + at + ")")
		}
	}
	text.WriteString(condition)
	if told[text.String()] {
		return
	}
	told[text.String()] = true
	pos := unit.Pos{}
	for _, p := range way {
		if pos = p.Pos; pos.File != "" {
			break
		}
	}
	k.report.Problems = append(k.report.Problems, Problem{
		Rule: RuleCycle, Severity: unit.Error, Place: Place{start.spec.Name, pos}, Text: text.String(), Related: way[:min(len(way), maxWay)],
	})
}

// maxWay is how many steps of a cycle are told.
const maxWay = 100
