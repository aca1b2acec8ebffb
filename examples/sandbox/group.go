package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/cgroup"
)

// The sandbox's group on the host has two below it: root, which is the top of the tree that
// the sandbox sees, and shell, which holds what this program runs beside init.
const (
	groupPrefix = "sysmaster-sandbox-"
	groupRoot   = "root"
	groupShell  = "shell"
)

// makeGroup makes the sandbox's control groups on the host.
func makeGroup() (string, error) {
	top, err := hostGroups()
	if err != nil {
		return "", fmt.Errorf("cannot make a control group: %w", err)
	}
	dir := filepath.Join(top, groupPrefix+strconv.Itoa(os.Getpid()))
	for _, d := range []string{dir, filepath.Join(dir, groupRoot), filepath.Join(dir, groupShell)} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return "", errors.Join(fmt.Errorf("cannot make a control group: %w", err), removeGroup(dir))
		}
	}
	// Controllers that the host does not hand down are missing inside as well.
	if have, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers")); err == nil {
		for c := range strings.FieldsSeq(string(have)) {
			_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0)
		}
	}
	return dir, nil
}

func hostGroups() (string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	layout, err := cgroup.ParseLayout(text)
	return layout.Unified, err
}

// removeGroup removes a group and those below it. Processes that were just killed may hold
// theirs for a moment.
func removeGroup(dir string) error {
	if dir == "" {
		return nil
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := removeTree(dir)
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		<-time.After(20 * time.Millisecond)
	}
}

func removeTree(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, d := range slices.Backward(dirs) {
		if e := unix.Rmdir(d); e != nil && e != unix.ENOENT {
			err = errors.Join(err, fmt.Errorf("cannot remove %s: %w", d, e))
		}
	}
	return err
}

// sweep removes what sandboxes left that were killed before they could do it themselves.
func sweep() {
	left := glob(os.TempDir())
	if top, err := hostGroups(); err == nil && os.Geteuid() == 0 {
		left = append(left, glob(top)...)
	}
	for _, dir := range left {
		name, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), groupPrefix), "-")
		pid, err := strconv.Atoi(name)
		if err == nil && unix.Kill(pid, 0) == unix.ESRCH {
			_ = removeTree(dir) // only directories that are empty or unused go; somebody else's stay
		}
	}
}

func glob(dir string) []string {
	found, err := filepath.Glob(filepath.Join(dir, groupPrefix+"*"))
	if err != nil { // the pattern is bad: a directory with a bracket in its name
		return nil
	}
	return found
}
