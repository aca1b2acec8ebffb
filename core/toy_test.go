package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// toy is a unit that does at once what it is told, and can be made to panic.
type toy struct {
	state unit.State
	panic string // where: "handle", "state", "snapshot"
}

func (u *toy) Handle(tx *unit.Tx, ev unit.Event) {
	if u.panic == "handle" {
		panic("toy")
	}
	switch ev.(type) {
	case unit.Start:
		u.state = up
	case unit.Stop:
		u.state = down
	case unit.Reload:
		tx.ReloadDone(true)
	}
}

func (u *toy) State() unit.State {
	if u.panic == "state" {
		panic("toy")
	}
	return u.state
}

func (u *toy) Snapshot(buf []byte) []byte {
	if u.panic == "snapshot" {
		panic("toy")
	}
	return append(buf, byte(u.state.Active)+1)
}

func (u *toy) Props() []unit.Value { return nil }

// stiff is a toy that cannot reload; eternal one that cannot be stopped.
type stiff struct{ toy }

func (u *stiff) CanReload() bool { return false }

type eternal struct{ toy }

func (u *eternal) Perpetual() bool { return true }

var (
	up   = unit.State{Active: unit.Active, Sub: "active", Result: "success"}
	down = unit.State{Active: unit.Inactive, Sub: "dead", Result: "success"}
)

func stateOf(a unit.ActiveState) unit.State { return unit.State{Active: a, Sub: a.String()} }

func toyTypes() map[unit.Kind]*unit.Type {
	m := make(map[unit.Kind]*unit.Type)
	for _, k := range []unit.Kind{unit.KindService, unit.KindTarget, unit.KindSocket, "stiff", "eternal"} {
		made := func() unit.Unit {
			switch k {
			case "stiff":
				return &stiff{toy{state: down}}
			case "eternal":
				return &eternal{toy{state: down}}
			}
			return &toy{state: down}
		}
		m[k] = &unit.Type{
			Kind: k, Version: 1, Keys: unit.NewKeySet(unit.CommonKeys()), AfterMembers: k == unit.KindTarget,
			StartLimit: k == unit.KindService,
			New:        func(*unit.Spec) (unit.Unit, error) { return made(), nil },
			Restore: func(_ *unit.Spec, _ uint32, b []byte) (unit.Unit, error) {
				if len(b) != 1 || b[0] == 0 {
					return nil, unit.ErrSnapshot
				}
				u := made()
				s := stateOf(unit.ActiveState(b[0] - 1))
				switch u := u.(type) {
				case *toy:
					u.state = s
				case *stiff:
					u.state = s
				case *eternal:
					u.state = s
				}
				return u, nil
			},
		}
	}
	return m
}

// bench is the world of a toy engine: what was asked of it, and what it will say.
type bench struct {
	deaf   bool // effects are neither done nor noted: for benchmarks
	now    time.Duration
	acts   []sys.Intent
	inputs []sys.Input
	acked  []uint64
	load   func(unit.Name) *unit.Spec // nil: loads are never answered
	probe  func(sys.Intent) sys.Outcome

	remains  func(sys.Intent) sys.Remains
	furthers []int    // calls of Further since each Turned
	told     []string // messages
	pid      int      // of the last process that playHost made
	events   []Event
}

func (b *bench) Now() unit.Stamp { return unit.Stamp{Real: b.now, Mono: b.now, Boot: b.now} }
func (b *bench) Peek(buf []sys.Input, most int) []sys.Input {
	n := min(most, len(b.inputs))
	buf = append(buf, b.inputs[:n]...)
	b.inputs = b.inputs[n:]
	return buf
}
func (b *bench) Ack(ids []uint64)    { b.acked = append(b.acked, ids...) }
func (b *bench) Wait(time.Duration)  {}
func (b *bench) Turned(uint64, bool) { b.furthers = append(b.furthers, 0) }
func (b *bench) Further() {
	if len(b.furthers) > 0 {
		b.furthers[len(b.furthers)-1]++
	}
}
func (b *bench) Probe(in sys.Intent) sys.Outcome {
	if b.probe == nil {
		return sys.Outcome{}
	}
	return b.probe(in)
}

func (b *bench) Remains(in sys.Intent) sys.Remains {
	if b.remains == nil {
		return sys.Remains{}
	}
	return b.remains(in)
}

func (b *bench) Act(in sys.Intent) {
	if b.deaf {
		return
	}
	b.acts = append(b.acts, in)
	if l, ok := in.Effect.(sys.Load); ok && b.load != nil {
		specs := make([]*unit.Spec, len(l.Names))
		for i, n := range l.Names {
			specs[i] = b.load(n)
		}
		b.inputs = append(b.inputs, sys.Input{Body: sys.Loaded{Seq: in.Seq, Specs: specs}})
	}
}

