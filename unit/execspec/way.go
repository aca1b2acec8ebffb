package execspec

import (
	"github.com/sysmaster-go/sysmaster/unit"
)

// Way is how a process is started. Go cannot run code between fork and exec, so what a plain
// clone with attributes cannot express is done in a small program, the shim, that then
// executes the command.
type Way uint8

const (
	// Direct: clone3 into the control group with what SysProcAttr expresses.
	Direct Way = iota
	// Thread: the same from a locked thread whose inherited attributes were set.
	Thread
	// Shim: through the shim.
	Shim
)

// String names w for messages.
func (w Way) String() string { return [...]string{"direct", "thread", "shim"}[w] }

// Circumstances are what the way depends on beside the settings.
type Circumstances struct {
	// Remote: the executable, or a directory on its path, is on a file system that may hang
	// (network, FUSE, automount). A direct spawn would hang the whole engine with it.
	Remote   bool
	FDs      int  // descriptors to pass
	Watchdog bool // WATCHDOG_USEC is given
}

// WayRule is one row of the table.
type WayRule struct {
	Key  string // the setting, or what of the request
	Way  Way
	Why  string
	When func(c *Context, cmd *unit.Command, at Circumstances) bool
}

// WayFor decides by the table; rules are those that made it more than Direct. What is not in the
// table, SysProcAttr expresses: user, groups, session, ambient capabilities, descriptors.
func WayFor(c *Context, cmd unit.Command, at Circumstances) (way Way, rules []string) {
	for _, r := range WayRules() {
		if r.When(c, &cmd, at) {
			way = max(way, r.Way)
			rules = append(rules, r.Key)
		}
	}
	return way, rules
}

// WayRules is the table: which setting needs which way, and why.
func WayRules() []WayRule {
	set := func(f func(c *Context) bool) func(*Context, *unit.Command, Circumstances) bool {
		return func(c *Context, _ *unit.Command, _ Circumstances) bool { return f(c) }
	}
	return []WayRule{
		{"executable", Shim, "execve of a file that hangs would hang the engine", func(_ *Context, _ *unit.Command, at Circumstances) bool { return at.Remote }},
		{"LISTEN_PID", Shim, "needs the child's own pid", func(_ *Context, _ *unit.Command, at Circumstances) bool { return at.FDs > 0 }},
		{"WATCHDOG_PID", Shim, "needs the child's own pid", func(_ *Context, _ *unit.Command, at Circumstances) bool { return at.Watchdog }},
		{"IgnoreSIGPIPE", Shim, "the manager ignores SIGPIPE and children inherit that; =no is undone in the child", set(func(c *Context) bool { return !c.IgnoreSIGPIPE })},
		{"UMask", Shim, "a property of the process, not of a thread", set(func(c *Context) bool { return c.UMask != 0o022 })},
		{"Limit...", Shim, "prlimit would come after execve", set(func(c *Context) bool { return len(c.Limits) > 0 })},
		{"OOMScoreAdjust", Shim, "a file of the child in /proc", set(func(c *Context) bool { return c.OOMScoreAdjustSet })},
		{"CoredumpFilter", Shim, "a file of the child in /proc", set(func(c *Context) bool { return c.CoredumpFilterSet })},
		{"NoNewPrivileges", Shim, "cannot be taken back on the spawning thread", set(func(c *Context) bool { return c.NoNewPrivileges })},
		{"CapabilityBoundingSet", Shim, "cannot be taken back on the spawning thread", set(func(c *Context) bool { return c.CapabilityBoundingSet != AllCapabilities })},
		{"SecureBits", Shim, "order with the change of user matters", set(func(c *Context) bool { return c.SecureBits != 0 })},
		{"KeyringMode", Thread, "a session keyring is inherited from the spawning thread", set(func(c *Context) bool { return c.KeyringMode != KeyringInherit })},
		{"KeyringMode=shared", Shim, "the user's keyring is linked in by the child", set(func(c *Context) bool { return c.KeyringMode == KeyringShared })},
		{"RootDirectory", Shim, "chroot comes between other steps", set(func(c *Context) bool { return c.RootDirectory != "" })},
		{"WorkingDirectory", Shim, "a directory that hangs would hang the engine; \"-\" needs a decision in the child", set(func(c *Context) bool { return c.WorkingDirectory != "" || c.WorkingDirectoryHome })},
		{"Standard...=tty", Shim, "a controlling terminal is taken by the child's own session", set(usesTTY)},
		{"!", Shim, "capabilities stay while the user does not change", func(_ *Context, cmd *unit.Command, _ Circumstances) bool { return cmd.Privileges == '!' }},
		{"Nice", Thread, "inherited from the spawning thread", set(func(c *Context) bool { return c.NiceSet })},
		{"CPUSchedulingPolicy", Thread, "inherited from the spawning thread", set(func(c *Context) bool { return c.CPUSchedulingSet || c.CPUSchedulingResetOnFork })},
		{"IOSchedulingClass", Thread, "inherited from the spawning thread", set(func(c *Context) bool { return c.IOSchedulingSet })},
		{"CPUAffinity", Thread, "inherited from the spawning thread", set(func(c *Context) bool { return c.CPUAffinity != nil })},
		{"TimerSlackNSec", Thread, "inherited from the spawning thread", set(func(c *Context) bool { return c.TimerSlackSet })},
	}
}

func usesTTY(c *Context) bool {
	for _, s := range [...]StdioKind{c.Stdin.Kind, c.Stdout.Kind, c.Stderr.Kind} {
		if s == StdioTTY || s == StdioTTYForce || s == StdioTTYFail {
			return true
		}
	}
	return c.TTYReset || c.TTYVHangup || c.TTYVTDisallocate
}
