package core

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// TestReadable: a new core shows what was committed before it has linked its units and asked what became of what was
// under way. What cannot be told by then waits.
func TestReadable(t *testing.T) {
	store := new(statetest.Mem)
	specs := parse(t, "a.service: Wants=missing.service\nb.service: Requires=a.service After=a.service")
	b := &bench{load: loader(specs)}
	recoverWith := func(checkpoint func(Stage) bool) (shown []*View, related, all, missing chan any, e *Engine, err error) {
		related, all, missing = make(chan any, 1), make(chan any, 1), make(chan any, 1)
		e, err = New(Config{World: sys.World{Clock: b, Source: b, Actor: b, Prober: b, Pulse: b}, Store: store,
			Types: toyTypes(), Boot: Boot{Unit: "b.service", Mode: unit.ModeReplace}, Observe: b.observe, Checkpoint: checkpoint,
			Readable: func(v *View) {
				shown = append(shown, v)
				require.Equal(t, unit.Active, v.Unit("a.service").State.Active)
				require.Equal(t, "running", v.SystemState())
				go func() { related <- v.Unit("a.service").Relations()[unit.RequiredBy] }()
				go func() { all <- v.Len() }()
				go func() { missing <- v.Unit("missing.service") != nil }()
			}})
		return shown, related, all, missing, e, err
	}
	b.now = 1e9
	shown, _, _, _, e, err := recoverWith(nil)
	require.NoError(t, err)
	require.Empty(t, shown, "nothing is stored")
	settleToy(t, e, b)
	want := e.View().Len()
	require.NotNil(t, e.View().Unit("missing.service"))

	shown, related, all, missing, e, err := recoverWith(nil)
	require.NoError(t, err)
	require.Len(t, shown, 1)
	require.NotSame(t, shown[0], e.View())
	require.Equal(t, []unit.Name{"b.service"}, <-related)
	require.Equal(t, want, <-all)
	require.Equal(t, true, <-missing)
	names := []unit.Name{}
	shown[0].Units(func(u *UnitView) bool { names = append(names, u.Name); return true })
	require.Contains(t, names, unit.Name("missing.service"))

	steps := 0
	shown, related, all, _, _, err = recoverWith(func(Stage) bool { steps++; return steps < 3 })
	require.ErrorIs(t, err, ErrCrashed)
	require.Len(t, shown, 1)
	require.Empty(t, <-related, "nobody waits for a core that is not to be")
	require.NotZero(t, <-all)
}
