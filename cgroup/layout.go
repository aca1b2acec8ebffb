package cgroup

import (
	"bytes"
	"errors"
)

// ErrNoUnified says that no cgroup2 file system is mounted.
var ErrNoUnified = errors.New("no cgroup2 file system is mounted")

// Layout is how control groups are mounted on a machine.
type Layout struct {
	Unified string // mount point of cgroup2
	Hybrid  bool   // v1 controllers are mounted as well: cgroup2 serves for tracking only
}

// ParseLayout finds cgroup2 in the text of /proc/PID/mountinfo (man proc(5)):
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//
// /sys/fs/cgroup is preferred, then /sys/fs/cgroup/unified (systemd's hybrid layout), then
// the first that is mounted from its own root. Lines that it does not understand are passed over.
func ParseLayout(mountinfo []byte) (Layout, error) {
	var l Layout
	best := 0
	for len(mountinfo) > 0 {
		var line []byte
		line, mountinfo, _ = bytes.Cut(mountinfo, []byte{'\n'})
		point, fstype, ok := mountFields(line)
		if !ok {
			continue
		}
		switch fstype {
		case "cgroup":
			l.Hybrid = true
		case "cgroup2":
			if r := rank(point); r > best {
				best, l.Unified = r, point
			}
		}
	}
	if best == 0 {
		return Layout{}, ErrNoUnified
	}
	return l, nil
}

func rank(point string) int {
	switch point {
	case "/sys/fs/cgroup":
		return 3
	case "/sys/fs/cgroup/unified":
		return 2
	}
	return 1
}

// mountFields gives the mount point and the file system type of one line.
func mountFields(line []byte) (point, fstype string, ok bool) {
	before, after, ok := bytes.Cut(line, []byte(" - "))
	if !ok {
		return "", "", false
	}
	f := bytes.Fields(before)
	g := bytes.Fields(after)
	if len(f) < 6 || len(g) < 1 {
		return "", "", false
	}
	return unescape(f[4]), string(g[0]), true
}

// unescape undoes the octal escapes of blank, tab, newline and backslash in mountinfo.
func unescape(b []byte) string {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) && octal(b[i+1]) && octal(b[i+2]) && octal(b[i+3]) {
			out = append(out, (b[i+1]-'0')<<6|(b[i+2]-'0')<<3|(b[i+3]-'0'))
			i += 3
			continue
		}
		out = append(out, b[i])
	}
	return string(out)
}

func octal(c byte) bool { return c >= '0' && c <= '7' }
