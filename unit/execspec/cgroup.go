package execspec

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// CGroupContext are the settings of systemd.resource-control(5).
type CGroupContext struct {
	Slice                unit.Name // empty: the default of the kind
	Delegate             bool
	DelegateControllers  []string // nil with Delegate: all
	DisableControllers   []string
	CPUAccounting        bool // accounting booleans are kept for clients; cgroup v2 always counts
	MemoryAccounting     bool
	TasksAccounting      bool
	IOAccounting         bool
	CPUWeight            uint64 // 0: not set; CPUWeightIdle: "idle"
	StartupCPUWeight     uint64
	CPUQuotaPerSec       time.Duration // CPU time per second of wall clock; 0: none
	CPUQuotaPeriod       time.Duration // 0: 100 ms
	AllowedCPUs          []int
	AllowedMemoryNodes   []int
	MemoryMin, MemoryLow Amount
	MemoryHigh           Amount
	MemoryMax            Amount
	MemorySwapMax        Amount
	TasksMax             Amount
	IOWeight             uint64 // 0: not set
	OOMPolicy            OOMPolicy

	// Refused are the settings that protect and are not implemented.
	Refused []Refusal
}

// OOMPolicy says what follows when the kernel's OOM killer took a process (man
// systemd.service(5), OOMPolicy=).
type OOMPolicy uint8

const (
	OOMDefault  OOMPolicy = iota // OOMStop, OOMContinue where the unit delegates
	OOMContinue                  // it is logged
	OOMStop                      // the unit is stopped
	OOMKill                      // the kernel kills all of the group
)

// CPUWeightIdle is CPUWeight=idle.
const CPUWeightIdle = math.MaxUint64

// Amount is a quantity that may be relative to the machine's.
type Amount struct {
	Set   bool
	Value uint64 // MaxUint64: infinity
	// Permyriad, when not 0, makes it that many ten-thousandths of the machine's amount.
	Permyriad uint64
}

// Resolve is the amount on a machine that has total of it.
func (a Amount) Resolve(total uint64) uint64 {
	if a.Permyriad == 0 {
		return a.Value
	}
	return total/10000*a.Permyriad + total%10000*a.Permyriad/10000
}

// NewCGroupContext gives the defaults of systemd 252.
func NewCGroupContext() CGroupContext {
	return CGroupContext{
		MemoryAccounting: true, TasksAccounting: true,
		TasksMax: Amount{Set: true, Permyriad: 1500},
	}
}

// CGroupKeys are the settings of systemd.resource-control(5) for one section, bound to *CGroupContext.
func CGroupKeys(section string) []unit.Key {
	keys := slices.Concat(cgroupActing(section), cgroupLegacy(section), cgroupProtective(section), cgroupInert(section))
	if section == "Service" || section == "Scope" {
		keys = append(keys, wordKey(section, "OOMPolicy", "stop", "What follows when the OOM killer took a process.",
			[]string{"", "continue", "stop", "kill"}, func(c *CGroupContext, n int) { c.OOMPolicy = OOMPolicy(n) }))
	}
	return keys
}

