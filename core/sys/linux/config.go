package linux

import (
	"time"

	"github.com/sysmaster-go/sysmaster/cgroup"
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

// Config says what a World works with.
type Config struct {
	// Init is the channel to init; nil without one. New says Hello itself.
	Init *fdstore.Client
	// InitTimeout bounds the conversation with init in New; 0 means 10 s.
	InitTimeout time.Duration

	// CGroup is the managed root of the control groups; nil without: then processes are
	// found by their invocation id, which a process can shed.
	CGroup *cgroup.Root
	// CGroupPath is the root's place in the hierarchy as /proc/PID/cgroup and init's
	// records show it ("/", "/sysmaster").
	CGroupPath string

	// NotifyPath is the notify socket; empty: "/run/systemd/notify".
	NotifyPath string
	// ShimPath is the exec shim's binary.
	ShimPath string
	// ConsolePath is the terminal for tty standard streams; empty: "/dev/console".
	ConsolePath string
	// Env is the environment that every service gets first: PATH, LANG.
	Env []string
	// AllowDegraded starts units whose protective settings are not implemented.
	AllowDegraded bool

	// Load reads unit files: one Spec per name, in order. One call at a time, beside the loop.
	Load func(sys.Load) []*unit.Spec
	// Check evaluates conditions: one result per condition, in order, negation applied.
	// Called from several goroutines at once, so that a dead path holds up only who asks for it.
	Check func([]unit.Condition) []bool
	// Reexec replaces the core; called on the engine's goroutine and need not return.
	Reexec func()
	// Told gets what init says of upgrades: fdstore.KindOutcome and KindAbout. Called in New and on the
	// engine's goroutine. May be nil.
	Told func(fdstore.Message)
	// Observe is told what has no unit to tell it to. Called from any goroutine; it must
	// not block. May be nil.
	Observe func(Note)
}

// Note is one thing worth a line in a log.
type Note struct {
	Unit unit.Name // empty: none in particular
	What string    // what was tried, "spawn", "notify", "reap"
	Err  error
}

func (c *Config) setDefaults() {
	if c.InitTimeout == 0 {
		c.InitTimeout = 10 * time.Second
	}
	if c.NotifyPath == "" {
		c.NotifyPath = "/run/systemd/notify"
	}
	if c.ConsolePath == "" {
		c.ConsolePath = "/dev/console"
	}
	if c.CGroupPath == "" {
		c.CGroupPath = "/"
	}
	if c.Observe == nil {
		c.Observe = func(Note) {}
	}
}
