package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A service writes one line for each thing that happens to it, in one write of a file that
// is open for appending, so that lines of an old and a new process never mix:
//
//	start PID TICKS     it is there; TICKS is its start time (proc_pid_stat(5), field 22)
//	note PID N          the notification STATUS=N was sent
//	term PID 0          it was asked to end (SIGTERM), and does
//	exit PID STATUS     it ends with this status
//	die PID SIGNAL      it kills itself with this signal

// process is one process, told from a later one with the same number by its start time.
type process struct {
	pid   int
	ticks uint64
}

// end is how a process ended by its own account.
type end struct {
	how    string // "term", "exit", "die"; empty: not told
	status int    // or signal
}

// life is what a service has done so far.
type life struct {
	starts int
	now    process // the newest
	end    end     // of now
	note   int     // the newest notification that any process sent
	alive  bool    // now still is there; not from the journal
}

// parseJournal reads a journal; a line that nobody of us wrote is an error.
func parseJournal(text string) (life, error) {
	var l life
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return l, fmt.Errorf("cannot read the journal line %q", line)
		}
		pid, err1 := strconv.Atoi(f[1])
		n, err2 := strconv.ParseUint(f[2], 10, 64)
		if err1 != nil || err2 != nil {
			return l, fmt.Errorf("cannot read the journal line %q", line)
		}
		switch f[0] {
		case "start":
			l.starts++
			l.now, l.end = process{pid, n}, end{}
		case "note":
			l.note = int(n)
		case "term", "exit", "die":
			if pid == l.now.pid {
				l.end = end{f[0], int(n)}
			}
		default:
			return l, fmt.Errorf("cannot read the journal line %q", line)
		}
	}
	return l, nil
}

// readLife reads a service's journal and asks the kernel for its process.
func readLife(dir, name string) (life, error) {
	b, err := os.ReadFile(journalPath(dir, name))
	if os.IsNotExist(err) {
		return life{}, nil
	}
	if err != nil {
		return life{}, err
	}
	l, err := parseJournal(string(b))
	l.alive = l.now.pid != 0 && l.now.there()
	return l, err
}

// there reports whether exactly this process lives.
func (p process) there() bool {
	s, err := readStat(p.pid)
	return err == nil && s.state != 'Z' && s.state != 'X' && s.ticks == p.ticks
}

// stat is what is needed of /proc/PID/stat.
type stat struct {
	state  byte
	parent int
	ticks  uint64
}

// readStat reads the fields 3, 4 and 22 of /proc/PID/stat (proc_pid_stat(5)); the name
// before them is in parentheses and may hold anything.
func readStat(pid int) (stat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 20 {
		return stat{}, fmt.Errorf("cannot read /proc/%d/stat: %d fields", pid, len(f)+2)
	}
	parent, err := strconv.Atoi(string(f[1]))
	if err != nil {
		return stat{}, err
	}
	ticks, err := strconv.ParseUint(string(f[19]), 10, 64)
	return stat{f[0][0], parent, ticks}, err
}

// journal is a service's own file.
type journal struct{ fd int }

func openJournal(dir, name string) (journal, error) {
	fd, err := unix.Open(journalPath(dir, name), unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC, 0o644)
	return journal{fd}, err
}

func (j journal) line(what string, n uint64) error {
	_, err := unix.Write(j.fd, fmt.Appendf(nil, "%s %d %d\n", what, os.Getpid(), n))
	return err
}
