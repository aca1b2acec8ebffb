// Command sysmaster-init is the reference PID 1: it keeps sysmaster-core alive.
//
// The core is /usr/lib/sysmaster/sysmaster-core, or what sysmaster.core=PATH
// says on the kernel command line (in a container: among init's arguments), or,
// where this is not a machine's own init, the environment's SYSMASTER_CORE.
//
// If the core cannot be kept alive, neither normally nor in the rescue role, the console gets
// sulogin or a shell. With sysmaster.crash-reboot=SECONDS the machine reboots once nobody has
// typed there for that long.
package main

import (
	"os"
	"strconv"
	"time"

	pid1 "github.com/sysmaster-go/sysmaster/init"
	"github.com/sysmaster-go/sysmaster/init/bootenv"
	"github.com/sysmaster-go/sysmaster/init/process"
)

// version is set by the linker.
var version = "devel"

func main() {
	signals := pid1.AcceptSignals() // before anything else
	process.Settle(signals)
	os.Exit(pid1.Run(pid1.Config{
		Signals:   signals,
		Version:   version,
		Core:      pid1.Command{Path: "/usr/lib/sysmaster/sysmaster-core"},
		Rescue:    []pid1.Command{{Path: "/usr/sbin/sulogin"}, {Path: "/bin/sh"}},
		Configure: configure,
		Hurry:     true,
	}))
}

func configure(c *pid1.Config, line bootenv.Cmdline) {
	if text, ok := line.Get("sysmaster.crash-reboot"); ok {
		if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
			c.CrashReboot = time.Duration(seconds) * time.Second
		}
	}
	if path, ok := line.Get("sysmaster.core"); ok && path != "" {
		c.Core.Path = path
	} else if path := os.Getenv("SYSMASTER_CORE"); path != "" && !c.World.Machine() {
		c.Core.Path = path
	}
}
