package condition

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// errProc says that a file of the kernel does not look as documented.
var errProc = errors.New("unexpected content of a kernel file")

const cgroupRoot = "/sys/fs/cgroup"

// knownControllers are systemd's names.
var knownControllers = [...]string{"cpu", "cpuacct", "cpuset", "io", "blkio", "memory", "devices", "pids",
	"bpf-firewall", "bpf-devices", "bpf-foreign", "bpf-socket-bind", "bpf-restrict-network-interfaces"}

// controlGroupController takes "v1", "v2" or a list of controllers, all of which must be
// available. A list without any known name holds, as in systemd.
func controlGroupController(m Machine, arg string) (bool, error) {
	data, err := m.ReadFile(cgroupRoot + "/cgroup.controllers")
	unified, err := found(err)
	if err != nil {
		return false, err
	}
	switch arg {
	case "v2":
		return unified, nil
	case "v1":
		return !unified, nil
	}
	have := strings.Fields(string(data))
	for w := range strings.FieldsSeq(arg) {
		if contains(knownControllers[:], w) && !available(m, have, unified, w) {
			return false, nil
		}
	}
	return true, nil
}

// available leaves out what no group of ours can have: on v2 the controllers of v1, and the
// ones that systemd makes of BPF programs.
func available(m Machine, have []string, unified bool, name string) bool {
	switch name {
	case "cpu", "memory", "pids":
	case "cpuacct", "blkio", "devices":
		if unified {
			return false
		}
	case "cpuset", "io":
		if !unified {
			return false
		}
	default:
		return false
	}
	if unified {
		return contains(have, name)
	}
	_, err := m.Stat(cgroupRoot + "/" + name)
	return err == nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func memoryPressure(m Machine, arg string) (bool, error) { return pressure(m, "memory", "full", arg) }
func ioPressure(m Machine, arg string) (bool, error)     { return pressure(m, "io", "full", arg) }
func cpuPressure(m Machine, arg string) (bool, error)    { return pressure(m, "cpu", "some", arg) }

// pressure holds while the stall share of the machine, or of "<slice>:", is at most the given
// one: "[slice:]share%[/10sec|1min|5min]" (Documentation/accounting/psi.rst).
func pressure(m Machine, resource, kind, arg string) (bool, error) {
	path := "/proc/pressure/" + resource
	limit := arg
	if slice, rest, ok := strings.Cut(arg, ":"); ok {
		dir, err := sliceDir(strings.TrimSpace(slice))
		if err != nil {
			return false, err
		}
		path, limit = dir+"/"+resource+".pressure", rest
	}
	share, span, _ := strings.Cut(limit, "/")
	field, err := pressureField(strings.TrimSpace(span))
	if err != nil {
		return false, err
	}
	want, err := parsePercent(strings.TrimSpace(share))
	if err != nil {
		return false, err
	}
	data, err := m.ReadFile(path)
	if ok, err := found(err); !ok {
		return err == nil, err // where nothing is measured, nothing speaks against it
	}
	have, err := readPressure(string(data), kind, field)
	return err == nil && have <= want, err
}

func sliceDir(name string) (string, error) {
	n, err := unit.ParseName(name)
	if err != nil || n.Kind() != unit.KindSlice {
		return "", fmt.Errorf("%w: %q is not a slice", errArgument, name)
	}
	if n == "-.slice" {
		return cgroupRoot, nil
	}
	dir, stem := cgroupRoot, n.Stem()
	for i := 0; i <= len(stem); i++ {
		if i == len(stem) || stem[i] == '-' {
			dir += "/" + stem[:i] + ".slice"
		}
	}
	return dir, nil
}

func pressureField(span string) (string, error) {
	if span == "" {
		return "avg300=", nil
	}
	d, err := unit.ParseTimespan(span)
	if err == nil {
		switch d.Seconds() {
		case 10:
			return "avg10=", nil
		case 60:
			return "avg60=", nil
		case 300:
			return "avg300=", nil
		}
	}
	return "", fmt.Errorf("%w: not 10sec, 1min or 5min", errArgument)
}

// parsePercent reads "12.34%" as hundredths of a percent; "%" and "‰" as in systemd.
func parsePercent(s string) (float64, error) {
	for _, suffix := range [...]struct {
		text string
		part float64
	}{{"%", 1}, {"‰", 10}, {"‱", 100}} {
		if n, ok := strings.CutSuffix(s, suffix.text); ok {
			v, err := strconv.ParseFloat(n, 64)
			if err != nil || !(v >= 0 && v <= 100*suffix.part) {
				break
			}
			return v / suffix.part, nil
		}
	}
	return 0, fmt.Errorf("%w: not a percentage", errArgument)
}

// readPressure finds a number in "full avg10=0.00 avg60=0.00 avg300=0.00 total=0".
func readPressure(data, kind, field string) (float64, error) {
	for line := range strings.Lines(data) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != kind {
			continue
		}
		for _, f := range fields[1:] {
			if v, ok := strings.CutPrefix(f, field); ok {
				return strconv.ParseFloat(v, 64)
			}
		}
	}
	return 0, errProc
}