func cgroupActing(section string) []unit.Key {
	return []unit.Key{
		unit.Bind(unit.Key{Section: section, Name: "Slice", Form: unit.FormText, Syntax: "name of a slice", Doc: "The slice that the unit is in."}, setSlice),
		unit.Bind(unit.Key{Section: section, Name: "Delegate", Form: unit.FormWords, Syntax: "boolean, or list of controllers", Default: "no", Doc: "The unit manages its own part of the control groups."}, setDelegate),
		accountingKey(section, "CPUAccounting", func(c *CGroupContext) *bool { return &c.CPUAccounting }),
		accountingKey(section, "MemoryAccounting", func(c *CGroupContext) *bool { return &c.MemoryAccounting }),
		accountingKey(section, "TasksAccounting", func(c *CGroupContext) *bool { return &c.TasksAccounting }),
		accountingKey(section, "IOAccounting", func(c *CGroupContext) *bool { return &c.IOAccounting }),
		unit.Bind(unit.Key{Section: section, Name: "CPUWeight", Syntax: "1 to 10000, or idle", Doc: "Share of CPU time (cpu.weight)."},
			func(c *CGroupContext, v string) error { return setCPUWeight(&c.CPUWeight, v) }),
		unit.Bind(unit.Key{Section: section, Name: "CPUQuota", Syntax: "percentage", Doc: "Limit of CPU time (cpu.max)."}, setCPUQuota),
		unit.Bind(unit.Key{Section: section, Name: "CPUQuotaPeriodSec", Syntax: "time span of 1ms to 1s", Default: "100ms", Doc: "Over what CPUQuota= is measured."}, setCPUQuotaPeriod),
		cpuListKey(section, "AllowedCPUs", "CPUs that the group may use (cpuset.cpus).", func(c *CGroupContext) *[]int { return &c.AllowedCPUs }),
		cpuListKey(section, "AllowedMemoryNodes", "Memory nodes that the group may use (cpuset.mems).", func(c *CGroupContext) *[]int { return &c.AllowedMemoryNodes }),
		amountKey(section, "MemoryMin", "Memory that is never reclaimed (memory.min).", true, func(c *CGroupContext) *Amount { return &c.MemoryMin }),
		amountKey(section, "MemoryLow", "Memory that is reclaimed last (memory.low).", true, func(c *CGroupContext) *Amount { return &c.MemoryLow }),
		amountKey(section, "MemoryHigh", "Where the group is slowed down (memory.high).", true, func(c *CGroupContext) *Amount { return &c.MemoryHigh }),
		amountKey(section, "MemoryMax", "Where the group meets the OOM killer (memory.max).", false, func(c *CGroupContext) *Amount { return &c.MemoryMax }),
		amountKey(section, "MemorySwapMax", "Limit of swap space (memory.swap.max).", true, func(c *CGroupContext) *Amount { return &c.MemorySwapMax }),
		unit.Bind(unit.Key{Section: section, Name: "TasksMax", Syntax: "number, percentage or infinity", Default: "15%", Doc: "Limit of processes and threads (pids.max)."}, setTasksMax),
		unit.Bind(unit.Key{Section: section, Name: "IOWeight", Syntax: "1 to 10000", Doc: "Share of disk time (io.weight)."},
			func(c *CGroupContext, v string) error { return setWeight(&c.IOWeight, v, 10000) }),
	}
}

// cgroupLegacy are the names of cgroup v1, translated as systemd does on cgroup v2 unless
// the newer setting is there.
func cgroupLegacy(section string) []unit.Key {
	scaled := func(name, doc string, hi, from uint64, field func(*CGroupContext) *uint64) unit.Key {
		return unit.Bind(unit.Key{Section: section, Name: name, Syntax: fmt.Sprintf("2 to %d", hi), Doc: doc}, func(c *CGroupContext, v string) error {
			if v == "" {
				return nil
			}
			n, err := parseRange(v, 2, hi)
			if err == nil && *field(c) == 0 {
				*field(c) = min(max(n*100/from, 1), 10000)
			}
			return err
		})
	}
	return []unit.Key{
		scaled("CPUShares", "Old name: CPUWeight= times 10.24.", 262144, 1024, func(c *CGroupContext) *uint64 { return &c.CPUWeight }),
		scaled("BlockIOWeight", "Old name: IOWeight= times 5.", 1000, 500, func(c *CGroupContext) *uint64 { return &c.IOWeight }),
		unit.Bind(unit.Key{Section: section, Name: "MemoryLimit", Syntax: "size, percentage or infinity", Doc: "Old name of MemoryMax=."}, func(c *CGroupContext, v string) error {
			a, err := parseAmount(v, false)
			if err == nil && !c.MemoryMax.Set {
				c.MemoryMax = a
			}
			return err
		}),
	}
}

func accountingKey(section, name string, field func(*CGroupContext) *bool) unit.Key {
	k := boolKey(section, name, "", "Kept for clients: with cgroup v2 the kernel counts wherever the controller is on.", field)
	k.Support = unit.Inert
	return k
}

func cpuListKey(section, name, doc string, field func(*CGroupContext) *[]int) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Syntax: "list of numbers and ranges", Doc: doc}, func(c *CGroupContext, v string) error {
		if v == "" {
			*field(c) = nil
			return nil
		}
		l, err := ParseCPUList(v)
		if err != nil {
			return err
		}
		l = append(l, *field(c)...)
		slices.Sort(l)
		*field(c) = slices.Compact(l)
		return nil
	})
}

