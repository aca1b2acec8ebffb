package unit

import (
	"errors"
	"strings"
)

// Kind is a unit type's suffix without the dot: "service", "socket".
type Kind string

// The kinds of systemd 252 (man systemd.unit(5), DESCRIPTION).
const (
	KindService   Kind = "service"
	KindSocket    Kind = "socket"
	KindTarget    Kind = "target"
	KindSlice     Kind = "slice"
	KindScope     Kind = "scope"
	KindMount     Kind = "mount"
	KindAutomount Kind = "automount"
	KindSwap      Kind = "swap"
	KindPath      Kind = "path"
	KindTimer     Kind = "timer"
	KindDevice    Kind = "device"
)

// NameMax is the longest unit name accepted, in bytes (systemd's UNIT_NAME_MAX).
const NameMax = 255

// ErrName says that a string is not a valid unit name.
var ErrName = errors.New("invalid unit name")

// Name is a complete unit name such as "ssh.service", "getty@tty1.service" or the
// template "getty@.service". A Name made by ParseName is valid.
type Name string

// ParseName checks s as man systemd.unit(5) and systemd's unit_name_is_valid do:
// a prefix and perhaps an instance of [A-Za-z0-9:_.\-@], a dot, and a known or unknown suffix.
// Any suffix made of lower-case letters is accepted, so that plug-ins can bring kinds of their own.
func ParseName(s string) (Name, error) {
	if len(s) == 0 || len(s) > NameMax {
		return "", ErrName
	}
	dot := strings.LastIndexByte(s, '.')
	if dot <= 0 || dot == len(s)-1 {
		return "", ErrName
	}
	for i := dot + 1; i < len(s); i++ {
		if s[i] < 'a' || s[i] > 'z' {
			return "", ErrName
		}
	}
	for i := 0; i < dot; i++ {
		if !nameByte(s[i]) {
			return "", ErrName
		}
	}
	if s[0] == '@' { // an empty prefix
		return "", ErrName
	}
	return Name(s), nil
}

func nameByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return strings.IndexByte(":_.\\-@", c) >= 0
}

// Kind is the suffix; empty for an invalid name.
func (n Name) Kind() Kind {
	if i := strings.LastIndexByte(string(n), '.'); i >= 0 {
		return Kind(n[i+1:])
	}
	return ""
}

// Stem is the name without its suffix.
func (n Name) Stem() string {
	if i := strings.LastIndexByte(string(n), '.'); i >= 0 {
		return string(n[:i])
	}
	return string(n)
}

// Prefix is the stem up to the first "@".
func (n Name) Prefix() string {
	p, _, _ := strings.Cut(n.Stem(), "@")
	return p
}

// Instance is what stands between the first "@" and the suffix; empty for plain names and templates.
func (n Name) Instance() string {
	_, i, _ := strings.Cut(n.Stem(), "@")
	return i
}

// IsTemplate reports whether n is a template such as "getty@.service".
func (n Name) IsTemplate() bool {
	at := strings.IndexByte(n.Stem(), '@')
	return at >= 0 && at == len(n.Stem())-1
}

// IsInstance reports whether n is an instance of a template.
func (n Name) IsInstance() bool {
	at := strings.IndexByte(n.Stem(), '@')
	return at >= 0 && at < len(n.Stem())-1
}

// Template is the template that the instance n comes from: "getty@tty1.service" gives
// "getty@.service". Plain names and templates come back unchanged.
func (n Name) Template() Name {
	if !n.IsInstance() {
		return n
	}
	return Name(n.Prefix() + "@." + string(n.Kind()))
}

// WithInstance fills a template (or replaces an instance); plain names come back unchanged.
func (n Name) WithInstance(instance string) Name {
	if !strings.Contains(n.Stem(), "@") {
		return n
	}
	return Name(n.Prefix() + "@" + instance + "." + string(n.Kind()))
}

// WithKind replaces the suffix: "dbus.socket" with KindService gives "dbus.service".
func (n Name) WithKind(k Kind) Name { return Name(n.Stem() + "." + string(k)) }

// SlicePath is the cgroup path, relative to the root, of the slice n: "a-b.slice"
// gives "a.slice/a-b.slice", the root slice "-.slice" gives "" (man systemd.slice(5)).
func (n Name) SlicePath() string {
	stem := n.Stem()
	if stem == "-" {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(stem); i++ {
		if stem[i] == '-' && i > 0 {
			b.WriteString(stem[:i])
			b.WriteString(".slice/")
		}
	}
	b.WriteString(string(n))
	return b.String()
}

// SliceParent is the slice that contains the slice n; the root slice has none ("").
func (n Name) SliceParent() Name {
	stem := n.Stem()
	if stem == "-" {
		return ""
	}
	if i := strings.LastIndexByte(stem, '-'); i > 0 {
		return Name(stem[:i] + ".slice")
	}
	return "-.slice"
}
