package core

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// graphOf loads specifications without files, in the given order.
func graphOf(t testing.TB, specs []*unit.Spec) (*Engine, *bench) {
	t.Helper()
	byName := make(map[unit.Name]*unit.Spec, len(specs))
	for _, s := range specs {
		byName[s.Name] = s
	}
	b := &bench{load: func(n unit.Name) *unit.Spec {
		if s := byName[n]; s != nil {
			return s
		}
		return &unit.Spec{Name: n, Load: unit.LoadNotFound}
	}}
	e := newToyEngine(t, b, new(statetest.Mem), "")
	for _, s := range specs {
		ask(e, b, OpLoad{Unit: s.Name})
	}
	settleToy(t, e, b)
	return e, b
}

func name(i int) unit.Name { return unit.Name(fmt.Sprintf("u%05d.service", i)) }

func dep(r unit.Relation, n unit.Name, line int) unit.Dep {
	return unit.Dep{Rel: r, Unit: n, Pos: unit.Pos{File: "/u/file", Line: line}}
}

func spec(n unit.Name, deps ...unit.Dep) *unit.Spec {
	return &unit.Spec{Name: n, Load: unit.LoadLoaded, Deps: deps}
}

// randomGraph makes n units that unit 0 reaches, with a few rings.
func randomGraph(r *rand.Rand, n int) []*unit.Spec {
	specs := make([]*unit.Spec, n)
	for i := range specs {
		specs[i] = spec(name(i))
	}
	add := func(from int, rel unit.Relation, to int) {
		if from != to {
			specs[from].Deps = append(specs[from].Deps, dep(rel, name(to), len(specs[from].Deps)+1))
		}
	}
	for i := 1; i < n; i++ {
		rel := unit.Wants
		if r.IntN(4) == 0 {
			rel = unit.Requires
		}
		add(r.IntN(i), rel, i)
	}
	for range n {
		a, b := r.IntN(n), r.IntN(n)
		if a > b && r.IntN(6) != 0 { // mostly one way, so that rings stay few
			a, b = b, a
		}
		add(a, unit.After, b)
		if r.IntN(3) == 0 {
			add(a, unit.Requires, b)
		}
	}
	return specs
}

// reach lists what can be reached from i by edges.
func reach(edges map[unit.Name][]unit.Name, from unit.Name) map[unit.Name]bool {
	seen := map[unit.Name]bool{}
	todo := slices.Clone(edges[from])
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !seen[n] {
			seen[n] = true
			todo = append(todo, edges[n]...)
		}
	}
	return seen
}

// TestCyclesOfRandomGraphs holds the rule of the cycle's comment against random graphs.
func TestCyclesOfRandomGraphs(t *testing.T) {
	rings := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		specs := randomGraph(r, 8+r.IntN(60))
		after, pulls, requires := map[unit.Name][]unit.Name{}, map[unit.Name][]unit.Name{}, map[unit.Name][]unit.Name{}
		for _, s := range specs {
			for _, d := range s.Deps {
				switch d.Rel {
				case unit.After:
					after[s.Name] = append(after[s.Name], d.Unit)
				case unit.Requires:
					requires[s.Name] = append(requires[s.Name], d.Unit)
					fallthrough
				case unit.Wants:
					pulls[s.Name] = append(pulls[s.Name], d.Unit)
				}
			}
		}
		e, _ := graphOf(t, specs)
		op := OpJob{Unit: name(0), Type: unit.JobStart, Mode: unit.ModeReplace}
		got, notes, err := plannedJobs(e, op)
		var cycle *CycleError
		if errors.As(err, &cycle) { // the requested unit is needed by a ring of required units
			requireReported(t, cycle.Error())
			continue
		}
		require.NoError(t, err, "seed %d", seed)
		in := map[unit.Name]bool{}
		for _, w := range strings.Fields(got) {
			n, _, _ := strings.Cut(w, "/")
			in[unit.Name(n)] = true
		}
		left := map[unit.Name][]unit.Name{}
		for n := range in {
			for _, m := range after[n] {
				if in[m] {
					left[n] = append(left[n], m)
				}
			}
		}
		live := map[unit.Name][]unit.Name{} // what the units in the plan pull in
		for n := range in {
			live[n] = pulls[n]
			require.False(t, reach(left, n)[n], "seed %d: %s waits for itself", seed, n)
		}
		wanted := reach(live, name(0))
		for _, s := range specs {
			if in[s.Name] || reach(after, s.Name)[s.Name] || !wanted[s.Name] {
				continue // there, on a cycle, or nobody in the plan asks for it
			}
			needsDropped := false
			for n := range reach(requires, s.Name) {
				needsDropped = needsDropped || !in[n]
			}
			require.True(t, needsDropped, "seed %d: innocent %s is left out: %v", seed, s.Name, notes)
		}
		for _, n := range notes {
			if strings.Contains(n, "ordering cycle") {
				rings++
				requireReported(t, n)
			}
		}
		for _, s := range specs { // nothing is left out silently
			if !in[s.Name] && wanted[s.Name] {
				require.Contains(t, strings.Join(notes, "\n"), string(s.Name), "seed %d", seed)
			}
		}
		r.Shuffle(len(specs), func(i, j int) { specs[i], specs[j] = specs[j], specs[i] })
		f, _ := graphOf(t, specs)
		again, _, err := plannedJobs(f, op)
		require.NoError(t, err)
		require.Equal(t, got, again, "seed %d: the order of loading shows", seed)
	}
	t.Logf("%d rings", rings)
	require.Greater(t, rings, 100)
}

