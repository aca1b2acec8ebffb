package pid1_test

import (
	"os"
	"strings"

	pid1 "github.com/sysmaster-go/sysmaster/init"
	"github.com/sysmaster-go/sysmaster/init/bootenv"
	"github.com/sysmaster-go/sysmaster/init/event"
)

// A vendor's PID 1 is its main: where the core is, what the kernel's command
// line may change, and who hears of events.
func ExampleRun() {
	main := func() {
		signals := pid1.AcceptSignals() // first: until then a signal is fatal
		os.Exit(pid1.Run(pid1.Config{
			Signals: signals,
			Core:    pid1.Command{Path: "/usr/lib/vendor/core"},
			Rescue:  []pid1.Command{{Path: "/bin/sh"}},
			Configure: func(c *pid1.Config, line bootenv.Cmdline) {
				if line.Bool("vendor.debug") {
					c.Core.Args = append(c.Core.Args, "--debug")
				}
			},
			Observe: func(e event.Event) {
				if e.Kind == event.CoreDied && strings.HasPrefix(e.Exit.Cgroup, "/vendor") {
					os.Stderr.WriteString(e.String() + "\n")
				}
			},
		}))
	}
	_ = main // this program is not PID 1
	// Output:
}
