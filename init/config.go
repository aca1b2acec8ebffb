package pid1

import (
	"io"
	"os"
	"time"

	"github.com/sysmaster-go/sysmaster/init/apifs"
	"github.com/sysmaster-go/sysmaster/init/bootenv"
	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/policy"
	"github.com/sysmaster-go/sysmaster/init/process"
	"github.com/sysmaster-go/sysmaster/init/shutdown"
)

// Command is a program that init starts. A nil Env is init's own environment.
type Command struct {
	Path string   // must be on a local file system: exec of a hung one blocks init
	Args []string // without the program's name
	Env  []string
}

// Config is what an assembly decides. The zero value of a field means the
// default in brackets.
type Config struct {
	Version   string // of this program, for upgrades [devel]
	Core      Command
	Rescue    []Command // tried in order on the console when the core cannot be kept alive
	Hurry     bool      // a core that follows one which had completed a turn begins with real-time priority, and ends that by process.Calm
	Subreaper bool      // a keeper that need not be PID 1: adopts orphans, mounts nothing, ends by returning

	// Configure, if not nil, is called once /proc is there and before the core
	// starts, with the kernel's command line (in a container: init's arguments).
	// What it changes in Core, Rescue and the bounds of time counts.
	Configure func(*Config, bootenv.Cmdline)

	Signals    *process.Signals  // from AcceptSignals, called first in main [Run calls it]
	World      *bootenv.World    // [detected]
	APIFS      []apifs.Action    // [apifs.Default]; empty, not nil: none
	Console    io.Writer         // messages; must not block [/dev/console on a machine, else stderr]
	CgroupRoot string            // where the unified hierarchy is mounted ["/sys/fs/cgroup"]
	Observe    func(event.Event) // told everything, from the loop: must return quickly. May be nil

	MaxFDs        int // descriptors kept [4096]
	MaxExits      int // exits of unregistered processes kept until acknowledged [4096]
	MaxZombies    int // of those, left to the kernel when MaxExits are kept; beyond, they are lost and counted [4096]
	MaxRegistered int // processes the core may register, and exits of such that are kept: none is lost [65536]

	HelloTimeout time.Duration // from start to the first turn [60 s]
	HangIdle     time.Duration // the longest silence that an idle core may promise [60 s]; negative: not watched
	HangBusy     time.Duration // from work that the core does not do to SIGABRT [5 s]
	AbortGrace   time.Duration // from SIGABRT, for the dump, to SIGKILL [5 s]
	TakeTimeout  time.Duration // for the core to take a shutdown signal; then init does it [10 s]
	EndTimeout   time.Duration // for the core to carry it out [30 min, as systemd's reboot.target]
	CrashReboot  time.Duration // beyond rescue, when nobody has touched the console for this long: reboot [0: never]
	TrialTimeout time.Duration // for a new core to report healthy, and for the one that asked for it to end [15 s]
	Probation    time.Duration // for how long init goes back to the old core if the new one dies by itself twice [1 min]
	Preflight    time.Duration // for a new init to look at what it would take over [10 s]
	Retry        policy.Retry
	Shutdown     shutdown.Config // Scope, Say and WakeFD are set by Run
}

func orElse[T int | time.Duration](field *T, standard T) {
	if *field == 0 {
		*field = standard
	}
}

func (c Config) withDefaults() Config {
	orElse(&c.MaxFDs, 4096)
	orElse(&c.MaxExits, 4096)
	orElse(&c.MaxZombies, 4096)
	orElse(&c.MaxRegistered, 65536)
	orElse(&c.HelloTimeout, time.Minute)
	orElse(&c.HangIdle, time.Minute)
	orElse(&c.HangBusy, 5*time.Second)
	orElse(&c.AbortGrace, 5*time.Second)
	orElse(&c.TakeTimeout, 10*time.Second)
	orElse(&c.EndTimeout, 30*time.Minute)
	orElse(&c.TrialTimeout, 15*time.Second)
	orElse(&c.Probation, time.Minute)
	orElse(&c.Preflight, 10*time.Second)
	orElse(&c.Retry.Deaths, 5)
	orElse(&c.Retry.RescueDeaths, 2)
	orElse(&c.Retry.Window, time.Minute)
	orElse(&c.Retry.Delay, 20*time.Millisecond)
	orElse(&c.Retry.MaxDelay, time.Second)
	orElse(&c.Retry.Rest, 30*time.Second)
	if c.CgroupRoot == "" {
		c.CgroupRoot = "/sys/fs/cgroup"
	}
	if c.Version == "" {
		c.Version = "devel"
	}
	if c.Signals == nil {
		c.Signals = process.AcceptSignals()
	}
	if c.World == nil {
		w := bootenv.Detect(os.Getenv)
		c.World = &w
	}
	if c.APIFS == nil && !c.Subreaper {
		c.APIFS = apifs.Default(*c.World)
	}
	switch {
	case c.Subreaper:
		c.Shutdown.Scope = shutdown.Keeper
	case c.World.Machine():
		c.Shutdown.Scope = shutdown.Machine
	default:
		c.Shutdown.Scope = shutdown.Container
	}
	return c
}
