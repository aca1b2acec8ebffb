package spawn

import (
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// MarkEnv is the environment variable that carries Request.Mark, in the program and before
// that in the shim.
const MarkEnv = "SYSMASTER_SPAWN"

// DefaultPath is where bare names of executables are looked up (man systemd.exec(5), ExecSearchPath=).
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Config says what a Spawner works with. The zero value of all but ShimPath is useful.
type Config struct {
	ShimPath string // absolute path of sysmaster-exec

	// Env is the manager's environment, which every process gets first: LANG. PATH is
	// DefaultPath if it is not there.
	Env []string
	// Limits are the manager's defaults (DefaultLimitNOFILE=); nil: NOFILE 1024:524288, as systemd's.
	Limits []execspec.Limit
	// AllowDegraded starts units whose protective settings are not implemented.
	AllowDegraded bool

	Console       string // the terminal for tty streams; empty: "/dev/console"
	JournalSocket string // empty: "/run/systemd/journal/stdout"
	Kmsg          string // empty: "/dev/kmsg"
	Passwd, Group string // empty: "/etc/passwd", "/etc/group"
	MountInfo     string // empty: "/proc/self/mountinfo"
}

func (c *Config) setDefaults() {
	for _, d := range [...]struct {
		field *string
		value string
	}{
		{&c.Console, "/dev/console"}, {&c.JournalSocket, "/run/systemd/journal/stdout"}, {&c.Kmsg, "/dev/kmsg"},
		{&c.Passwd, "/etc/passwd"}, {&c.Group, "/etc/group"}, {&c.MountInfo, "/proc/self/mountinfo"},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if c.Limits == nil {
		c.Limits = defaultLimits()
	}
}

// FD is one descriptor to pass; the Spawner neither changes nor closes it.
type FD struct {
	FD   int
	Name string // for LISTEN_FDNAMES; empty: "unknown"
}

// Request is one process to start.
type Request struct {
	Unit    unit.Name
	Command unit.Command
	Context *execspec.Context
	Control bool // not the unit's main process

	Env   []string // added last
	FDs   []FD     // passed from 3 on, with LISTEN_FDS
	Stdin int      // descriptor for standard input; 0: as the settings say

	Cgroup int  // directory of the control group to be born in; 0: stay in ours
	Thaw   bool // thaw the group if it is frozen, instead of refusing

	NotifySocket string        // NOTIFY_SOCKET; empty for none
	Watchdog     time.Duration // WATCHDOG_USEC; 0 for none
	Invocation   [16]byte      // INVOCATION_ID; zero for none
	Mark         string        // value of MarkEnv; empty for none
}

// Process is a started process. It is the caller's to reap and to close.
type Process struct {
	PID   int
	PidFD int    // close-on-exec; -1 if the kernel has none
	Start uint64 // field 22 of /proc/PID/stat; 0 if that could not be read (it was reaped meanwhile)
	// StatusFD is -1 if the program has been executed already. Else its hang-up tells that
	// the set-up ended: poll it with no events (EPOLLHUP comes by itself; EPOLLIN would spin
	// while an execve hangs), then call ReadStatus, then close it.
	StatusFD int
}

// Proc is the process's name in events.
func (p Process) Proc() unit.Proc { return unit.Proc{PID: p.PID, Start: p.Start} }
