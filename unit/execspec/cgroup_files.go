package execspec

import (
	"math"
	"strconv"
	"time"
)

// Capacity is what relative amounts refer to.
type Capacity struct {
	Memory uint64 // bytes of physical memory
	Tasks  uint64 // how many tasks the machine allows (the least of pid_max, threads-max, the root's pids.max)
}

// CGroupFile is one value to write into a file of the unit's control group (kernel
// Documentation/admin-guide/cgroup-v2.rst).
type CGroupFile struct {
	Controller string // must be enabled: "memory"
	Name       string // "memory.max"
	Value      string
	Protects   bool // a limit that the administrator relies on: if it cannot be written, the start fails
}

// Files are the values that c asks for, in a fixed order. What is not set is not listed,
// but for limits that an earlier Realize may have written: those are reset by Resets.
func (c *CGroupContext) Files(m Capacity) []CGroupFile {
	var out []CGroupFile
	add := func(controller, name, value string, protects bool) {
		out = append(out, CGroupFile{controller, name, value, protects})
	}
	switch {
	case c.CPUWeight == CPUWeightIdle:
		add("cpu", "cpu.idle", "1", false)
	case c.CPUWeight != 0:
		add("cpu", "cpu.weight", strconv.FormatUint(c.CPUWeight, 10), false)
	}
	if c.CPUQuotaPerSec > 0 {
		add("cpu", "cpu.max", c.cpuMax(), true)
	}
	if c.AllowedCPUs != nil {
		add("cpuset", "cpuset.cpus", FormatCPUList(c.AllowedCPUs), true)
	}
	if c.AllowedMemoryNodes != nil {
		add("cpuset", "cpuset.mems", FormatCPUList(c.AllowedMemoryNodes), true)
	}
	for _, a := range [...]struct {
		name     string
		amount   Amount
		protects bool
	}{
		{"memory.min", c.MemoryMin, false}, {"memory.low", c.MemoryLow, false}, {"memory.high", c.MemoryHigh, true},
		{"memory.max", c.MemoryMax, true}, {"memory.swap.max", c.MemorySwapMax, false},
	} {
		if a.amount.Set {
			add("memory", a.name, amountText(a.amount.Resolve(m.Memory)), a.protects)
		}
	}
	if c.OOMPolicy == OOMKill {
		add("memory", "memory.oom.group", "1", false)
	}
	if c.TasksMax.Set {
		byDefault := c.TasksMax == NewCGroupContext().TasksMax
		add("pids", "pids.max", amountText(max(c.TasksMax.Resolve(m.Tasks), 1)), !byDefault)
	}
	if c.IOWeight != 0 {
		add("io", "io.weight", "default "+strconv.FormatUint(c.IOWeight, 10), false)
	}
	return out
}

// cpuMax is "QUOTA PERIOD" in microseconds. The kernel refuses quotas under 1 ms, so the
// period grows until the quota is that long.
func (c *CGroupContext) cpuMax() string {
	period := c.CPUQuotaPeriod
	if period == 0 {
		period = 100 * time.Millisecond
	}
	least := time.Duration(float64(time.Millisecond) / float64(c.CPUQuotaPerSec) * float64(time.Second))
	period = min(max(period, least), time.Second)
	quota := time.Duration(float64(c.CPUQuotaPerSec) * float64(period) / float64(time.Second))
	quota = max(quota, time.Millisecond)
	return strconv.FormatInt(quota.Microseconds(), 10) + " " + strconv.FormatInt(period.Microseconds(), 10)
}

func amountText(n uint64) string {
	if n == math.MaxUint64 {
		return "max"
	}
	return strconv.FormatUint(n, 10)
}

// Resets are the files of a controller with the kernel's defaults, for a group whose
// settings were taken back while it exists.
func Resets() []CGroupFile {
	return []CGroupFile{
		{"cpu", "cpu.idle", "0", false}, {"cpu", "cpu.weight", "100", false}, {"cpu", "cpu.max", "max", false},
		{"cpuset", "cpuset.cpus", "", false}, {"cpuset", "cpuset.mems", "", false},
		{"memory", "memory.min", "0", false}, {"memory", "memory.low", "0", false}, {"memory", "memory.high", "max", false},
		{"memory", "memory.max", "max", false}, {"memory", "memory.swap.max", "max", false}, {"memory", "memory.oom.group", "0", false},
		{"pids", "pids.max", "max", false}, {"io", "io.weight", "default 100", false},
	}
}

// Controllers are those that a group with these settings needs, sorted: "memory" and "pids"
// by default, as systemd has it, all of DelegateControllers besides.
func (c *CGroupContext) Controllers() []string {
	need := map[string]bool{"memory": c.MemoryAccounting, "pids": c.TasksAccounting, "io": c.IOAccounting}
	for _, f := range c.Files(Capacity{}) {
		need[f.Controller] = true
	}
	for _, d := range c.DelegateControllers {
		need[d] = true
	}
	all := c.Delegate && c.DelegateControllers == nil
	var out []string
	for _, name := range [...]string{"cpu", "cpuset", "io", "memory", "pids"} {
		if need[name] || all {
			out = append(out, name)
		}
	}
	return out
}
