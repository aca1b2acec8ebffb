package sim_test

import (
	"testing"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sim"
)

// TestFlippedBit crashes a core everywhere, and each time a bit near the end of the log has flipped, which
// may cost the newest commits. Whatever the next core is asked for then, no unit gets a second main process.
func TestFlippedBit(t *testing.T) {
	var total sim.Stats
	for seed := range uint64(fromEnv(t, "SIM_FLIPS", 12)) {
		s := sim.Scenario{Name: "flipped bit", Seed: seed, Store: sim.StoreLog, Faults: sim.Faults{FlippedBit: 1}, Files: with(map[string]string{
			"default.target": "[Unit]\nWants=a.service r.service n.service u.target\n",
			"a.service":      "[Service]\nExecStart=/bin/a\n",
			"r.service":      "[Unit]\nStartLimitBurst=50\n[Service]\nExecStart=/bin/r\nRestart=always\nRestartSec=100ms\n",
			"n.service":      "[Service]\nType=notify\nExecStart=/bin/n\nExecStartPre=/bin/pre\nTimeoutStartSec=20\n",
			"u.target":       "[Unit]\nUpholds=a.service\n",
		}), Programs: programs{"/bin/a": {sim.Daemon()}, "/bin/r": {sim.Crashing(700 * time.Millisecond), sim.Crashing(500 * time.Millisecond), sim.Daemon()}, "/bin/n": {{Runs: sim.Forever, Ready: 50 * time.Millisecond}}, "/bin/pre": {sim.Oneshot(0)}},
			Steps: []sim.Step{
				{After: time.Second, Do: sim.DoRestart, Unit: "a.service"}, {After: time.Second, Do: sim.DoRestart, Unit: "n.service"},
				{After: time.Second, Do: sim.DoStart, Unit: "a.service"}, {After: time.Second, Do: sim.DoStart, Unit: "r.service"},
				{After: time.Second, Do: sim.DoStart, Unit: "n.service"}, {After: time.Second, Do: sim.DoWait},
			}}
		h := host()
		r, err := h.CrashEverywhere(s, sim.Everywhere{Depth: 1, Differs: true})
		total.Add(r.Stats)
		if err != nil {
			report(t, h, err)
			return
		}
	}
	t.Log(total)
}
