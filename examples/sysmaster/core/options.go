package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/init/bootenv"
	"github.com/sysmaster-go/sysmaster/unit"
)

// options are what the kernel's command line and the environment ask for.
type options struct {
	unit          unit.Name
	unitPath      []string // nil: the standard one
	allowDegraded bool
	showStatus    bool
	problems      []string // what was given and makes no sense
	shim          string
	stateSize     string // in tmpfs's words
	bootAttempts  int    // 0: no limit
}

// runLevels are the words that have always been understood (man systemd(1), KERNEL COMMAND LINE).
func runLevel(word string) unit.Name {
	switch word {
	case "emergency", "-b":
		return "emergency.target"
	case "rescue", "single", "s", "S", "1":
		return "rescue.target"
	case "2", "3", "4":
		return "multi-user.target"
	case "5":
		return "graphical.target"
	}
	return ""
}

// readOptions reads the kernel's command line, or in a container what init was started with.
func readOptions() options {
	o := options{unit: "default.target", showStatus: true, shim: shimPath, stateSize: "20%"}
	for _, p := range bootLine() {
		if t := runLevel(p.Key); t != "" && !p.HasValue {
			o.unit = t
			continue
		}
		o.set(strings.TrimPrefix(p.Key, "sysmaster."), p.Value, p.HasValue, p.Key)
	}
	for _, a := range os.Args[1:] {
		key, value, has := strings.Cut(strings.TrimPrefix(a, "--"), "=")
		o.set(key, value, has, "sysmaster."+key)
	}
	if path := os.Getenv("SYSMASTER_UNIT_PATH"); path != "" {
		o.unitPath = strings.Split(path, ":")
	}
	return o
}

func (o *options) set(key, value string, has bool, full string) {
	switch {
	case full == "systemd.unit" || full == "sysmaster.unit":
		n, err := unit.ParseName(value)
		if err != nil {
			o.problems = append(o.problems, full+"="+value+": not a unit's name; "+string(o.unit)+" is started")
			return
		}
		o.unit = n
	case full == key: // not ours
	case key == "unit-path":
		o.unitPath = strings.Split(value, ":")
	case key == "allow-degraded":
		o.allowDegraded = !has || truth(value, false)
	case key == "shim" && value != "":
		o.shim = value
	case key == "state-size" && value != "":
		o.stateSize = value
	case key == "boot-attempts":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			o.problems = append(o.problems, full+"="+value+": not a number; failed boots change nothing")
			return
		}
		o.bootAttempts = n
	case key == "show-status":
		o.showStatus = !has || truth(value, true)
	case key != "core" && key != "crash-reboot": // which are init's
		o.problems = append(o.problems, full+": no such option; there are unit, unit-path, allow-degraded, shim, state-size, boot-attempts and show-status")
	}
}

func truth(s string, otherwise bool) bool {
	if b, err := unit.ParseBool(s); err == nil {
		return b
	}
	return otherwise
}

// bootLine is the kernel's command line, and in a container PID 1's arguments.
func bootLine() bootenv.Cmdline {
	if isMachine() {
		if text, err := os.ReadFile("/proc/cmdline"); err == nil {
			return bootenv.ParseCmdline(string(text))
		}
		return nil
	}
	text, err := os.ReadFile("/proc/1/cmdline")
	if err != nil {
		return nil
	}
	words := strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
	return bootenv.ParseArgs(words[1:])
}

// isMachine reports whether this is a machine's own init, not a container's: the kernel's
// threads are children of PID 2, which no PID namespace but the first shows.
func isMachine() bool {
	comm, err := os.ReadFile("/proc/2/comm")
	return err == nil && strings.TrimSpace(string(comm)) == "kthreadd"
}
