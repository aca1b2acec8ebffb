package core

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/state/statetest"
	"github.com/sysmaster-go/sysmaster/unit"
)

// TestLongTurnsGetFurther: whatever is done for many units in one turn says all the while that it gets further.
func TestLongTurnsGetFurther(t *testing.T) {
	const units = 40 * furtherEvery
	describe := func(more string) string {
		var b strings.Builder
		b.WriteString("all.target:")
		for i := range units {
			fmt.Fprintf(&b, " Wants=u%d.service", i)
		}
		for i := range units {
			fmt.Fprintf(&b, "\nu%d.service: After=all.target%s", i, more)
		}
		return b.String()
	}
	store := new(statetest.Mem)
	b := &bench{load: loader(parse(t, describe("")))}
	e := newToyEngine(t, b, store, "")
	longest := func(what string) {
		t.Helper()
		most := 0
		for _, n := range b.furthers {
			most = max(most, n)
		}
		require.GreaterOrEqual(t, most, units/furtherEvery, "%s: a turn over all units says so", what)
	}
	ask(e, b, OpLoad{Unit: "all.target"})
	settleToy(t, e, b)
	b.furthers = []int{0}
	_, _, err := e.Plan(OpJob{Unit: "all.target", Type: unit.JobStart, Mode: unit.ModeReplace})
	require.NoError(t, err)
	longest("plan")
	b.furthers = []int{0}
	r := ask(e, b, OpJob{Unit: "all.target", Type: unit.JobStart, Mode: unit.ModeReplace})
	settleToy(t, e, b)
	require.NoError(t, r.Err)
	longest("start")
	b.load = loader(parse(t, describe(" Before=shutdown.target")))
	b.furthers = []int{0}
	r = ask(e, b, OpReload{})
	settleToy(t, e, b)
	require.NoError(t, r.Err)
	longest("daemon-reload")
	b = &bench{load: b.load, furthers: []int{0}}
	e = newToyEngine(t, b, store.Reopen(), "")
	longest("recovery")
	require.Equal(t, unit.Active, e.lookup("all.target").state.Active)
}