// requireReported: every edge with its file and line.
func requireReported(t *testing.T, text string) {
	t.Helper()
	edges := strings.Count(text, " before ")
	require.Positive(t, edges, text)
	require.GreaterOrEqual(t, strings.Count(text, "(/u/file:"), edges, text)
}

func TestCycleOfRequiredUnits(t *testing.T) {
	const units = `a.target: Requires=b.service Wants=x.service
		b.service: Requires=c.service After=c.service
		c.service: Requires=d.service After=d.service
		d.service: After=b.service
		x.service: Requires=b.service`
	e, b := loaded(t, units, nil)
	_, _, err := e.Plan(OpJob{Unit: "a.target", Type: unit.JobStart, Mode: unit.ModeReplace, Manual: true})
	var cycle *CycleError
	require.ErrorAs(t, err, &cycle)
	require.ErrorIs(t, err, ErrTransactionLoop)
	require.Len(t, cycle.Path, 3)
	for _, s := range cycle.Path {
		require.NotZero(t, s.Pos.Line)
	}
	got, notes, err := plannedJobs(e, OpJob{Unit: "a.target", Type: unit.JobStart, Mode: unit.ModeReplace})
	require.NoError(t, err)
	require.Equal(t, "a.target/start! x.service/start", got)
	require.Contains(t, strings.Join(notes, "\n"), "b.service before")
	r := ask(e, b, OpJob{Unit: "a.target", Type: unit.JobStart, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	require.NoError(t, r.Err)
	require.Equal(t, unit.Active, e.lookup("a.target").state.Active)
}

func TestFarthestWantedGivesWay(t *testing.T) {
	e, _ := loaded(t, `a.target: Wants=b.service
		b.service: Wants=c.service After=d.service
		c.service: Wants=d.service Wants=e.service After=b.service
		d.service: After=c.service
		e.service: After=c.service Before=b.service`, nil)
	got, notes, err := plannedJobs(e, OpJob{Unit: "a.target", Type: unit.JobStart, Mode: unit.ModeReplace, Manual: true})
	require.NoError(t, err)
	// d and e are equally far; d goes first by name, then e closes another ring.
	require.Equal(t, "a.target/start! b.service/start c.service/start", got)
	require.Len(t, slices.DeleteFunc(notes, func(n string) bool { return !strings.Contains(n, "left out") }), 2)
}

// TestCycleWithWhatIsUpIsNone: units that need no job are in nobody's way.
func TestCycleWithWhatIsUpIsNone(t *testing.T) {
	const units = "a.service: Requires=b.service After=b.service\nb.service: Requires=c.service After=c.service\nc.service: After=a.service"
	e, _ := loaded(t, units, states{"c.service": unit.Active})
	got, _, err := plannedJobs(e, OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeReplace, Manual: true})
	require.NoError(t, err)
	require.Equal(t, "a.service/start! b.service/start!", got)
}

// TestCycleWithAQueuedJob: a ring that a new plan closes with a job of an earlier one is
// found too, and the earlier job stays.
func TestCycleWithAQueuedJob(t *testing.T) {
	const units = `block.service:
		a.service: After=block.service After=c.service
		b.service: After=a.service Wants=c.service
		c.service: After=b.service`
	e, b := loaded(t, units, states{"block.service": unit.Activating})
	ask(e, b, OpJob{Unit: "block.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	ask(e, b, OpJob{Unit: "a.service", Type: unit.JobStart, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	require.NotNil(t, e.lookup("a.service").job)
	got, notes, err := plannedJobs(e, OpJob{Unit: "b.service", Type: unit.JobStart, Mode: unit.ModeReplace, Manual: true})
	require.NoError(t, err)
	require.Equal(t, "b.service/start!", got, "c gives way: %v", notes)
}

func chain(n int, closed bool) []*unit.Spec {
	specs := make([]*unit.Spec, n)
	for i := range specs {
		specs[i] = spec(name(i))
		if i+1 < n {
			specs[i].Deps = []unit.Dep{dep(unit.Wants, name(i+1), 1), dep(unit.After, name(i+1), 2)}
		} else if closed {
			specs[i].Deps = []unit.Dep{dep(unit.After, name(1), 1)}
		}
	}
	return specs
}

// TestBigCyclesAndChains: nothing recurses, and nothing is quadratic where it can be helped: four times as
// many units take far less than sixteen times as long.
func TestBigCyclesAndChains(t *testing.T) {
	grows := func(what string, n int, prepare func(n int) (do func())) {
		var took [2]time.Duration
		for i, n := range [...]int{n / 4, n} {
			do := prepare(n)
			runtime.GC()
			before := processorTime(t)
			do()
			took[i] = processorTime(t) - before
		}
		t.Logf("%s: %v with %d, %v with %d", what, took[0], n/4, took[1], n)
		require.Less(t, took[1], 10*took[0]+50*time.Millisecond, what)
	}
	many := 100_000
	if raced {
		many = 20_000
	}
	op := OpJob{Unit: name(0), Type: unit.JobStart, Mode: unit.ModeReplace}
	grows("ring", many/10, func(n int) func() {
		ring, _ := graphOf(t, chain(n, true))
		return func() {
			jobs, notes, err := ring.Plan(op)
			require.NoError(t, err)
			require.Len(t, jobs, n-1)
			require.Len(t, notes, 2)
		}
	})
	var knot []*unit.Spec // everything After its neighbour on both sides, wanted by the first
	for i := range 3_000 {
		s := spec(name(i))
		if i == 0 {
			for k := 1; k < 3_000; k++ {
				s.Deps = append(s.Deps, dep(unit.Wants, name(k), k))
			}
		} else {
			s.Deps = append(s.Deps, dep(unit.After, name(1+i%2_999), 1), dep(unit.After, name(1+(i*7)%2_999), 2), dep(unit.Before, name(1+(i*13)%2_999), 3))
		}
		knot = append(knot, s)
	}
	k, _ := graphOf(t, knot)
	_, _, err := k.Plan(op) // rings by the thousand: that it ends
	require.NoError(t, err)
	grows("plan of a chain", many, func(n int) func() {
		long, _ := graphOf(t, chain(n, false))
		return func() {
			jobs, _, err := long.Plan(op)
			require.NoError(t, err)
			require.Len(t, jobs, n)
		}
	})
	grows("start of a chain", many, func(n int) func() {
		long, b := graphOf(t, chain(n, false))
		return func() {
			r := ask(long, b, op)
			settleToy(t, long, b)
			require.NoError(t, r.Err)
			require.Equal(t, unit.Active, long.lookup(name(0)).state.Active)
			require.Empty(t, long.jobs)
		}
	})
}

// processorTime is what this process has used, which does not depend on what else runs.
func processorTime(t *testing.T) time.Duration {
	var u unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
