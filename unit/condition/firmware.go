package condition

import (
	"fmt"
	"strings"
)

// firmware knows "uefi", "device-tree", "device-tree-compatible(x)" and "smbios-field(a=b)".
func firmware(m Machine, arg string) (bool, error) {
	switch arg {
	case "uefi":
		return pathExists(m, "/sys/firmware/efi")
	case "device-tree":
		return pathExists(m, "/sys/firmware/devicetree")
	}
	call, rest, ok := strings.Cut(arg, "(")
	inner, closed := strings.CutSuffix(rest, ")")
	if !ok || !closed {
		return false, nil
	}
	switch call {
	case "device-tree-compatible":
		data, err := m.ReadFile("/proc/device-tree/compatible")
		if ok, err := found(err); !ok {
			return false, err
		}
		for _, c := range strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00") {
			if c == inner {
				return true, nil
			}
		}
		return false, nil
	case "smbios-field":
		return smbiosField(m, inner)
	}
	return false, nil
}

// smbiosField compares a file of /sys/class/dmi/id: "=$" and "!=$" with a glob pattern,
// "<" and its kin as versions, "=" and "!=" as strings.
func smbiosField(m Machine, expr string) (bool, error) {
	at := strings.IndexAny(expr, "<>=!")
	if at <= 0 {
		return false, fmt.Errorf("%w: no operator", errArgument)
	}
	field := strings.TrimSpace(expr[:at])
	if field == "" || field == "." || field == ".." || strings.Contains(field, "/") {
		return false, fmt.Errorf("%w: not the name of a field", errArgument)
	}
	o, want := cutOrder(expr[at:])
	glob := false
	if o == orderEQ || o == orderNE {
		want, glob = strings.CutPrefix(want, "$")
	}
	if o == orderNone {
		return false, fmt.Errorf("%w: no operator", errArgument)
	}
	want = strings.Trim(strings.TrimSpace(want), `"`)
	data, err := m.ReadFile("/sys/class/dmi/id/" + field)
	if ok, err := found(err); !ok {
		return false, err
	}
	have := strings.TrimRight(string(data), "\n")
	switch {
	case glob:
		return match(want, have) == (o == orderEQ), nil
	case o == orderEQ || o == orderNE:
		return (have == want) == (o == orderEQ), nil
	}
	return o.holds(compareVersions(have, want)), nil
}
