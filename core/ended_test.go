package core

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// steps is a unit with one process after the other: the end of one asks for the next.
type steps struct {
	toy
	proc unit.Proc
}

func (u *steps) Handle(tx *unit.Tx, ev unit.Event) {
	switch ev := ev.(type) {
	case unit.Start:
		u.state = up
		tx.Emit(unit.Spawn{Role: "first"})
	case unit.Spawned:
		u.proc = ev.Proc
	case unit.Exited:
		if ev.Proc == u.proc {
			u.proc = unit.Proc{}
			tx.Emit(unit.Spawn{Role: "second"})
		}
	}
}

func (u *steps) Procs(f func(string, unit.Proc)) {
	if !u.proc.IsZero() {
		f("main", u.proc)
	}
}

func (u *steps) Snapshot(buf []byte) []byte {
	e := unit.NewEncoder(buf)
	e.Uint(1, uint64(u.state.Active))
	e.Proc(2, u.proc)
	return e.Data()
}

func stepTypes() map[unit.Kind]*unit.Type {
	return map[unit.Kind]*unit.Type{unit.KindService: {
		Kind: unit.KindService, Version: 1, Keys: unit.NewKeySet(unit.CommonKeys()),
		New: func(*unit.Spec) (unit.Unit, error) { return &steps{toy: toy{state: down}}, nil },
		Restore: func(_ *unit.Spec, _ uint32, b []byte) (unit.Unit, error) {
			u := new(steps)
			d := unit.NewDecoder(b)
			for d.Next() {
				switch d.Tag() {
				case 1:
					u.state = stateOf(unit.ActiveState(d.Uint()))
				case 2:
					u.proc = d.Proc()
				}
			}
			return u, d.Err()
		},
	}}
}

// A core dies after it has committed that a process ended, and before it said so to init, who
// reports the end again: the probe of the Spawn that came of it is told whose it is, however often
// cores die.
func TestProbeKnowsWhoHasEnded(t *testing.T) {
	store := new(statetest.Mem)
	b := &bench{load: loader(parse(t, "a.service:"))}
	first := unit.Proc{PID: 7, Start: 70}
	config := func() Config {
		return Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: store, Types: stepTypes(), Observe: b.observe}
	}
	e, err := New(config())
	require.NoError(t, err)
	ask(e, b, OpJob{Unit: "a.service", Type: unit.JobStart})
	settleToy(t, e, b)
	spawn := b.acts[len(b.acts)-1]
	require.Equal(t, unit.Spawn{Role: "first"}, spawn.Effect)
	b.inputs = append(b.inputs, sys.Input{Unit: "a.service", Body: unit.Spawned{Seq: spawn.Seq, Proc: first}})
	settleToy(t, e, b)
	exit := sys.Input{ID: 4, Unit: "a.service", Body: unit.Exited{Proc: first}}

	b.inputs = append(b.inputs, exit)
	settleToy(t, e, b)
	for range 3 {
		store = store.Reopen()
		var asked []unit.Proc
		b = &bench{load: b.load, now: b.now, inputs: []sys.Input{exit}, probe: func(in sys.Intent) sys.Outcome {
			require.Equal(t, unit.Spawn{Role: "second"}, in.Effect)
			asked = in.Known
			return sys.Outcome{State: sys.NotDone}
		}}
		e, err = New(config())
		require.NoError(t, err)
		require.Equal(t, []unit.Proc{first}, asked)
		settleToy(t, e, b)
		require.True(t, slices.ContainsFunc(b.acts, func(in sys.Intent) bool { return typeName(in.Effect) == "Spawn" }))
	}
}
