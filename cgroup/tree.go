package cgroup

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// Missing is a controller that Create could not enable, and where.
type Missing struct {
	Controller string
	Group      string // the parent whose cgroup.subtree_control refused it
	Err        error  // unix.ENOENT: the parent does not have it; unix.EBUSY: the parent has processes
}

func (m Missing) Error() string {
	return fmt.Sprintf("cannot enable controller %s in control group %q: %v", m.Controller, m.Group, m.Err)
}

// Create makes the group and its ancestors, and enables controllers ("memory", "pids") for it
// in each of them as far as they are available. A controller that is not there is reported and
// does not hinder: the group then exists for tracking only. Groups that exist already are kept.
func (r *Root) Create(path string, controllers []string) ([]Missing, error) {
	if err := check(path); err != nil {
		return nil, fmt.Errorf("cannot create control group: %w", err)
	}
	var missing []Missing
	wanted := append([]string(nil), controllers...)
	for end := 0; end < len(path); {
		parent := path[:end]
		wanted, missing = r.enable(parent, wanted, missing)
		if i := strings.IndexByte(path[end+1:], '/'); i >= 0 {
			end += 1 + i
		} else {
			end = len(path)
		}
		if err := unix.Mkdirat(r.fd, path[:end], 0o755); err != nil && err != unix.EEXIST {
			return missing, fmt.Errorf("cannot create control group %q: %w", path[:end], err)
		}
	}
	return missing, nil
}

// enable turns controllers on for the children of group; what it cannot enable is not
// tried further down.
func (r *Root) enable(group string, wanted []string, missing []Missing) ([]string, []Missing) {
	if len(wanted) == 0 {
		return nil, missing
	}
	on, err := r.read(group, "cgroup.subtree_control")
	if err != nil && err != unix.ENOENT {
		for _, c := range wanted {
			missing = append(missing, Missing{c, group, err})
		}
		return nil, missing
	}
	have := strings.Fields(string(on))
	kept := wanted[:0]
	for _, c := range wanted {
		if !contains(have, c) {
			// One write each: the kernel applies a list as a whole or not at all.
			if err := r.enableOne(group, c); err != nil {
				missing = append(missing, Missing{c, group, err})
				continue
			}
		}
		kept = append(kept, c)
	}
	return kept, missing
}

func (r *Root) enableOne(group, controller string) error {
	available, err := r.read(group, "cgroup.controllers")
	if err != nil {
		return err
	}
	if !contains(strings.Fields(string(available)), controller) {
		return unix.ENOENT
	}
	return r.write(group, "cgroup.subtree_control", "+"+controller)
}

// Children lists the direct sub-groups of a group by name, sorted.
func (r *Root) Children(path string) ([]string, error) {
	names, err := r.children(path)
	if err != nil {
		return nil, fmt.Errorf("cannot list control group %q: %w", path, err)
	}
	return names, nil
}

func (r *Root) children(path string) ([]string, error) {
	fd, err := r.openDir(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var names []string
	buf := make([]byte, 8192)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n <= 0 {
			sort.Strings(names)
			return names, nil
		}
		names = appendDirs(fd, buf[:n], names)
		if len(names) > MaxGroups {
			return nil, ErrTooBig
		}
	}
}

// appendDirs adds the directories among the entries of a getdents64(2) buffer.
func appendDirs(dir int, entries []byte, names []string) []string {
	const nameOffset = 19 // of struct linux_dirent64: ino 8, off 8, reclen 2, type 1
	for len(entries) >= nameOffset {
		size := int(nativeUint16(entries[16:18]))
		if size < nameOffset || size > len(entries) {
			return names
		}
		kind := entries[18]
		name := cstring(entries[nameOffset:size])
		entries = entries[size:]
		if name == "" || name == "." || name == ".." {
			continue
		}
		if kind == unix.DT_UNKNOWN {
			var st unix.Stat_t
			if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
				kind = unix.DT_DIR
			}
		}
		if kind == unix.DT_DIR {
			names = append(names, name)
		}
	}
	return names
}

// Walk calls f for the group and all below it, parents first (children first with postorder).
// Groups that vanish meanwhile are passed over. An error of f ends the walk.
func (r *Root) Walk(path string, postorder bool, f func(path string) error) error {
	if err := check(path); err != nil {
		return err
	}
	left := MaxGroups
	return r.walk(path, postorder, 0, &left, f)
}

func (r *Root) walk(path string, postorder bool, depth int, left *int, f func(string) error) error {
	if *left--; *left < 0 || depth > MaxDepth {
		return fmt.Errorf("cannot walk control group %q: %w", path, ErrTooBig)
	}
	if !postorder {
		if err := f(path); err != nil {
			return err
		}
	}
	names, err := r.children(path)
	if err != nil && !gone(err) {
		return fmt.Errorf("cannot list control group %q: %w", path, err)
	}
	for _, n := range names {
		if path != "" {
			n = path + "/" + n
		}
		if err := r.walk(n, postorder, depth+1, left, f); err != nil {
			return err
		}
	}
	if postorder {
		return f(path)
	}
	return nil
}

// Remove deletes the group and all below it. A group that is not there is no error; one that
// still has processes gives unix.EBUSY by errors.Is, after everything empty was removed.
func (r *Root) Remove(path string) error {
	if path == "" {
		return fmt.Errorf("cannot remove control group: %w: it is the root", ErrPath)
	}
	var first error
	err := r.Walk(path, true, func(p string) error {
		err := unix.Unlinkat(r.fd, p, unix.AT_REMOVEDIR)
		if err != nil && !gone(err) && first == nil {
			first = fmt.Errorf("cannot remove control group %q: %w", p, err)
		}
		return nil
	})
	return errors.Join(err, first)
}

// gone reports whether err means that a group vanished: a removed group's open files say ENODEV.
func gone(err error) bool { return err == unix.ENOENT || err == unix.ENODEV }

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
