package condition

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

func virtualization(m Machine, arg string) (bool, error) {
	v, err := m.Virtualization()
	if err != nil {
		return false, err
	}
	switch arg {
	case "private-users":
		return v.PrivateUsers, nil
	case "vm": // a container in a virtual machine counts as a container only
		return v.VM != "" && v.Container == "", nil
	case "container":
		return v.Container != "", nil
	}
	id := v.Container
	if id == "" {
		id = v.VM
	}
	if want, err := unit.ParseBool(arg); err == nil {
		return want == (id != ""), nil
	}
	return id != "" && id == arg, nil
}

func host(m Machine, arg string) (bool, error) {
	if id, ok := plainID(arg); ok {
		have, err := m.MachineID()
		return err == nil && have == id, err
	}
	name, err := m.HostName()
	if err != nil {
		return false, err
	}
	return match(strings.ToLower(arg), strings.ToLower(name)), nil
}

// plainID recognises a 128-bit id, as 32 hexadecimal digits or in groups of 8-4-4-4-12.
func plainID(s string) (string, bool) {
	id := strings.ToLower(s)
	if len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' {
		id = id[:8] + id[9:13] + id[14:18] + id[19:23] + id[24:]
	}
	return id, len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}

func environment(m Machine, arg string) (bool, error) {
	whole := strings.Contains(arg, "=")
	for _, e := range m.Environ() {
		if e == arg || !whole && strings.HasPrefix(e, arg+"=") {
			return true, nil
		}
	}
	return false, nil
}

// systemID is the last user or group id of the system itself (systemd's default).
const systemID = 999

func user(m Machine, arg string) (bool, error) {
	who, err := m.Identity()
	if err != nil {
		return false, err
	}
	if arg == "@system" {
		return who.UIDs[0] <= systemID || who.UIDs[1] <= systemID, nil
	}
	if id, err := strconv.ParseUint(arg, 10, 32); err == nil {
		return slices.Contains(who.UIDs[:], uint32(id)), nil
	}
	return slices.Contains(who.Users, arg), nil
}

func group(m Machine, arg string) (bool, error) {
	who, err := m.Identity()
	if err != nil {
		return false, err
	}
	if id, err := strconv.ParseUint(arg, 10, 32); err == nil {
		return slices.Contains(who.GIDs, uint32(id)), nil
	}
	return slices.Contains(who.Groups, arg), nil
}

// credential looks where the manager's own credentials are (man systemd.exec(5), CREDENTIALS).
func credential(m Machine, name string) (bool, error) {
	if name == "" || len(name) > 255 || name == "." || name == ".." || strings.ContainsAny(name, "/:") {
		return false, nil
	}
	for _, key := range [...]string{"CREDENTIALS_DIRECTORY=", "ENCRYPTED_CREDENTIALS_DIRECTORY="} {
		for _, e := range m.Environ() {
			dir, ok := strings.CutPrefix(e, key)
			if !ok || !strings.HasPrefix(dir, "/") {
				continue
			}
			if ok, err := pathExists(m, dir+"/"+name); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

// acPower reports whether the machine is on mains, which it also is when nothing says otherwise.
func acPower(m Machine, arg string) (bool, error) {
	want, err := parseBool(arg)
	if err != nil {
		return false, err
	}
	on, err := onMains(m)
	return err == nil && on == want, err
}

const powerSupplies = "/sys/class/power_supply"

// onMains: a mains or USB supply that is online, or no supply that is a discharging system battery.
func onMains(m Machine) (bool, error) {
	names, err := m.ReadDir(powerSupplies, 256)
	if ok, err := found(err); !ok {
		return err == nil, err
	}
	offline, discharging := false, false
	for _, n := range names {
		dir := powerSupplies + "/" + n
		if attribute(m, dir+"/scope") == "Device" {
			continue // the battery of a mouse is not the machine's
		}
		switch attribute(m, dir+"/type") {
		case "Mains", "USB":
			switch attribute(m, dir+"/online") {
			case "1", "2":
				return true, nil
			case "0":
				offline = true
			}
		case "Battery":
			discharging = discharging || attribute(m, dir+"/status") == "Discharging"
		}
	}
	return !offline && !discharging || offline && !discharging && !hasBattery(m, names), nil
}

func hasBattery(m Machine, names []string) bool {
	for _, n := range names {
		dir := powerSupplies + "/" + n
		if attribute(m, dir+"/type") == "Battery" && attribute(m, dir+"/scope") != "Device" && attribute(m, dir+"/present") != "0" {
			return true
		}
	}
	return false
}

// attribute is the content of a one-line file of the kernel, empty when there is none.
func attribute(m Machine, path string) string {
	data, err := m.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// osRelease takes a list of FIELD<operator>VALUE, all of which must hold; "<" and its kin
// compare versions (man os-release(5)).
func osRelease(m Machine, arg string) (bool, error) {
	words, err := unit.SplitWords(arg)
	if err != nil {
		return false, err
	}
	data, err := m.ReadFile("/etc/os-release")
	if err != nil {
		if data, err = m.ReadFile("/usr/lib/os-release"); err != nil {
			return false, err
		}
	}
	for _, w := range words {
		at := strings.IndexAny(w, "<>=!")
		if at <= 0 {
			return false, fmt.Errorf("%w: %q is not FIELD=VALUE", errArgument, w)
		}
		o, want := cutOrder(w[at:])
		if o == orderNone || want == "" || strings.TrimLeft(want, " \t") != want {
			return false, fmt.Errorf("%w: %q is not FIELD=VALUE", errArgument, w)
		}
		have := envFileValue(data, w[:at])
		sign := compareVersions(have, want)
		if o == orderEQ || o == orderNE {
			sign = strings.Compare(have, want)
		}
		if !o.holds(sign) {
			return false, nil
		}
	}
	return true, nil
}

// envFileValue finds the last assignment of key in a file of shell-like assignments.
func envFileValue(data []byte, key string) string {
	value := ""
	for line := range strings.Lines(string(data)) {
		k, v, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || k != key {
			continue
		}
		value = v
		if words, err := unit.SplitWords(v); err == nil {
			value = strings.Join(words, " ")
		}
	}
	return value
}
