package wire

import "strings"

// Names of org.freedesktop.systemd1 (man org.freedesktop.systemd1(5)).
const (
	Service      = "org.freedesktop.systemd1"
	ManagerPath  = "/org/freedesktop/systemd1"
	UnitPrefix   = ManagerPath + "/unit/"
	JobPrefix    = ManagerPath + "/job/"
	ManagerIface = Service + ".Manager"
	UnitIface    = Service + ".Unit"
	JobIface     = Service + ".Job"
	PropsIface   = "org.freedesktop.DBus.Properties"
)

// Names of what this manager offers beside it, on the same objects.
const (
	OwnService      = "org.sysmaster"
	OwnManagerIface = OwnService + ".Manager"
)

const hexDigits = "0123456789abcdef"

// UnitPath is the object path of a unit: letters and digits stay, but for a leading digit;
// all else becomes "_" and two hexadecimal digits (man sd_bus_path_encode(3)).
func UnitPath(name string) string {
	if name == "" {
		return UnitPrefix + "_"
	}
	var b strings.Builder
	b.Grow(len(UnitPrefix) + len(name) + 16)
	b.WriteString(UnitPrefix)
	for i := 0; i < len(name); i++ {
		c := name[i]
		if isLetter(c) || (isDigit(c) && i > 0) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('_')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

// UnitOfPath is the inverse of UnitPath; false if path is not a unit's.
func UnitOfPath(path string) (string, bool) {
	label, ok := strings.CutPrefix(path, UnitPrefix)
	if !ok || label == "" || strings.Contains(label, "/") {
		return "", false
	}
	if label == "_" {
		return "", true
	}
	var b strings.Builder
	for i := 0; i < len(label); i++ {
		if label[i] != '_' || i+2 >= len(label) {
			b.WriteByte(label[i])
			continue
		}
		hi, lo := strings.IndexByte(hexDigits, label[i+1]), strings.IndexByte(hexDigits, label[i+2])
		if hi < 0 || lo < 0 {
			b.WriteByte('_')
			continue
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), true
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
