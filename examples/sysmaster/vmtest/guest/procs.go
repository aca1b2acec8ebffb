package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest/wire"
)

// listProcs reads /proc; processes that end meanwhile are left out.
func listProcs() ([]wire.Proc, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	var procs []wire.Proc
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		p, err := parseStat(string(stat))
		if err != nil {
			return nil, fmt.Errorf("cannot read process %d: %w", pid, err)
		}
		procs = append(procs, p)
	}
	return procs, nil
}

// parseStat reads a line of /proc/PID/stat: "pid (comm) state ppid ... starttime ...", where comm may hold blanks and brackets.
func parseStat(line string) (wire.Proc, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 1 || end < open {
		return wire.Proc{}, errors.New("cannot parse stat: no command name")
	}
	rest := strings.Fields(line[end+1:])
	if len(rest) < 20 {
		return wire.Proc{}, errors.New("cannot parse stat: too few fields")
	}
	pid, err1 := strconv.Atoi(strings.TrimSpace(line[:open]))
	ppid, err2 := strconv.Atoi(rest[1])
	start, err3 := strconv.ParseUint(rest[19], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return wire.Proc{}, fmt.Errorf("cannot parse stat: %w", err)
	}
	return wire.Proc{PID: pid, PPID: ppid, Comm: line[open+1 : end], State: rest[0], Start: start}, nil
}

// besideInit reports whether a process is in init's control group. A child that has not executed its program yet has its parent's name, but
// is in its unit's group from the first.
func besideInit(pid int) bool {
	init, err := os.ReadFile("/proc/1/cgroup")
	if err != nil {
		return false
	}
	group, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	return err == nil && string(group) == string(init)
}

// kill signals q.PID, or every process named q.Name beside init, and answers whom it reached. That nobody has the name is no error.
func kill(q wire.Request) (wire.Answer, error) {
	targets := []int{q.PID}
	if q.Name != "" {
		procs, err := listProcs()
		if err != nil {
			return wire.Answer{}, err
		}
		targets = targets[:0]
		for _, p := range procs {
			if p.Comm == q.Name && p.State != "Z" && p.PID != 1 && besideInit(p.PID) {
				targets = append(targets, p.PID)
			}
		}
	}
	var a wire.Answer
	for _, pid := range targets {
		err := unix.Kill(pid, unix.Signal(q.Signal))
		switch {
		case err == nil:
			a.PIDs = append(a.PIDs, pid)
		case q.Name != "" && errors.Is(err, unix.ESRCH):
		default:
			return a, fmt.Errorf("cannot signal %d: %w", pid, err)
		}
	}
	return a, nil
}