func amountKey(section, name, doc string, zero bool, field func(*CGroupContext) *Amount) unit.Key {
	return unit.Bind(unit.Key{Section: section, Name: name, Syntax: "size, percentage or infinity", Doc: doc}, func(c *CGroupContext, v string) error {
		a, err := parseAmount(v, zero)
		if err == nil {
			*field(c) = a
		}
		return err
	})
}

func parseAmount(v string, zero bool) (Amount, error) {
	if v == "" {
		return Amount{}, nil
	}
	if strings.HasSuffix(v, "%") {
		p, err := parsePermyriad(v)
		if err != nil || p > 10000 || p == 0 && !zero {
			return Amount{}, fmt.Errorf("%q is not a valid share (valid: up to 100%%)", v)
		}
		return Amount{Set: true, Permyriad: p}, nil
	}
	n, err := unit.ParseSize(v)
	if err != nil {
		return Amount{}, err
	}
	if n == 0 && !zero {
		return Amount{}, fmt.Errorf("%q is too small", v)
	}
	return Amount{Set: true, Value: n}, nil
}

func setTasksMax(c *CGroupContext, v string) error {
	switch {
	case v == "":
		c.TasksMax = NewCGroupContext().TasksMax
	case v == "infinity":
		c.TasksMax = Amount{Set: true, Value: math.MaxUint64}
	case strings.HasSuffix(v, "%"):
		p, err := parsePermyriad(v)
		if err != nil || p > 10000 || p == 0 {
			return fmt.Errorf("%q is not a valid share (valid: up to 100%%)", v)
		}
		c.TasksMax = Amount{Set: true, Permyriad: p}
	default:
		n, err := parseRange(v, 1, math.MaxInt64)
		if err != nil {
			return err
		}
		c.TasksMax = Amount{Set: true, Value: n}
	}
	return nil
}

func setSlice(c *CGroupContext, v string) error {
	if v == "" {
		c.Slice = ""
		return nil
	}
	n, err := unit.ParseName(v)
	if err != nil || n.Kind() != unit.KindSlice || n.IsTemplate() || n.IsInstance() {
		return fmt.Errorf("%q is not the name of a slice", v)
	}
	c.Slice = n
	return nil
}

// Controllers of cgroup v2 that can be delegated, with the names that only v1 has.
var controllers = [...]string{"cpu", "cpuacct", "cpuset", "io", "blkio", "memory", "devices", "pids", "bpf-firewall", "bpf-devices",
	"bpf-foreign", "bpf-socket-bind", "bpf-restrict-network-interfaces"}

func setDelegate(c *CGroupContext, v string) error {
	if v == "" {
		c.Delegate, c.DelegateControllers = true, []string{}
		return nil
	}
	if b, err := unit.ParseBool(v); err == nil {
		c.Delegate, c.DelegateControllers = b, nil
		return nil
	}
	list := c.DelegateControllers
	err := appendWords(&list, v, strings.Join(controllers[:], ", "), func(w string) bool { return slices.Contains(controllers[:], w) })
	if _, partial := err.(*unit.Partial); err == nil || partial {
		c.Delegate, c.DelegateControllers = true, list
	}
	return err
}

func setCPUWeight(field *uint64, v string) error {
	if v == "idle" {
		*field = CPUWeightIdle
		return nil
	}
	return setWeight(field, v, 10000)
}

func setWeight(field *uint64, v string, hi uint64) error {
	if v == "" {
		*field = 0
		return nil
	}
	n, err := parseRange(v, 1, hi)
	if err == nil {
		*field = n
	}
	return err
}

func setCPUQuota(c *CGroupContext, v string) error {
	if v == "" {
		c.CPUQuotaPerSec = 0
		return nil
	}
	p, err := parsePermyriad(v)
	if err != nil {
		return err
	}
	if p == 0 {
		return fmt.Errorf("%q is too small", v)
	}
	c.CPUQuotaPerSec = time.Duration(p) * (time.Second / 10000)
	return nil
}

func setCPUQuotaPeriod(c *CGroupContext, v string) error {
	if v == "" {
		c.CPUQuotaPeriod = 0
		return nil
	}
	d, err := unit.ParseTimespan(v)
	if err == nil {
		c.CPUQuotaPeriod = min(max(d, time.Millisecond), time.Second)
	}
	return err
}
