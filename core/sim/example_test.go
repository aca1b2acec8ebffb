package sim_test

import (
	"fmt"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/unit"
)

// A service of one's own, tried out on a virtual clock: does it come back when it dies, also
// when the manager dies at the same moment?
func Example() {
	m, err := sim.New(sim.Config{
		Types: types(), // service, target and slice
		Load: units(map[string]string{ // normally a unitfile.Loader over one's own tree
			"default.target": "[Unit]\nWants=web.service\n",
			"web.service":    "[Service]\nExecStart=/usr/bin/web\nRestart=on-failure\nRestartSec=5s\n",
		}),
		Boot: "default.target", Mode: unit.ModeReplace, Seed: 1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	m.Program("/usr/bin/web", sim.Daemon())
	if err := m.RunUntil(func() bool { return m.Active("web.service") }, time.Minute); err != nil {
		fmt.Println(err)
	}
	died := m.NowMono()
	m.KillProcess(m.Procs("web.service")[0], 11)
	m.CrashAfter(3)
	if err := m.RunUntil(func() bool { return m.Runs("/usr/bin/web") == 2 && m.Active("web.service") }, time.Minute); err != nil {
		fmt.Println(err)
	}
	fmt.Println("back after", (m.NowMono() - died).Round(time.Second))
	// Output: back after 5s
}
