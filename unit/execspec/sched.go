package execspec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sysmaster-go/sysmaster/unit"
)

// schedPolicies are SCHED_* by number; the gap is SCHED_ISO, which never came.
var schedPolicies = [...]string{"other", "fifo", "rr", "batch", "", "idle"}

// ioClasses are IOPRIO_CLASS_* by number.
var ioClasses = [...]string{"none", "realtime", "best-effort", "idle"}

// maxCPU bounds the numbers in a CPU list (the kernel's NR_CPUS is at most 8192).
const maxCPU = 8191

func schedulingKeys(section string) []unit.Key {
	return []unit.Key{
		unit.Bind(unit.Key{Section: section, Name: "CPUSchedulingPolicy", Syntax: "other|batch|idle|fifo|rr", Default: "other", Doc: "The scheduler's policy (man sched(7))."},
			func(c *Context, v string) error {
				i := slices.Index(schedPolicies[:], v)
				if i < 0 || v == "" {
					return fmt.Errorf("%q is not a policy (valid: other, batch, idle, fifo, rr)", v)
				}
				c.CPUSchedulingPolicy, c.CPUSchedulingSet = i, true
				realtime := i == 1 || i == 2
				if realtime {
					c.CPUSchedulingPriority = max(c.CPUSchedulingPriority, 1)
				} else {
					c.CPUSchedulingPriority = 0
				}
				return nil
			}),
		intKey(section, "CPUSchedulingPriority", "1 to 99", "Priority for the policies fifo and rr.", 0, 99, func(c *Context, n int) { c.CPUSchedulingPriority, c.CPUSchedulingSet = n, true }),
		boolKey(section, "CPUSchedulingResetOnFork", "no", "Children do not inherit the policy.", func(c *Context) *bool { return &c.CPUSchedulingResetOnFork }),
		unit.Bind(unit.Key{Section: section, Name: "IOSchedulingClass", Syntax: "none|realtime|best-effort|idle, or 0 to 3", Doc: "I/O scheduling class (man ioprio_set(2))."}, setIOClass),
		intKey(section, "IOSchedulingPriority", "0 to 7", "I/O priority within the class.", 0, 7, func(c *Context, n int) {
			if !c.IOSchedulingSet {
				c.IOSchedulingClass = 2
			}
			c.IOSchedulingPriority, c.IOSchedulingSet = n, true
		}),
		unit.Bind(unit.Key{Section: section, Name: "CPUAffinity", Syntax: "list of CPU numbers and ranges", Doc: "The CPUs that the processes may run on."}, setAffinity),
		unit.Bind(unit.Key{Section: section, Name: "NUMAPolicy", Syntax: "default|preferred|bind|interleave|local", Support: unit.Inert,
			Doc: "Not applied: it changes how fast memory is, not what the process does."}, func(c *Context, v string) error {
			if !slices.Contains([]string{"", "default", "preferred", "bind", "interleave", "local"}, v) {
				return fmt.Errorf("%q is not a NUMA policy", v)
			}
			return nil
		}),
		unit.Bind(unit.Key{Section: section, Name: "NUMAMask", Syntax: "all, or list of node numbers and ranges", Support: unit.Inert,
			Doc: "Not applied, as NUMAPolicy= is not."}, func(c *Context, v string) error {
			if v == "" || v == "all" {
				return nil
			}
			_, err := ParseCPUList(v)
			return err
		}),
	}
}

func setIOClass(c *Context, v string) error {
	i := slices.Index(ioClasses[:], v)
	if n, err := strconv.Atoi(v); err == nil && n >= 0 && n <= 3 {
		i = n
	}
	if i < 0 {
		return fmt.Errorf("%q is not a class (valid: none, realtime, best-effort, idle)", v)
	}
	if !c.IOSchedulingSet {
		c.IOSchedulingPriority = 4 // IOPRIO_NORM
	}
	c.IOSchedulingClass, c.IOSchedulingSet = i, true
	return nil
}

func setAffinity(c *Context, v string) error {
	if v == "" {
		c.CPUAffinity = nil
		return nil
	}
	if v == "numa" {
		return fmt.Errorf("%q is not implemented (valid: CPU numbers and ranges)", v)
	}
	cpus, err := ParseCPUList(v)
	if err != nil {
		return err
	}
	cpus = append(cpus, c.CPUAffinity...)
	slices.Sort(cpus)
	c.CPUAffinity = slices.Compact(cpus)
	return nil
}

// ParseCPUList reads numbers and ranges ("0-3,8 10") separated by blanks or commas; sorted, without repetitions.
func ParseCPUList(v string) ([]int, error) {
	var out []int
	for _, w := range strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		loText, hiText, isRange := strings.Cut(w, "-")
		if !isRange {
			hiText = loText
		}
		lo, err1 := strconv.Atoi(loText)
		hi, err2 := strconv.Atoi(hiText)
		if err1 != nil || err2 != nil || lo < 0 || hi > maxCPU || lo > hi || len(out) > 8*maxCPU {
			return nil, fmt.Errorf("%q is not a CPU number or range (valid: 0 to %d, a-b)", w, maxCPU)
		}
		for ; lo <= hi; lo++ {
			out = append(out, lo)
		}
	}
	if out == nil {
		return nil, fmt.Errorf("%q names no CPU", v)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// FormatCPUList is the inverse: the kernel's list format, "0-3,8".
func FormatCPUList(cpus []int) string {
	var b strings.Builder
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(cpus[i]))
		if j > i {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(cpus[j]))
		}
		i = j + 1
	}
	return b.String()
}
