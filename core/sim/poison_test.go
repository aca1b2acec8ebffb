package sim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/unit"
)

// TestFilesChangeWhileTheCoreIsDead: nothing of it is seen until daemon-reload.
func TestFilesChangeWhileTheCoreIsDead(t *testing.T) {
	before := map[string]string{
		"default.target":  "[Unit]\nWants=edited.service deleted.service\n",
		"edited.service":  "[Unit]\nDescription=Before\n[Service]\nExecStart=/bin/edited\nRestart=always\nRestartSec=1\n",
		"deleted.service": "[Service]\nExecStart=/bin/deleted\nRestart=always\nRestartSec=1\n",
	}
	for points := range 12 {
		m, _ := boot(t, before, 1, func(m *sim.Machine) {
			for _, p := range []string{"/bin/edited", "/bin/deleted", "/bin/after"} {
				m.Program(p, sim.Daemon())
			}
		})
		up(t, m, "edited.service", "deleted.service")
		m.SetFiles(units(map[string]string{"default.target": before["default.target"], "edited.service": "[Service]\nExecStart=/bin/after\n"}))
		pids := append(m.Procs("edited.service"), m.Procs("deleted.service")...)
		m.CrashAfter(points)
		for _, pid := range pids { // so that there are turns to crash in, and the settings matter
			m.KillProcess(pid, 9)
		}
		require.NoError(t, m.Settle(time.Minute))
		require.Equal(t, []int{2, 2, 0}, []int{m.Runs("/bin/edited"), m.Runs("/bin/deleted"), m.Runs("/bin/after")})
		require.Equal(t, unit.LoadLoaded, m.Engine().View().Unit("deleted.service").Load)
		m.Request(core.OpReload{}, nil)
		require.NoError(t, m.Settle(time.Minute))
		require.NoError(t, m.Do(unit.JobRestart, "edited.service", unit.ModeReplace))
		require.Equal(t, 1, m.Runs("/bin/after"))
	}
}

// TestPoisonInTheSimulator: a service whose notification the core dies of is left alone after three
// deaths, with its process; the others run, and reset-failed brings it back.
func TestPoisonInTheSimulator(t *testing.T) {
	for _, where := range []string{"notified", "exited", "timer", "recovered"} {
		t.Run(where, func(t *testing.T) {
			deadly, deaths := true, 0
			kinds := types()
			kinds[unit.KindService] = sim.Poison(kinds[unit.KindService], func(n unit.Name, ev unit.Event) bool {
				hit := false
				switch ev.(type) {
				case unit.Notified:
					hit = where == "notified"
				case unit.Exited:
					hit = where == "exited"
				case unit.TimerFired:
					hit = where == "timer"
				case unit.Recovered:
					hit = where == "recovered"
				}
				if hit = hit && deadly && n == "bad.service"; hit {
					deaths++
				}
				return hit
			})
			m, err := sim.New(sim.Config{Types: kinds, Seed: 1, Boot: "default.target", Mode: unit.ModeReplace, Unchecked: true, Load: units(map[string]string{
				"default.target": "[Unit]\nWants=bad.service good.service\n",
				"good.service":   "[Service]\nExecStart=/bin/good\n",
				"bad.service":    "[Service]\nType=notify\nExecStart=/bin/bad\nTimeoutStartSec=5\n",
			})})
			require.NoError(t, err)
			m.Program("/bin/good", sim.Daemon())
			bad := sim.Program{Runs: sim.Forever, Ready: time.Second}
			if where == "timer" {
				bad.Ready = sim.Forever
			}
			m.Program("/bin/bad", bad)
			if where == "exited" || where == "recovered" {
				up(t, m, "bad.service")
				if where == "exited" {
					m.KillProcess(m.Procs("bad.service")[0], 9)
				} else {
					m.CrashAfter(0)
				}
			}
			require.NoError(t, m.RunUntil(func() bool { return m.Quarantined("bad.service") != "" }, time.Minute))
			require.NoError(t, m.Settle(time.Minute))
			require.Equal(t, 3, deaths)
			require.Equal(t, 1, m.Runs("/bin/good"))
			require.True(t, m.Active("good.service"))
			require.Equal(t, 1, m.Runs("/bin/bad"))
			if where != "exited" {
				require.Len(t, m.Procs("bad.service"), 1, "its process is untouched")
			}
			require.ErrorIs(t, m.Do(unit.JobStop, "bad.service", unit.ModeReplace), core.ErrQuarantined)
			require.NoError(t, m.Crash())
			require.NotEmpty(t, m.Quarantined("bad.service"))
			deadly = false
			m.Request(core.OpResetFailed{Unit: "bad.service"}, nil)
			require.NoError(t, m.Settle(time.Minute))
			require.Empty(t, m.Quarantined("bad.service"))
			require.NoError(t, m.Do(unit.JobRestart, "bad.service", unit.ModeReplace))
			require.Equal(t, where != "timer", m.Active("bad.service"))
		})
	}
}
