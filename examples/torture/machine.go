package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// findCore finds the process that init started, but not the one with the number other.
func (b *bench) findCore(other int) (int, error) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	var pids []int
	for _, d := range dirs {
		if pid, err := strconv.Atoi(d.Name()); err == nil && pid != other {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	for _, pid := range slices.Backward(pids) { // it is mostly the newest
		// By its first argument: init executes a descriptor, so that the kernel's name of it is a number.
		line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		program, _, _ := bytes.Cut(line, []byte{0})
		if err != nil || filepath.Base(string(program)) != b.o.core {
			continue
		}
		group, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
		if err != nil || ofFleet(group) {
			continue
		}
		if st, err := readStat(pid); err == nil && st.parent == 1 && st.state != 'Z' && st.state != 'X' {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("process 1 has no child %s: sysMaster is not what runs here", b.o.core)
}

// ofFleet reports whether the text of /proc/PID/cgroup is that of a service. Between its fork and its
// execution one looks like the core, arguments and all, and when the core has died like the next one.
func ofFleet(cgroup []byte) bool { return bytes.Contains(cgroup, []byte("/"+sliceUnit+"/")) }

// memory is what the core holds.
type memory struct {
	Anonymous int `json:"anonymous_kib"`
	PSS       int `json:"pss_kib"`
}

// restingMemory measures the core when it has had a second without work.
func (b *bench) restingMemory(ctx context.Context) memory {
	pause(ctx, time.Second)
	pid, err := b.findCore(0)
	if err != nil {
		return memory{}
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return memory{}
	}
	m, err := parseRollup(string(text))
	if err != nil {
		return memory{}
	}
	return m
}

// parseRollup reads /proc/PID/smaps_rollup (proc_pid_smaps(5)).
func parseRollup(text string) (m memory, err error) {
	found := 0
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "kB" {
			continue
		}
		n, err := strconv.Atoi(f[1])
		if err != nil {
			return m, err
		}
		switch f[0] {
		case "Anonymous:":
			m.Anonymous = n
			found++
		case "Pss:":
			m.PSS = n
			found++
		}
	}
	if found != 2 {
		return m, errors.New("cannot find Anonymous and Pss")
	}
	return m, nil
}

// loadAverage is the three numbers of uptime(1).
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(b))
	if err != nil || len(f) < 3 {
		return "unknown"
	}
	return strings.Join(f[:3], " ")
}
