package linux

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/unit"
)

// errStat says that a line is not one of /proc/PID/stat.
var errStat = errors.New("cannot parse /proc/PID/stat")

// procStat is what a world wants to know of /proc/PID/stat (man proc(5)).
type procStat struct {
	State   byte // 'Z' and 'X': dead
	Parent  int
	Session int
	Start   uint64 // clock ticks since boot
}

func (s procStat) dead() bool { return s.State == 'Z' || s.State == 'X' }

// parseStat reads "pid (comm) state ppid pgrp session ..."; comm may hold anything, also
// blanks and parentheses, so the fields are counted from its last one.
func parseStat(b []byte) (procStat, error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return procStat{}, errStat
	}
	f := bytes.Fields(b[i+1:])
	const state, ppid, session, starttime = 0, 1, 3, 19 // field 3 of the file is f[0]
	if len(f) <= starttime || len(f[state]) != 1 {
		return procStat{}, errStat
	}
	s := procStat{State: f[state][0]}
	var err1, err2, err3 error
	s.Parent, err1 = strconv.Atoi(string(f[ppid]))
	s.Session, err2 = strconv.Atoi(string(f[session]))
	s.Start, err3 = strconv.ParseUint(string(f[starttime]), 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return procStat{}, errStat
	}
	return s, nil
}

// readStat reads a process's stat file. unix.ENOENT or ESRCH: there is no such process.
func readStat(pid int) (procStat, error) {
	var buf [1024]byte
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return procStat{}, err
	}
	n, err := unix.Read(fd, buf[:]) // one line, which the kernel gives in one piece
	closeFD(fd)
	if err != nil {
		return procStat{}, err
	}
	return parseStat(buf[:n])
}

// alive reports whether the process is there and has not ended.
func alive(p unit.Proc) bool {
	s, err := readStat(p.PID)
	return err == nil && !s.dead() && (p.Start == 0 || s.Start == p.Start)
}

// readProc reads one small file of a process; what does not fit into buf is left.
func readProc(pid int, file string, buf []byte) ([]byte, error) {
	return readSmall("/proc/"+strconv.Itoa(pid)+"/"+file, buf)
}

// readSmall reads at most len(buf) bytes of a file. The error is the bare errno.
func readSmall(path string, buf []byte) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return readFD(fd, buf)
}

func readFD(fd int, buf []byte) ([]byte, error) {
	n := 0
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	return buf[:n], nil
}

// unifiedPath finds the v2 line "0::/path" in /proc/PID/cgroup. A group that was removed
// is shown with " (deleted)" behind, which belongs to nobody.
func unifiedPath(b []byte) string {
	for line := range strings.Lines(string(b)) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			if strings.HasSuffix(p, " (deleted)") {
				return ""
			}
			return p
		}
	}
	return ""
}

// relative is a path of the hierarchy seen from the managed root; "" if it is not below.
func relative(root, path string) string {
	if root == "/" {
		root = ""
	}
	rest, ok := strings.CutPrefix(path, root+"/")
	if !ok {
		return ""
	}
	return rest
}

// procCGroup is the control group of a process, relative to the managed root.
func (w *World) procCGroup(pid int) string {
	if w.cfg.CGroup == nil {
		return ""
	}
	b, err := readProc(pid, "cgroup", make([]byte, 4096))
	if err != nil {
		return "" // it is gone
	}
	return relative(w.cfg.CGroupPath, unifiedPath(b))
}

// environMax is how much of an environment is searched for our marks, which come first.
const environMax = 256 << 10

// environ finds variables in a process's environment. ok is false when there is none to
// read: it is gone, a kernel thread, or has overwritten it (setproctitle).
func environ(pid int, names ...string) (values []string, ok bool) {
	buf := make([]byte, 8<<10)
	b, err := readProc(pid, "environ", buf)
	if err == nil && len(b) == len(buf) { // most are smaller
		b, err = readProc(pid, "environ", make([]byte, environMax))
	}
	if err != nil || len(b) == 0 {
		return nil, false
	}
	return lookupEnviron(b, names), bytes.IndexByte(b, '=') > 0
}

// lookupEnviron searches NUL-terminated KEY=VALUE strings.
func lookupEnviron(b []byte, names []string) []string {
	values := make([]string, len(names))
	for len(b) > 0 {
		var entry []byte
		entry, b, _ = bytes.Cut(b, []byte{0})
		key, value, _ := bytes.Cut(entry, []byte{'='})
		for i, n := range names {
			if values[i] == "" && string(key) == n {
				values[i] = string(value)
			}
		}
	}
	return values
}

// allPIDs lists /proc.
func allPIDs(f func(pid int)) error {
	fd, err := unix.Open("/proc", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	buf := make([]byte, 16384)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n <= 0 {
			return nil
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
				f(pid)
			}
		}
	}
}
