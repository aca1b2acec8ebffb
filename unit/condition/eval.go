package condition

import (
	"errors"
	"fmt"

	"github.com/sysmaster-go/sysmaster/unit"
)

// ErrUnknown says that there is no condition of that type.
var ErrUnknown = errors.New("unknown condition")

// errArgument says that a condition's argument makes no sense.
var errArgument = errors.New("invalid argument")

type test func(m Machine, arg string) (bool, error)

// tests are the conditions, by name; the order is that of the manual.
var tests = [...]struct {
	name string
	test test
}{
	{"Architecture", architecture},
	{"Firmware", firmware},
	{"Virtualization", virtualization},
	{"Host", host},
	{"KernelCommandLine", kernelCommandLine},
	{"KernelVersion", kernelVersion},
	{"Credential", credential},
	{"Environment", environment},
	{"Security", security},
	{"Capability", capability},
	{"ACPower", acPower},
	{"NeedsUpdate", needsUpdate},
	{"FirstBoot", firstBoot},
	{"PathExists", pathExists},
	{"PathExistsGlob", pathExistsGlob},
	{"PathIsDirectory", pathIsDirectory},
	{"PathIsSymbolicLink", pathIsSymbolicLink},
	{"PathIsMountPoint", pathIsMountPoint},
	{"PathIsReadWrite", pathIsReadWrite},
	{"PathIsEncrypted", pathIsEncrypted},
	{"DirectoryNotEmpty", directoryNotEmpty},
	{"FileNotEmpty", fileNotEmpty},
	{"FileIsExecutable", fileIsExecutable},
	{"User", user},
	{"Group", group},
	{"ControlGroupController", controlGroupController},
	{"Memory", memory},
	{"CPUs", cpus},
	{"CPUFeature", cpuFeature},
	{"OSRelease", osRelease},
	{"MemoryPressure", memoryPressure},
	{"CPUPressure", cpuPressure},
	{"IOPressure", ioPressure},
}

// Eval reports whether c holds on m, its negation applied. With an error c does not hold.
func Eval(c unit.Condition, m Machine) (bool, error) {
	for i := range tests {
		if tests[i].name != c.Type {
			continue
		}
		met, err := tests[i].test(m, c.Param)
		if err != nil {
			return false, fmt.Errorf("cannot evaluate %s=%s: %w", c.Type, c.Param, err)
		}
		return met != c.Negate, nil
	}
	return false, fmt.Errorf("cannot evaluate %s=: %w", c.Type, ErrUnknown)
}
