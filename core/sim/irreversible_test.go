package sim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/unit"
)

// TestIrreversibleIsNoExcuse: while the store refuses commits a mode for shutting down starts nothing
// either. What was accepted before is held, what comes then is refused, and both can be stopped and killed;
// going down goes on.
func TestIrreversibleIsNoExcuse(t *testing.T) {
	for _, fault := range []sim.FaultKind{sim.FaultIO, sim.FaultReadOnly} {
		m, err := sim.New(sim.Config{Types: types(), Boot: "default.target", Mode: unit.ModeReplace, Seed: 1, Store: sim.StoreLog, Load: units(with(map[string]string{
			"default.target": "[Unit]\nWants=run.service\n", "run.service": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nExecStart=/bin/run\n",
			"slow.service": "[Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/bin/slow\n", "b.service": "[Unit]\nAfter=slow.service\n[Service]\nExecStart=/bin/b\n",
			"late.service":    "[Service]\nExecStart=/bin/late\n",
			"hook.service":    "[Unit]\nDefaultDependencies=no\nBefore=poweroff.service\n[Service]\nType=oneshot\nExecStart=/bin/hook\n",
			"shutdown.target": "[Unit]\nDefaultDependencies=no\nWants=hook.service\n",
		}))})
		require.NoError(t, err)
		m.Default(sim.Daemon())
		m.Program("/bin/run", sim.Program{Runs: sim.Forever, Ready: time.Millisecond, Ping: time.Second}) // the clock goes no further
		m.Program("/bin/hook", sim.Oneshot(time.Second))
		require.NoError(t, m.RunUntil(func() bool { return m.Active("run.service") }, time.Minute))
		irreversibly := func(n unit.Name) *core.Response {
			var r *core.Response
			m.Submit(&core.Request{Op: core.OpJob{Unit: n, Type: unit.JobStart, Mode: unit.ModeReplaceIrreversibly}, Reply: func(got core.Response) { r = &got }})
			require.NoError(t, m.RunUntil(func() bool { return r != nil }, time.Minute))
			return r
		}
		require.NoError(t, irreversibly("slow.service").Err)
		require.NoError(t, irreversibly("b.service").Err)
		require.NoError(t, m.RunUntil(func() bool { return m.Runs("/bin/slow") == 1 }, time.Minute))

		require.NoError(t, m.Fail(sim.Fault{Kind: fault}))
		for err = nil; err == nil; err = m.Do(unit.JobStart, "run.service", unit.ModeReplace) {
			require.NoError(t, m.Do(unit.JobStop, "run.service", unit.ModeReplace))
			require.Less(t, m.Runs("/bin/run"), 1000)
		}
		refused := irreversibly("late.service")
		require.ErrorIs(t, refused.Err, core.ErrStore, fault)
		m.KillProcess(m.Procs("slow.service")[0], 15) // what b waits for has ended
		require.NoError(t, m.Settle(10*time.Second))
		require.Zero(t, m.Runs("/bin/late"), fault)
		require.Zero(t, m.Runs("/bin/b"), "%s: its start is held", fault)

		// The store is whole again: what was held goes on, once, also if the core dies then.
		require.NoError(t, m.Fail(sim.Fault{Kind: fault, For: time.Second}))
		require.NoError(t, m.RunUntil(func() bool { return m.Active("b.service") && m.Runs("/bin/b") > 0 }, time.Minute))
		require.NoError(t, m.Crash())
		require.NoError(t, m.Settle(10*time.Second))
		require.Equal(t, 1, m.Runs("/bin/b"), fault)

		// Stopping and going down do not wait for it.
		require.NoError(t, m.Fail(sim.Fault{Kind: fault}))
		require.NoError(t, m.Do(unit.JobStop, "b.service", unit.ModeReplaceIrreversibly))
		require.Empty(t, m.Procs("b.service"))
		require.NoError(t, irreversibly("poweroff.target").Err, fault)
		require.NoError(t, m.RunUntil(func() bool { return m.Down() != nil }, time.Minute))
		require.Equal(t, 1, m.Runs("/bin/hook"), "%s: what belongs to going down is started", fault)
	}
}
