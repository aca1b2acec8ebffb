package execspec

import (
	"math"
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
)

// fileProp is one element of D-Bus type a(sb).
type fileProp struct {
	Path     string
	Optional bool
}

// Props are the properties that all D-Bus interfaces of units with processes share (man
// org.freedesktop.systemd1(5), SERVICE UNIT OBJECTS), as far as clients ask for them. slice
// is the unit's if Slice= is not set.
func (s *Settings) Props(slice unit.Name) []unit.Value {
	return append(s.Exec.props(), append(s.Kill.props(), s.CGroup.props(slice)...)...)
}

func (c *Context) props() []unit.Value {
	files := []fileProp{}
	for _, f := range c.EnvironmentFiles {
		files = append(files, fileProp(f))
	}
	dir := c.WorkingDirectory
	if c.WorkingDirectoryHome {
		dir = "~"
	}
	if c.WorkingDirectoryMissingOK && dir != "" {
		dir = "!" + dir
	}
	return []unit.Value{
		{Name: "Environment", Signature: "as", V: list(c.Environment)},
		{Name: "EnvironmentFiles", Signature: "a(sb)", V: files},
		{Name: "PassEnvironment", Signature: "as", V: list(c.PassEnvironment)},
		{Name: "UnsetEnvironment", Signature: "as", V: list(c.UnsetEnvironment)},
		{Name: "UMask", Signature: "u", V: c.UMask},
		{Name: "WorkingDirectory", Signature: "s", V: dir},
		{Name: "RootDirectory", Signature: "s", V: c.RootDirectory},
		{Name: "User", Signature: "s", V: c.User},
		{Name: "Group", Signature: "s", V: c.Group},
		{Name: "SupplementaryGroups", Signature: "as", V: list(c.SupplementaryGroups)},
		{Name: "OOMScoreAdjust", Signature: "i", V: int32(c.OOMScoreAdjust)},
		{Name: "Nice", Signature: "i", V: int32(c.Nice)},
		{Name: "IgnoreSIGPIPE", Signature: "b", V: c.IgnoreSIGPIPE},
		{Name: "NonBlocking", Signature: "b", V: c.NonBlocking},
		{Name: "NoNewPrivileges", Signature: "b", V: c.NoNewPrivileges},
		{Name: "CapabilityBoundingSet", Signature: "t", V: c.CapabilityBoundingSet},
		{Name: "AmbientCapabilities", Signature: "t", V: c.AmbientCapabilities},
		{Name: "StandardInput", Signature: "s", V: c.Stdin.String()},
		{Name: "StandardOutput", Signature: "s", V: c.Stdout.String()},
		{Name: "StandardError", Signature: "s", V: c.Stderr.String()},
		{Name: "TTYPath", Signature: "s", V: c.TTYPath},
		{Name: "SyslogIdentifier", Signature: "s", V: c.SyslogIdentifier},
		{Name: "RuntimeDirectory", Signature: "as", V: c.names(RuntimeDirectory)},
		{Name: "StateDirectory", Signature: "as", V: c.names(StateDirectory)},
		{Name: "CacheDirectory", Signature: "as", V: c.names(CacheDirectory)},
		{Name: "LogsDirectory", Signature: "as", V: c.names(LogsDirectory)},
		{Name: "ConfigurationDirectory", Signature: "as", V: c.names(ConfigurationDirectory)},
	}
}

func (c *Context) names(k DirectoryKind) []string {
	out := []string{}
	for _, n := range c.Directories[k].Names {
		out = append(out, n.Name)
	}
	return out
}

func list(l []string) []string { return append([]string{}, l...) }

func (k *KillContext) props() []unit.Value {
	restart := k.RestartSignal
	if restart == 0 {
		restart = k.Signal
	}
	return []unit.Value{
		{Name: "KillMode", Signature: "s", V: k.Mode.String()},
		{Name: "KillSignal", Signature: "i", V: int32(k.Signal)},
		{Name: "RestartKillSignal", Signature: "i", V: int32(restart)},
		{Name: "FinalKillSignal", Signature: "i", V: int32(k.FinalSignal)},
		{Name: "WatchdogSignal", Signature: "i", V: int32(k.WatchdogSignal)},
		{Name: "SendSIGKILL", Signature: "b", V: k.SendSIGKILL},
		{Name: "SendSIGHUP", Signature: "b", V: k.SendSIGHUP},
	}
}

func (c *CGroupContext) props(slice unit.Name) []unit.Value {
	if c.Slice != "" {
		slice = c.Slice
	}
	weight := func(w uint64) uint64 {
		if w == 0 {
			return math.MaxUint64
		}
		if w == CPUWeightIdle {
			return 0
		}
		return w
	}
	quota := uint64(math.MaxUint64)
	if c.CPUQuotaPerSec > 0 {
		quota = uint64(c.CPUQuotaPerSec / time.Microsecond)
	}
	p := []unit.Value{
		{Name: "Slice", Signature: "s", V: string(slice)},
		{Name: "Delegate", Signature: "b", V: c.Delegate},
		{Name: "DelegateControllers", Signature: "as", V: list(c.DelegateControllers)},
		{Name: "CPUAccounting", Signature: "b", V: c.CPUAccounting},
		{Name: "CPUWeight", Signature: "t", V: weight(c.CPUWeight)},
		{Name: "CPUQuotaPerSecUSec", Signature: "t", V: quota},
		{Name: "IOAccounting", Signature: "b", V: c.IOAccounting},
		{Name: "IOWeight", Signature: "t", V: weight(c.IOWeight)},
		{Name: "MemoryAccounting", Signature: "b", V: c.MemoryAccounting},
		{Name: "TasksAccounting", Signature: "b", V: c.TasksAccounting},
		{Name: "OOMPolicy", Signature: "s", V: [...]string{"stop", "continue", "stop", "kill"}[c.OOMPolicy]},
	}
	for _, a := range [...]struct {
		name   string
		amount Amount
		unset  uint64
	}{
		{"MemoryMin", c.MemoryMin, 0}, {"MemoryLow", c.MemoryLow, 0}, {"MemoryHigh", c.MemoryHigh, math.MaxUint64},
		{"MemoryMax", c.MemoryMax, math.MaxUint64}, {"MemorySwapMax", c.MemorySwapMax, math.MaxUint64},
	} {
		v := a.unset
		if a.amount.Set && a.amount.Permyriad == 0 {
			v = a.amount.Value
		}
		p = append(p, unit.Value{Name: a.name, Signature: "t", V: v})
	}
	return p
}

// String is the value as in a unit file.
func (s Stdio) String() string {
	word := [...]string{"null", "inherit", "tty", "tty-force", "tty-fail", "file:", "append:", "truncate:", "socket", "fd:", "kmsg", "journal", "data"}[s.Kind]
	word += s.Path + s.Name
	if s.Console {
		word += "+console"
	}
	return word
}
