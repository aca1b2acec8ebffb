package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/sysmaster-go/sysmaster/core/sys/linux"
	"github.com/sysmaster-go/sysmaster/state"
	"github.com/sysmaster-go/sysmaster/unit"
)

const (
	// stateDir is where the log can be looked at: a symbolic link to the descriptor that init keeps. Where private
	// directories are not possible it is the log's directory itself, as it was before there were any.
	stateDir = "/run/sysmaster/state"
	stateKey = "state"
)

// openState gives the private directory of the log that init keeps, so that nobody can fill it, remount it or take it
// away; where that is not possible, stateDir. size bounds the private directory, in tmpfs's words.
func openState(w *linux.World, size string, con *console) state.FS {
	dir, err := privateDir(w, size)
	if err != nil {
		con.say(unit.LevelWarning, "the state is kept in "+stateDir+", where others can fill or remove it: "+err.Error(), false)
		return state.NewDirFS(stateDir)
	}
	if err := showState(dir); err != nil { // a convenience only
		con.say(unit.LevelInfo, "cannot show the state in "+stateDir+": "+err.Error(), false)
	}
	return state.NewDirFDFS(dir)
}

// privateDir takes the directory over from init, or makes it, with what stateDir has from a core before that used it.
func privateDir(w *linux.World, size string) (*os.File, error) {
	if w.Held(stateKey) {
		return w.File(stateKey)
	}
	dir, err := state.NewPrivateDir(size)
	if err != nil {
		return nil, err
	}
	if err = moveIn(dir); err == nil {
		err = w.Keep(stateKey, int(dir.Fd()))
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// moveIn copies the state of a running machine. Until init has the new directory the old one counts; then showState removes it.
func moveIn(dir *os.File) error {
	if st, err := os.Lstat(stateDir); err != nil || !st.IsDir() {
		return nil
	}
	old := state.NewDirFS(stateDir)
	unlock, err := old.Lock("lock")
	if errors.Is(err, state.ErrLocked) {
		return fmt.Errorf("cannot move the state from %s: %w", stateDir, err)
	}
	if err == nil {
		defer unlock.Close()
	}
	return state.Copy(state.NewDirFDFS(dir), old)
}

// showState makes stateDir a link to init's descriptor of dir, unless it is one.
func showState(dir *os.File) error {
	if shown(dir) {
		return nil
	}
	target, err := initsDescriptor(dir)
	if err != nil {
		return err
	}
	if have, err := os.Readlink(stateDir); err == nil && have == target {
		return nil
	}
	if st, err := os.Lstat(stateDir); err == nil && st.IsDir() {
		if err := os.RemoveAll(stateDir); err != nil {
			return err
		}
	}
	next := stateDir + ".new"
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return err
	}
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, next); err != nil {
		return err
	}
	return os.Rename(next, stateDir)
}

// shown reports whether stateDir is a link to dir.
func shown(dir *os.File) bool {
	link, err := os.Lstat(stateDir)
	if err != nil || link.Mode().Type() != fs.ModeSymlink {
		return false
	}
	want, err := dir.Stat()
	if err != nil {
		return false
	}
	got, err := os.Stat(stateDir)
	return err == nil && os.SameFile(want, got)
}

const runDir = "/run/sysmaster"

// initsDescriptor finds the path by which init's descriptor of dir can be followed.
func initsDescriptor(dir *os.File) (string, error) {
	want, err := dir.Stat()
	if err != nil {
		return "", err
	}
	fds := "/proc/" + strconv.Itoa(os.Getppid()) + "/fd"
	names, err := os.ReadDir(fds)
	if err != nil {
		return "", err
	}
	for _, n := range names {
		path := fds + "/" + n.Name()
		if got, err := os.Stat(path); err == nil && os.SameFile(want, got) {
			return path, nil
		}
	}
	return "", fmt.Errorf("cannot find it in %s: %w", fds, fs.ErrNotExist)
}
