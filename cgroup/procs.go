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
	reached, quiet := 0, 0
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
		// Once more before it counts as done: a fork that was under way shows only when it is through.
		if quiet++; fresh {
			quiet = 0
		}
		if quiet == 2 {
			return reached, first
		}
	}
	return reached, errors.Join(first, fmt.Errorf("cannot signal control group %q: it forks faster than it can be signalled", path))
}

// Kill sends SIGKILL to every process of the group and of all below it. A group that forks faster than that, or
// that cannot be signalled, is ended by the kernel at once (cgroup.kill, Linux 5.14), and is not for use after that: since 6.14 the
// kernel kills at birth whatever is cloned into a group that was ended so (kill_seq in kernel/cgroup/cgroup.c is
// compared with that of the parent's group), until the group is made anew. Kill does not wait until the processes
// are gone: cgroup.events tells. A group that is not there is no error.
func (r *Root) Kill(path string) error {
	_, err := r.Signal(path, int(unix.SIGKILL), nil)
	if err == nil {
		return nil
	}
	if werr := r.write(path, "cgroup.kill", "1"); werr != nil && !gone(werr) {
		return errors.Join(err, fmt.Errorf("cannot kill control group %q: %w", path, werr))
	}
	return nil
}
