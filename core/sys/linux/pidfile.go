package linux

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/unit"
)

// pidFileMax is how much of a PID file is read; only its first line counts.
const pidFileMax = 64

// pidMax is the kernel's upper limit of process ids (PID_MAX_LIMIT).
const pidMax = 1 << 22

// readPIDFile reads and judges a PID file beside the loop.
func (w *World) readPIDFile(in sys.Intent, e unit.ReadPIDFile, next func()) {
	w.pool.run(func() func() {
		seen := printOf(e.Path)
		proc, err := w.pidFromFile(in, e.Path)
		return func() {
			ev := unit.PIDRead{Seq: in.Seq, Proc: proc}
			if err == errNotYet {
				ev.NotYet = true
				err = fmt.Errorf("PID file %s is not there yet", e.Path)
			}
			if err != nil {
				ev.Err = err.Error()
			}
			w.paths.remember(in.Unit, e.Path, seen)
			w.answer(in, ev)
			next()
		}
	}, w.pidUnread(in, next))
}

// pidUnread answers that no process was found, for an error of our own.
func (w *World) pidUnread(in sys.Intent, next func()) func(error) {
	return func(err error) {
		w.answer(in, unit.PIDRead{Seq: in.Seq, Err: err.Error()})
		next()
	}
}

var errNotYet = errors.New("not yet")

// pidFromFile applies the rules of systemd.service(5), PIDFile=: the file names a live
// process that is neither PID 1 nor the core and that belongs to the unit; one that does
// not is accepted only from a file that root owns and that nobody else could have put
// there. errNotYet: the file is missing or empty.
func (w *World) pidFromFile(in sys.Intent, path string) (unit.Proc, error) {
	fd, safe, err := openChased(path)
	if err == unix.ENOENT {
		return unit.Proc{}, errNotYet
	}
	if err != nil {
		return unit.Proc{}, fmt.Errorf("cannot open PID file %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return unit.Proc{}, fmt.Errorf("cannot open PID file %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return unit.Proc{}, fmt.Errorf("cannot read PID file %s: it is not a regular file", path)
	}
	b, err := readFD(fd, make([]byte, pidFileMax))
	if err != nil {
		return unit.Proc{}, fmt.Errorf("cannot read PID file %s: %w", path, err)
	}
	if len(trimSpace(b)) == 0 {
		return unit.Proc{}, errNotYet
	}
	pid, err := ParsePID(b)
	if err != nil {
		return unit.Proc{}, fmt.Errorf("cannot use PID file %s: %w", path, err)
	}
	proc, own, err := w.judge(in, pid)
	if err != nil {
		return unit.Proc{}, fmt.Errorf("cannot use PID file %s: %w", path, err)
	}
	switch {
	case own:
	case !safe:
		return unit.Proc{}, fmt.Errorf("cannot use PID file %s: process %d does not belong to the unit, and the path has an unsafe link", path, pid)
	case st.Uid != 0:
		return unit.Proc{}, fmt.Errorf("cannot use PID file %s: process %d does not belong to the unit, and the file is not owned by root", path, pid)
	}
	return proc, nil
}

// ParsePID reads the first line of a PID file: one decimal number from 1, blanks around it.
func ParsePID(b []byte) (int, error) {
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	text := string(trimSpace(bytes.TrimRight(line, "\x00")))
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 || n > pidMax || strings.HasPrefix(text, "+") {
		return 0, fmt.Errorf("%q is not a process id", text)
	}
	return n, nil
}

// judge looks at the process that a PID file names.
func (w *World) judge(in sys.Intent, pid int) (p unit.Proc, own bool, err error) {
	if pid == 1 || pid == os.Getpid() {
		return unit.Proc{}, false, fmt.Errorf("process %d is a manager, not a service", pid)
	}
	s, err := readStat(pid)
	if err != nil || s.dead() {
		return unit.Proc{}, false, fmt.Errorf("process %d does not exist", pid)
	}
	p = unit.Proc{PID: pid, Start: s.Start}
	if w.cfg.CGroup != nil {
		return p, in.CGroup != "" && inGroup(w.procCGroup(pid), in.CGroup), nil
	}
	v, ok := environ(pid, "INVOCATION_ID")
	return p, ok && v[0] == hexID(in.Invocation), nil
}

// linksMax is the kernel's own bound of symbolic links in a path.
const linksMax = 40

// openChased opens a path for reading, step by step. safe is false if a step led from
// what an unprivileged user owns to what another one owns: the user could have chosen it.
// The error is a bare errno.
func openChased(path string) (fd int, safe bool, err error) {
	dir, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, false, err
	}
	defer func() { closeFD(dir) }()
	safe = true
	owner := uint32(0)
	todo := strings.Split(strings.Trim(path, "/"), "/")
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		if name == "" || name == "." {
			continue
		}
		next, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, false, err
		}
		var st unix.Stat_t
		if err := unix.Fstat(next, &st); err != nil {
			closeFD(next)
			return -1, false, err
		}
		if owner != 0 && st.Uid != owner {
			safe = false
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			target, err := readLink(next)
			closeFD(next)
			if links++; err == nil && links > linksMax {
				err = unix.ELOOP
			}
			if err != nil {
				return -1, false, err
			}
			if strings.HasPrefix(target, "/") {
				root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
				if err != nil {
					return -1, false, err
				}
				closeFD(dir)
				dir = root
			}
			owner = st.Uid
			todo = append(strings.Split(strings.Trim(target, "/"), "/"), todo...)
			continue
		}
		closeFD(dir)
		dir, owner = next, st.Uid
	}
	fd, err = unix.Open("/proc/self/fd/"+strconv.Itoa(dir), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	return fd, safe, err
}

func readLink(fd int) (string, error) {
	var buf [4096]byte
	n, err := unix.Readlinkat(fd, "", buf[:])
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
