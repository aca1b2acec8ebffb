package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest"
	"github.com/sysmaster-go/sysmaster/examples/sysmaster/vmtest/image"
)

// Sample is what one boot gave. Times are in milliseconds, memory in KiB.
type Sample struct {
	ReadyMS   float64 `json:"ready_ms"`   // from the hand-over to the workload's last stamp
	InitCPU   float64 `json:"init_cpu"`   // of all the init's processes, since the hand-over
	SystemCPU float64 `json:"system_cpu"` // of everything in the machine since the kernel's start, without idling; the same start is in it for all
	PSS       float64 `json:"pss"`
	Private   float64 `json:"private"`
	Anonymous float64 `json:"anonymous"`
	RSS       float64 `json:"rss"`
	OutageMS  float64 `json:"outage_ms,omitempty"` // without an answer from the manager: a killed core, or systemd's daemon-reexec
}

const (
	bootLimit   = 4 * time.Minute
	quietLimit  = time.Minute
	outageLimit = 90 * time.Second
	coreName    = "sysmaster-core"       // its command name
	quietPeriod = 500 * time.Millisecond // how often the processor time is looked at
	tickMS      = 10                     // USER_HZ is 100 on every Linux that Go runs on
)

// measure boots once.
func measure(ctx context.Context, img image.Image, init string, w vmtest.Workload, dir string) (Sample, error) {
	m, err := vmtest.Start(vmtest.Config{
		Image: img, Init: init, Dir: dir, Life: bootLimit + quietLimit + 3*outageLimit,
		Cmdline: []string{"quiet", "loglevel=1", "systemd.show_status=no", "systemd.unit=" + w.Target},
	})
	if err != nil {
		return Sample{}, err
	}
	defer m.Close()
	s, err := observe(ctx, m)
	if err == nil && w.Outage {
		s.OutageMS, err = measureOutage(ctx, m, init)
	}
	if err != nil {
		return Sample{}, fmt.Errorf("cannot measure %s with %s: %w\nend of the console:\n%s", init, w.Target, err, m.Console.Tail(4000))
	}
	return s, nil
}

// measureOutage takes the median of some outages of one machine.
func measureOutage(ctx context.Context, m *vmtest.Machine, init string) (float64, error) {
	const outages = 3
	name, signal, window := coreName, syscall.SIGKILL, time.Second
	if init == vmtest.SystemdPath {
		// systemd(1), SIGNALS: SIGTERM is daemon-reexec. It is taken some time later, while questions are still answered.
		name, signal, window = "", syscall.SIGTERM, 20*time.Second
	}
	var values []float64
	for range outages {
		asking, cancel := context.WithTimeout(ctx, outageLimit)
		d, err := m.Outage(asking, name, int(signal), window)
		cancel()
		if err != nil {
			return 0, err
		}
		values = append(values, float64(d)/float64(time.Millisecond))
	}
	slices.Sort(values)
	return values[outages/2], nil
}

func observe(ctx context.Context, m *vmtest.Machine) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	if err := m.AwaitAgent(ctx); err != nil {
		return Sample{}, err
	}
	if err := m.AwaitReady(ctx); err != nil {
		return Sample{}, err
	}
	var s Sample
	all, err := awaitQuiet(ctx, m)
	if err != nil {
		return Sample{}, err
	}
	before, err := processCPU(ctx, m, "/dev/vmtest/handover.stat")
	if err != nil {
		return Sample{}, err
	}
	s.InitCPU = all - before
	if s.SystemCPU, err = systemCPU(ctx, m); err != nil {
		return Sample{}, err
	}
	if s.ReadyMS, err = readyTime(ctx, m); err != nil {
		return Sample{}, err
	}
	return s, addMemory(ctx, m, &s)
}

// readyTime compares two stamps of the guest's monotonic clock.
func readyTime(ctx context.Context, m *vmtest.Machine) (float64, error) {
	handover, err := m.Read(ctx, "/dev/vmtest/handover")
	if err != nil {
		return 0, err
	}
	stamps, err := m.Read(ctx, "/dev/vmtest/stamps")
	if err != nil {
		return 0, err
	}
	from, err := strconv.ParseInt(strings.TrimSpace(handover), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot read the hand-over's stamp: %w", err)
	}
	last := int64(0)
	for _, line := range strings.Fields(stamps) {
		at, err := strconv.ParseInt(line, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("cannot read a workload's stamp: %w", err)
		}
		last = max(last, at)
	}
	return float64(last-from) / 1e6, nil
}

