package program

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/init/keep"
)

// Open opens a regular file for reading and execution, without waiting for anybody.
func Open(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return 0, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = unix.EACCES
	}
	if err != nil {
		keep.Release(fd)
		return 0, err
	}
	return fd, nil
}

// Hold takes over the descriptor of a core's program, out of the way of those that children get by number.
func Hold(fd int, path, version string) (handover.Binary, error) {
	moved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 16)
	keep.Release(fd)
	if err != nil {
		return handover.Binary{}, err
	}
	file, err := handover.Identify("program", moved)
	if err != nil {
		keep.Release(moved)
		return handover.Binary{}, err
	}
	return handover.Binary{File: file, Path: path, Version: version}, nil
}

// Load opens the core's program at a path.
func Load(path string) (handover.Binary, error) {
	fd, err := Open(path)
	if err != nil {
		return handover.Binary{}, err
	}
	return Hold(fd, path, "")
}

// Self is the path of the program that runs, whatever has become of its file.
const Self = "/proc/self/exe"

// OpenSelf opens the file from which this program was started, or what has replaced it.
func OpenSelf() (int, error) {
	if path, err := os.Readlink(Self); err == nil {
		if fd, err := Open(strings.TrimSuffix(path, " (deleted)")); err == nil {
			return fd, nil
		}
	}
	return Open(Self)
}
