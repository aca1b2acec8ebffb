package state

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// NewPrivateDir makes a tmpfs that is attached nowhere, and returns its directory, which is all that there is of it: it
// has its own bound of memory, and nobody can fill it, remount it read-only, mount over it or remove it by a path, as all of
// that can happen to a directory in /run. It lasts as long as a descriptor of this very open file does (dup(2) and SCM_RIGHTS
// give one, opening /proc/PID/fd/N does not). Root reaches it through /proc/PID/fd/N of whoever has it.
//
// size is tmpfs's own word: bytes with k, m or g, or "20%" of the memory (tmpfs(5)). The error wraps EPERM without
// CAP_SYS_ADMIN over the mount namespace, ENOSYS before Linux 5.2 and ENODEV without tmpfs.
func NewPrivateDir(size string) (*os.File, error) {
	fail := func(what string, err error) (*os.File, error) {
		return nil, fmt.Errorf("cannot make a private directory for the state: %s: %w", what, err)
	}
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fail("fsopen", err)
	}
	defer unix.Close(fs)
	for _, o := range [...][2]string{{"size", size}, {"mode", "0700"}, {"nr_inodes", strconv.Itoa(privateInodes)}} {
		if err := unix.FsconfigSetString(fs, o[0], o[1]); err != nil {
			return fail(o[0]+"="+o[1], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return fail("create", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return fail("fsmount", err)
	}
	return os.NewFile(uintptr(fd), "state"), nil
}

// privateInodes bounds the files of a private directory: there are a dozen, and at most 64 logs of cores that died early.
const privateInodes = 1024

// NewDirFDFS returns the directory that dir is open on as an FS, whatever its path is and whether it has one. dir is used
// as long as the FS is, and stays the caller's.
func NewDirFDFS(dir *os.File) *DirFS { return &DirFS{at: int(dir.Fd()), file: dir} }

// Copy copies the files of a store, byte by byte, with what is damaged in them. to is empty, or has what a Copy that did
// not end left there. from is not changed, and nobody must write to either meanwhile.
func Copy(to, from FS) error {
	names, err := from.List()
	if err != nil {
		return fmt.Errorf("cannot copy the state: %w", err)
	}
	for _, name := range names {
		if _, ok := parseName(name); !ok {
			continue // locks, and snapshots that were not finished
		}
		if err := copyFile(to, from, name); err != nil {
			return fmt.Errorf("cannot copy state file %s: %w", name, err)
		}
	}
	return nil
}

func copyFile(to, from FS, name string) (err error) {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := to.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	size, err := in.Size()
	if err != nil {
		return err
	}
	buf := make([]byte, min(size, windowSize))
	for at := int64(0); at < size; at += int64(len(buf)) {
		b := buf[:min(size-at, int64(len(buf)))]
		if _, err := in.ReadAt(b, at); err != nil {
			return err
		}
		if _, err := out.WriteAt(b, at); err != nil {
			return err
		}
	}
	return nil
}
