package cgroup

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// signalPasses bounds the rounds of Signal: each round meets only processes that were forked
// during the round before, so more than a few means a fork bomb, which cgroup.kill ends.
const signalPasses = 64

// Procs calls f with each process of the group and of all below it; f returns false to end.
// Processes of other PID namespaces (0 in the file) are left out. A group that is not there
// has none. The list is a snapshot only: processes fork and exit meanwhile.
func (r *Root) Procs(path string, f func(pid int) bool) error {
	left := MaxProcs
	stop := errors.New("stop")
	err := r.Walk(path, false, func(p string) error {
		b, err := r.readProcs(p)
		if gone(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot list processes of control group %q: %w", p, err)
		}
		for _, pid := range parsePids(b) {
			if left--; left < 0 {
				return fmt.Errorf("cannot list processes of control group %q: %w", path, ErrTooBig)
			}
			if !f(pid) {
				return stop
			}
		}
		return nil
	})
	if err == stop {
		return nil
	}
	return err
}

// readProcs reads cgroup.procs; a threaded group has only cgroup.threads, whose numbers
// serve kill(2) as well.
func (r *Root) readProcs(path string) ([]byte, error) {
	name, err := r.file(path, "cgroup.procs")
	if err != nil {
		return nil, err
	}
	const limit = 8 * MaxProcs // seven digits and a newline each
	b, err := readAt(r.fd, name, limit)
	if err == unix.EOPNOTSUPP {
		if name, err = r.file(path, "cgroup.threads"); err == nil {
			b, err = readAt(r.fd, name, limit)
		}
	}
	return b, err
}

// parsePids reads one positive number per line and passes over everything else.
func parsePids(b []byte) []int {
	var pids []int
	n, digits, bad := 0, 0, false
	for _, c := range b {
		switch {
		case c == '\n':
			if digits > 0 && !bad && n > 0 {
				pids = append(pids, n)
			}
			n, digits, bad = 0, 0, false
		case c >= '0' && c <= '9' && digits < 9:
			n = n*10 + int(c-'0')
			digits++
		default:
			bad = true
		}
	}
	if digits > 0 && !bad && n > 0 {
		pids = append(pids, n)
	}
	return pids
}

// Signal sends sig to every process of the group and of all below it, each once, except
// those listed, and those that were forked meanwhile as well. It returns how many it reached.
// Nobody there is no error; processes that it may not signal are reported after the rest was done.
func (r *Root) Signal(path string, sig int, except []int) (int, error) {
	seen := make(map[int]bool, len(except))
	for _, p := range except {
		seen[p] = true
	}
	reached := 0
	var first error
	for range signalPasses {
		fresh := false
		err := r.Procs(path, func(pid int) bool {
			if seen[pid] {
				return true
			}
			seen[pid], fresh = true, true
			switch err := unix.Kill(pid, unix.Signal(sig)); err {
			case nil:
				reached++
			case unix.ESRCH:
			default:
				if first == nil {
					first = fmt.Errorf("cannot signal process %d of control group %q: %w", pid, path, err)
				}
			}
			return true
		})
		if err != nil {
			return reached, errors.Join(first, err)
		}
		if !fresh {
			return reached, first
		}
	}
	return reached, errors.Join(first, fmt.Errorf("cannot signal control group %q: it forks faster than it can be signalled", path))
}

// Kill asks the kernel to SIGKILL the whole group at once, new forks included (cgroup.kill,
// Linux 5.14); where it cannot, every process is signalled. It does not wait until they are
// gone: cgroup.events tells. A group that is not there is no error.
func (r *Root) Kill(path string) error {
	err := r.write(path, "cgroup.kill", "1")
	if err == nil {
		return nil
	}
	if !gone(err) && err != unix.EOPNOTSUPP && err != unix.EACCES && err != unix.EROFS {
		return fmt.Errorf("cannot kill control group %q: %w", path, err)
	}
	_, err = r.Signal(path, int(unix.SIGKILL), nil)
	return err
}
