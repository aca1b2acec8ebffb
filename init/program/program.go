package program

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/init/keep"
)

// Program is one that is held open.
type Program struct {
	FD      int // 0: none
	Path    string
	Version string
}

// Release closes it; the zero value is none.
func (p *Program) Release() {
	if p.FD > 0 {
		keep.Release(p.FD)
	}
	*p = Program{}
}

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
	return Above(fd)
}

// Above moves a descriptor out of the way of those that children get by number.
func Above(fd int) (int, error) {
	moved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 16)
	keep.Release(fd)
	if err != nil {
		return 0, err
	}
	return moved, nil
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

// Identity is what a file is, whatever its descriptor.
func Identity(fd int) handover.FD {
	f, err := handover.Identify("", fd)
	if err != nil {
		return handover.FD{}
	}
	f.FD = 0
	return f
}
