package simtest_test

import (
	"fmt"
	"os"
	"strings"
	"testing/fstest"
	"time"

	"github.com/sysmaster-go/sysmaster/core/sim"
	"github.com/sysmaster-go/sysmaster/core/sim/simtest"
)

// The database takes three seconds to be ready.
var programs = map[string]sim.Program{
	"/usr/bin/database": {Runs: sim.Forever, Ready: 3 * time.Second},
}

// A directory of unit files is booted: in what order, and how long does it take?
func ExampleNew() {
	m, err := simtest.New(simtest.Config{Units: os.DirFS("testdata/web"), Programs: programs})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := m.RunUntil(m.Booted, time.Minute); err != nil {
		fmt.Println(err)
	}
	fmt.Println("booted after", m.BootTime())
	fmt.Println("database.service took", m.TimeToActive("database.service"))
	fmt.Println("in order:", m.Order("database.service", "web.service"))
	fmt.Println("the other way round:", m.Order("web.service", "database.service"))
	// Output:
	// booted after 3s
	// database.service took 3s
	// in order: <nil>
	// the other way round: database.service began to start at 0s, before web.service was active at 3s
}

// A service dies: does it come back, and when?
func Example_crashAService() {
	m, err := simtest.New(simtest.Config{Units: os.DirFS("testdata/web"), Programs: programs})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := m.RunUntil(m.Booted, time.Minute); err != nil {
		fmt.Println(err)
	}
	if err := m.Fail(sim.Fault{Kind: sim.FaultKill, Unit: "web.service", Signal: 11}); err != nil {
		fmt.Println(err)
	}
	if err := m.RunUntil(func() bool { return m.Runs("/usr/bin/web") == 2 }, time.Minute); err != nil {
		fmt.Println(err)
	}
	fmt.Println("started at", m.Starts("web.service"))
	// Output:
	// started at [3s 8s]
}

// The manager itself is killed at every point of the boot, and of what follows.
func Example_crashTheManager() {
	files, err := simtest.Files(os.DirFS("testdata/web"))
	if err != nil {
		fmt.Println(err)
		return
	}
	boot := sim.Scenario{
		Name: "web", Files: files,
		Programs: map[string][]sim.Program{"/usr/bin/database": {{Runs: sim.Forever, Ready: 3 * time.Second}}, "/usr/bin/web": {sim.Daemon()}},
		Steps:    []sim.Step{{Settled: true, Do: sim.DoRestart, Unit: "database.service"}},
	}
	result, err := simtest.Host().CrashEverywhere(boot, sim.Everywhere{Depth: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("crashed at more than 50 points:", result.Stats.Crashes > 50)
	for line := range strings.Lines(result.Outcome) {
		if strings.HasPrefix(line, "web") || strings.HasPrefix(line, "/usr") {
			fmt.Print(line)
		}
	}
	// Output:
	// crashed at more than 50 points: true
	// /usr/bin/database ran 2 times
	// /usr/bin/web ran 2 times
	// web.service active/running (success), 1 processes
}

// Two units wait for each other.
func Example_cycle() {
	m, err := simtest.New(simtest.Config{Units: fstest.MapFS{
		"default.target": {Data: []byte("[Unit]\nWants=a.service\n")},
		"a.service":      {Data: []byte("[Unit]\nRequires=b.service\nAfter=b.service\n[Service]\nExecStart=/bin/a\n")},
		"b.service":      {Data: []byte("[Unit]\nRequires=a.service\nAfter=a.service\n[Service]\nExecStart=/bin/b\n")},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := m.RunUntil(m.Booted, time.Minute); err != nil {
		fmt.Println(err)
	}
	for _, line := range m.Messages() {
		if _, cycle, found := strings.Cut(line, "ordering cycle: "); found {
			fmt.Println(cycle)
			break
		}
	}
	// Output:
	// a.service before b.service (/units/b.service:3); b.service before a.service (/units/a.service:3)
}

// The disk of the manager's state is full: what runs goes on and can be stopped, nothing new begins.
func Example_fullDisk() {
	m, err := simtest.New(simtest.Config{Units: os.DirFS("testdata/web"), Programs: programs})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := m.RunUntil(m.Booted, time.Minute); err != nil {
		fmt.Println(err)
	}
	if err := m.Fail(sim.Fault{Kind: sim.FaultFull}); err != nil {
		fmt.Println(err)
	}
	fmt.Println("stop:", m.Stop("web.service"))
	fmt.Println("web.service is", m.State("web.service").Active)
	fmt.Println("refused:", m.Start("web.service") != nil)
	// Output:
	// stop: <nil>
	// web.service is inactive
	// refused: true
}