func (b *bench) observe(ev Event) {
	b.events = append(b.events, ev)
	if m, ok := ev.(Message); ok {
		b.told = append(b.told, string(m.Unit)+": "+m.Text)
	}
}

func newToyEngine(t testing.TB, b *bench, store state.Store, boot unit.Name) *Engine {
	t.Helper()
	if b.now == 0 {
		b.now = time.Second
	}
	e, err := New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: store,
		Types: toyTypes(), Boot: Boot{Unit: boot, Mode: unit.ModeReplace}, Observe: b.observe})
	require.NoError(t, err)
	return e
}

// parse makes specifications from lines "name: Key=value Key=value"; keys of relations give
// dependencies, "Load=masked" and the like the load state, "Alias=x" a further name.
func parse(t testing.TB, text string) map[unit.Name]*unit.Spec {
	t.Helper()
	relations := make(map[string]unit.Relation)
	for r := unit.Relation(0); r < unit.NumRelations; r++ {
		relations[r.String()] = r
	}
	specs := make(map[unit.Name]*unit.Spec)
	for i, line := range strings.Split(text, "\n") {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "" {
			continue
		}
		s := &unit.Spec{Name: unit.Name(name), Load: unit.LoadLoaded, FragmentPath: "/u/" + name}
		for _, w := range strings.Fields(rest) {
			k, v, ok := strings.Cut(w, "=")
			require.True(t, ok, line)
			pos := unit.Pos{File: "/u/" + name, Line: i + 1}
			if r, isRel := relations[k]; isRel {
				s.Deps = append(s.Deps, unit.Dep{Rel: r, Unit: unit.Name(v), Pos: pos})
			} else if k == "Load" {
				s.Load = unit.LoadState(v)
			} else if k == "Alias" {
				s.Aliases = append(s.Aliases, unit.Name(v))
			} else {
				s.Settings = append(s.Settings, unit.Setting{Section: "Unit", Key: k, Value: v, Pos: pos})
			}
		}
		specs[s.Name] = s
	}
	return specs
}

func loader(specs map[unit.Name]*unit.Spec) func(unit.Name) *unit.Spec {
	return func(n unit.Name) *unit.Spec {
		if s := specs[n]; s != nil {
			return s
		}
		for _, s := range specs {
			for _, a := range s.Aliases {
				if a == n {
					return s
				}
			}
		}
		return &unit.Spec{Name: n, Load: unit.LoadNotFound}
	}
}

// loaded makes an engine that has loaded everything that text tells of, all down but what
// states says.
func loaded(t testing.TB, text string, states map[unit.Name]unit.ActiveState) (*Engine, *bench) {
	t.Helper()
	specs := parse(t, text)
	b := &bench{load: loader(specs)}
	e := newToyEngine(t, b, new(statetest.Mem), "")
	for _, s := range specs {
		ask(e, b, OpLoad{Unit: s.Name})
	}
	settleToy(t, e, b)
	for n, a := range states {
		put(t, e, n, a)
	}
	return e, b
}

// put sets a toy's state behind everybody's back.
func put(t testing.TB, e *Engine, n unit.Name, a unit.ActiveState) {
	t.Helper()
	x := e.lookup(n)
	require.NotNil(t, x, n)
	switch u := x.u.(type) {
	case *toy:
		u.state = stateOf(a)
	case *stiff:
		u.state = stateOf(a)
	case *eternal:
		u.state = stateOf(a)
	}
	e.setState(x, stateOf(a))
	e.touch(x)
}

// ask queues a request and returns where its answer will be.
func ask(_ *Engine, b *bench, op any) *Response {
	r := &Response{Err: errNoAnswer}
	b.inputs = append(b.inputs, sys.Input{Body: sys.Request{Body: &Request{Op: op, Reply: func(got Response) { *r = got }}}})
	return r
}

var errNoAnswer = fmt.Errorf("no answer yet")

// settleToy turns until nothing is left to do.
func settleToy(t testing.TB, e *Engine, b *bench) {
	t.Helper()
	for range 10000 {
		more, err := e.Step()
		require.NoError(t, err)
		if !more && len(b.inputs) == 0 {
			return
		}
	}
	t.Fatal("the engine does not settle")
}

// plannedJobs shows a plan as "unit/type" words; jobs that matter carry "!".
func plannedJobs(e *Engine, op OpJob) (string, []string, error) {
	jobs, notes, err := e.Plan(op)
	words := make([]string, len(jobs))
	for i, j := range jobs {
		words[i] = string(j.Unit) + "/" + j.Type.String()
		if j.Matters {
			words[i] += "!"
		}
	}
	return strings.Join(words, " "), notes, err
}
