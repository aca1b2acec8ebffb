package cgroup

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Events is the content of cgroup.events.
type Events struct {
	Populated bool // the group or one below it has processes
	Frozen    bool // every process of it is stopped
}

// Events reads cgroup.events. A group that is not there is empty.
func (r *Root) Events(path string) (Events, error) {
	b, err := r.read(path, "cgroup.events")
	if gone(err) {
		return Events{}, nil
	}
	if err != nil {
		return Events{}, fmt.Errorf("cannot read state of control group %q: %w", path, err)
	}
	return Events{Populated: flatKey(b, "populated") != 0, Frozen: flatKey(b, "frozen") != 0}, nil
}

// Populated reports whether the group or one below it has processes.
func (r *Root) Populated(path string) (bool, error) {
	e, err := r.Events(path)
	return e.Populated, err
}

// Freeze asks the kernel to stop all processes of the group; Events.Frozen tells when they are.
func (r *Root) Freeze(path string) error { return r.Set(path, "cgroup.freeze", "1") }

// Thaw undoes Freeze. Groups below that were frozen themselves stay so.
func (r *Root) Thaw(path string) error { return r.Set(path, "cgroup.freeze", "0") }

// IsFrozen reports whether a process that is put into the group would stop at once: the group
// or an ancestor has been asked to freeze, whether or not that is complete. A kernel without
// the freezer (before 5.2) freezes nothing.
func (r *Root) IsFrozen(path string) (bool, error) {
	for {
		b, err := r.read(path, "cgroup.freeze")
		if err != nil && !gone(err) {
			return false, fmt.Errorf("cannot read freezer of control group %q: %w", path, err)
		}
		if strings.TrimSpace(string(b)) == "1" {
			return true, nil
		}
		if path == "" {
			return false, nil
		}
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			path = path[:i]
		} else {
			path = ""
		}
	}
}

// OOMKills is how many processes of the group and below the kernel's OOM killer took since the
// group was made (memory.events, oom_kill); 0 without the memory controller.
func (r *Root) OOMKills(path string) (uint64, error) {
	b, err := r.read(path, "memory.events")
	if gone(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read memory events of control group %q: %w", path, err)
	}
	return flatKey(b, "oom_kill"), nil
}

// flatKey finds a number in a flat keyed file, "KEY VALUE" per line; 0 when it is not there.
func flatKey(b []byte, key string) uint64 {
	for line := range strings.Lines(string(b)) {
		k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if k == key {
			n, err := strconv.ParseUint(v, 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

// SetMark attaches a short value to a group that lives as long as the group does and that its
// processes cannot forge ("trusted." extended attribute; "user." where that is not permitted).
// systemd keeps "invocation_id" so.
func (r *Root) SetMark(path, name, value string) error {
	fd, err := r.openDir(path)
	if err != nil {
		return fmt.Errorf("cannot mark control group %q: %w", path, err)
	}
	defer unix.Close(fd)
	err = unix.Fsetxattr(fd, "trusted."+name, []byte(value), 0)
	if err == unix.EPERM || err == unix.EOPNOTSUPP {
		err = unix.Fsetxattr(fd, "user."+name, []byte(value), 0)
	}
	if err != nil {
		return fmt.Errorf("cannot mark control group %q with %s: %w", path, name, err)
	}
	return nil
}

// Mark reads a value set by SetMark; empty when there is none, or no such group.
func (r *Root) Mark(path, name string) (string, error) {
	fd, err := r.openDir(path)
	if gone(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read mark of control group %q: %w", path, err)
	}
	defer unix.Close(fd)
	buf := make([]byte, 256)
	n, err := unix.Fgetxattr(fd, "trusted."+name, buf)
	if err != nil {
		n, err = unix.Fgetxattr(fd, "user."+name, buf)
	}
	if err == unix.ENODATA || err == unix.EOPNOTSUPP {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read mark %s of control group %q: %w", name, path, err)
	}
	return string(buf[:n]), nil
}