// initPIDs are PID 1 and, of ours, the core and whatever else the init system keeps running.
func initPIDs(ctx context.Context, m *vmtest.Machine) ([]int, error) {
	procs, err := m.Procs(ctx)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, p := range procs {
		if p.PID == 1 || strings.HasPrefix(p.Comm, "sysmaster-") || strings.HasPrefix(p.Comm, "systemd-") {
			pids = append(pids, p.PID)
		}
	}
	return pids, nil
}

// initCPU sums the processor time of the init's processes.
func initCPU(ctx context.Context, m *vmtest.Machine) (float64, error) {
	pids, err := initPIDs(ctx, m)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, pid := range pids {
		ms, err := processCPU(ctx, m, fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		sum += ms
	}
	return sum, nil
}

func processCPU(ctx context.Context, m *vmtest.Machine, path string) (float64, error) {
	stat, err := m.Read(ctx, path)
	if err != nil {
		return 0, err
	}
	return parseCPU(stat)
}

// parseCPU gives utime+stime of a /proc/PID/stat line: fields 14 and 15, counted from behind the command name, which may hold anything.
func parseCPU(stat string) (float64, error) {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 13 {
		return 0, fmt.Errorf("cannot read the processor time in %q", stat)
	}
	user, err := strconv.ParseUint(f[11], 10, 48)
	if err != nil {
		return 0, fmt.Errorf("cannot read the user time: %w", err)
	}
	system, err := strconv.ParseUint(f[12], 10, 48)
	if err != nil {
		return 0, fmt.Errorf("cannot read the system time: %w", err)
	}
	return float64(user+system) * tickMS, nil
}

// awaitQuiet waits until the init's processor time has stood still twice in a row, or for quietLimit, and gives it.
func awaitQuiet(ctx context.Context, m *vmtest.Machine) (float64, error) {
	tick := time.NewTicker(quietPeriod)
	defer tick.Stop()
	deadline := time.Now().Add(quietLimit)
	last, still := -1.0, 0
	for still < 2 && time.Now().Before(deadline) {
		now, err := initCPU(ctx, m)
		if err != nil {
			return 0, err
		}
		if still++; now > last {
			still = 0
		}
		last = now
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("cannot await a quiet machine: %w", ctx.Err())
		}
	}
	return last, nil
}

// systemCPU sums /proc/stat's first line without idle and iowait, its fourth and fifth number.
func systemCPU(ctx context.Context, m *vmtest.Machine) (float64, error) {
	stat, err := m.Read(ctx, "/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(stat, "\n")
	sum := 0.0
	for i, word := range strings.Fields(strings.TrimPrefix(line, "cpu")) {
		n, err := strconv.ParseUint(word, 10, 48)
		if err != nil {
			return 0, fmt.Errorf("cannot read the machine's processor time: %w", err)
		}
		if i != 3 && i != 4 {
			sum += float64(n) * tickMS
		}
	}
	return sum, nil
}

// addMemory adds the memory of the init's processes up.
func addMemory(ctx context.Context, m *vmtest.Machine, s *Sample) error {
	pids, err := initPIDs(ctx, m)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		rollup, err := m.Read(ctx, fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return err
		}
		memory, err := parseRollup(rollup)
		if err != nil {
			return err
		}
		s.RSS += memory["Rss"]
		s.PSS += memory["Pss"]
		s.Private += memory["Private_Clean"] + memory["Private_Dirty"]
		s.Anonymous += memory["Anonymous"]
	}
	return nil
}

// parseRollup reads the "Name:   123 kB" lines of smaps_rollup.
func parseRollup(text string) (map[string]float64, error) {
	memory := map[string]float64{}
	for _, line := range strings.Split(text, "\n") {
		name, value, ok := strings.Cut(line, ":")
		number, unit := strings.CutSuffix(value, " kB")
		if !ok || !unit {
			continue // the first line names the address range
		}
		n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 48)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s of smaps_rollup: %w", name, err)
		}
		memory[name] = float64(n)
	}
	for _, name := range [...]string{"Rss", "Pss", "Private_Clean", "Private_Dirty", "Anonymous"} {
		if _, ok := memory[name]; !ok {
			return nil, fmt.Errorf("cannot read smaps_rollup: no %s", name)
		}
	}
	return memory, nil
}
