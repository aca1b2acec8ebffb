// Command sysmaster-init is the reference PID 1: it keeps sysmaster-core alive.
//
// The core is /usr/lib/sysmaster/sysmaster-core, or what sysmaster.core=PATH
// says on the kernel command line (in a container: among init's arguments), or,
// where this is not a machine's own init, the environment's SYSMASTER_CORE.
package main

import (
	"os"

	pid1 "github.com/sysmaster-go/sysmaster/init"
	"github.com/sysmaster-go/sysmaster/init/bootenv"
	"github.com/sysmaster-go/sysmaster/init/process"
)

func main() {
	signals := pid1.AcceptSignals() // before anything else
	process.Settle(signals)
	os.Exit(pid1.Run(pid1.Config{
		Signals:   signals,
		Core:      pid1.Command{Path: "/usr/lib/sysmaster/sysmaster-core"},
		Rescue:    []pid1.Command{{Path: "/usr/sbin/sulogin"}, {Path: "/bin/sh"}},
		Configure: configure,
	}))
}

func configure(c *pid1.Config, line bootenv.Cmdline) {
	if path, ok := line.Get("sysmaster.core"); ok && path != "" {
		c.Core.Path = path
	} else if path := os.Getenv("SYSMASTER_CORE"); path != "" && !c.World.Machine() {
		c.Core.Path = path
	}
}
