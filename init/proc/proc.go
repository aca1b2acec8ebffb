package proc

import (
	"bytes"
	"strconv"

	"golang.org/x/sys/unix"
)

// Stat is the part of /proc/PID/stat that PID 1 uses; see proc_pid_stat(5).
type Stat struct {
	State     byte   // 'R', 'S', 'Z' ... (field 3)
	PPID      int    // field 4
	Session   int    // pid of the session leader (field 6)
	Flags     uint64 // PF_* of the kernel (field 9)
	StartTime uint64 // clock ticks after boot (field 22)
}

// KernelThread reports PF_KTHREAD (include/linux/sched.h).
func (s Stat) KernelThread() bool { return s.Flags&0x00200000 != 0 }

// ParseStat reads the contents of /proc/PID/stat. The second field is the
// process's name in parentheses, in which anything may stand, also ")".
func ParseStat(b []byte) (Stat, bool) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return Stat{}, false
	}
	var s Stat
	rest := b[end+1:]
	for field := 3; field <= 22; field++ {
		rest = bytes.TrimLeft(rest, " ")
		word := rest
		if i := bytes.IndexAny(rest, " \n"); i >= 0 {
			word, rest = rest[:i], rest[i:]
		} else {
			rest = nil
		}
		if len(word) == 0 {
			return Stat{}, false
		}
		if field == 3 {
			s.State = word[0]
			continue
		}
		if field != 4 && field != 6 && field != 9 && field != 22 {
			continue
		}
		n, err := strconv.ParseUint(string(word), 10, 64)
		if err != nil {
			return Stat{}, false
		}
		switch field {
		case 4:
			s.PPID = int(n)
		case 6:
			s.Session = int(n)
		case 9:
			s.Flags = n
		case 22:
			s.StartTime = n
		}
	}
	return s, true
}

// ParseCgroup finds the process's path in the contents of /proc/PID/cgroup
// (cgroups(7)): that of the unified hierarchy, "0::/path"; on a hybrid machine
// whose unified hierarchy is not used, that of "name=systemd". The kernel's
// mark of a removed group, " (deleted)", is taken off.
func ParseCgroup(b []byte) []byte {
	var unified, named []byte
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		// Fields by position: a group's own name may contain what the third begins with.
		id, rest, _ := bytes.Cut(line, []byte(":"))
		controllers, path, ok := bytes.Cut(rest, []byte(":"))
		switch {
		case ok && string(id) == "0" && len(controllers) == 0:
			unified = path
		case ok && string(controllers) == "name=systemd":
			named = path
		}
	}
	if len(unified) <= 1 && len(named) > 0 {
		unified = named
	}
	return bytes.TrimSuffix(unified, []byte(" (deleted)"))
}

// ParseOOMKills finds the count in the contents of memory.events.local: "oom_kill 3"
// (Documentation/admin-guide/cgroup-v2.rst).
func ParseOOMKills(b []byte) (uint64, bool) {
	for line := range bytes.Lines(b) {
		if text, ok := bytes.CutPrefix(line, []byte("oom_kill ")); ok {
			n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// Path gives "/proc/PID/name".
func Path(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// ReadCgroup gives the path of a process's group in buf, or nothing when that is
// unknown. A table that fills buf is cut off, and so may be its last path: that of
// another group then. buf should have 8 KiB.
func ReadCgroup(pid int, buf []byte) []byte {
	b, err := Read(Path(pid, "cgroup"), buf)
	if err != nil || len(b) == len(buf) {
		return nil
	}
	return ParseCgroup(b)
}

// Read reads as much of a file as fits into buf.
func Read(path string, buf []byte) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
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

// Write writes text into a file that is there.
func Write(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(text))
	return err
}

// ReadStat reads /proc/PID/stat; false when there is no such process (or no
// /proc). buf should have 1 KiB.
func ReadStat(pid int, buf []byte) (Stat, bool) {
	b, err := Read(Path(pid, "stat"), buf)
	if err != nil {
		return Stat{}, false
	}
	return ParseStat(b)
}

// List gives the names in a directory, in the kernel's order. By system calls:
// package os's directories would link all of time's formatting into PID 1.
func List(path string) ([]string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
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
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// PIDs lists the processes.
func PIDs() ([]int, error) {
	names, err := List("/proc")
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// Descendants lists all processes that have ancestor above them, as far as the
// parents' chain shows it: children that were re-parented past it are not.
func Descendants(ancestor int) ([]int, error) {
	pids, err := PIDs()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 1024)
	parent := make(map[int]int, len(pids))
	for _, pid := range pids {
		if s, ok := ReadStat(pid, buf); ok {
			parent[pid] = s.PPID
		}
	}
	below := pids[:0]
	for _, pid := range pids {
		p := parent[pid]
		for steps := 0; p > 1 && p != ancestor && steps < len(parent); steps++ {
			p = parent[p]
		}
		if p == ancestor {
			below = append(below, pid)
		}
	}
	return below, nil
}
