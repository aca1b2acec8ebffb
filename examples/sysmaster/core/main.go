// Command sysmaster-core is the reference service manager. sysmaster-init starts it and
// keeps it alive; it may be killed at any instant. With SYSMASTER_ROLE=rescue in its environment it begins
// without the state of those before it, and starts rescue.target.
//
// Arguments, each also understood as sysmaster.NAME on the kernel's command line (in a
// container: among init's arguments):
//
//	unit=NAME              what to start, default.target [also systemd.unit=, 1, 3, 5, single, rescue, emergency]
//	unit-path=DIR:DIR...   where to look for unit files
//	allow-degraded         start services whose protective settings are not implemented
//	show-status=BOOL       say on the console what happens
//	shim=PATH              the exec shim, if it is not in its usual place
//	boot-attempts=N        start rescue.target after N failed boots in a row
//	state-size=SIZE        how much memory the state may take: bytes with k, m or g, or N% of the memory (20%)
package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sysmaster-go/sysmaster/core"
	"github.com/sysmaster-go/sysmaster/core/control"
	"github.com/sysmaster-go/sysmaster/core/sys"
	"github.com/sysmaster-go/sysmaster/core/sys/linux"
	"github.com/sysmaster-go/sysmaster/core/sys/linux/setup"
	"github.com/sysmaster-go/sysmaster/core/sys/linux/spawn"
	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/init/process"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
	"github.com/sysmaster-go/sysmaster/unit"
)

// version is set by the linker.
var version = "devel"

const (
	privatePath = "/run/systemd/private"
	controlKey  = fdstore.DoorPrefix + "control"
	shimPath    = "/usr/lib/sysmaster/sysmaster-exec"
)

func main() {
	if os.Getenv(fdstore.EnvRole) == handover.RolePreflight {
		os.Exit(runPreflight())
	}
	process.Name("sysmaster-core") // init executes it by a descriptor
	settled := spawn.Settle(nil)
	screen := takeCrashOutput()
	if settled != nil {
		fmt.Fprintln(screen, "sysmaster-core:", settled, "- every service starts through the shim")
	}
	linux.SmallPages()
	// One more than spread uses: while the others recover, who connects is greeted. Go looks for that only every 10 ms when
	// none is idle.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	// Signals for PID 1 come through init; a signal for the core itself is a mistake, except
	// SIGTERM and those that ask for a dump.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2)
	debug.SetGCPercent(startGCPercent)
	if err := run(screen); err != nil {
		fmt.Fprintln(screen, "sysmaster-core:", err)
		if screen != os.Stderr { // for who looks later
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
}

// gcPercent: the live heap is a few MB, so that collecting at each 50 % more costs little
// and keeps what is resident small.
const gcPercent = 50

// startGCPercent: while it recovers nearly all that a core allocates stays. Collecting as often as later
// would take a third of the time.
const startGCPercent = 400

// tidyAfter is how long after the first turn what the recovery took is given back: by then the
// clients that waited have been served.
const tidyAfter = time.Second

// tidy has the collector run as it does for ever after.
func tidy() {
	debug.SetGCPercent(gcPercent)
	time.AfterFunc(tidyAfter, debug.FreeOSMemory)
}

func run(screen *os.File) error {
	opt := readOptions()
	con := newConsole(opt.showStatus, screen)
	for _, p := range opt.problems {
		con.say(unit.LevelWarning, p, true)
	}
	client, err := fdstore.FromEnviron(os.Getenv)
	if err != nil {
		return fmt.Errorf("sysmaster-core is started by sysmaster-init: %w", err)
	}
	trial := os.Getenv(fdstore.EnvRole) == fdstore.RoleTrial
	env := prepare(con, trial)
	loading := make(chan *files, 1)
	go func() { loading <- newFiles(opt.unitPath, unitTypes(opt.allowDegraded), con) }() // while init and the disk are waited for
	groups, groupPath := openCgroups(con)
	boots := countBoot(con)
	opt.unit = boots.rescue(opt.unit, opt.bootAttempts)
	var files *files // there before the first turn
	ups := newUpgrades(client)
	world, err := linux.New(linux.Config{
		Init: client, CGroup: groups, CGroupPath: groupPath, ShimPath: opt.shim,
		Env: env, AllowDegraded: opt.allowDegraded,
		Load:    func(l sys.Load) []*unit.Spec { return files.load(l) },
		Check:   func(list []unit.Condition) []bool { return files.check(list) },
		Observe: con.note,
		Reexec:  func() { os.Exit(0) }, // init starts a fresh one, which recovers
		Told:    ups.told,
	})
	if err != nil {
		return err
	}
	ups.world, ups.post = world, world.Post
	if trial {
		if err := stand(world, client, opt); err != nil {
			return err
		}
	} else if world.Welcome().Version >= 2 {
		if err := client.Healthy(version); err != nil {
			return err
		}
	}
	seed, err := randomSeed()
	if err != nil {
		return err
	}
	dead, err := crashes(world)
	if err != nil {
		return err
	}
	files = <-loading
	m := &manager{readable: make(chan struct{}), post: world.Post}
	server, err := control.New(control.Config{
		Manager: m, CGroups: newGroupReader(groups, groupPath), Command: commandLine, Info: files.info(groupPath, boots),
		FileState: files.state, Stale: files.stale, Observe: con.control, Crashes: dead, Upgrades: ups,
	})
	if err != nil {
		return err
	}
	if err := serve(server, world); err != nil {
		return err
	}
	engine, err := newEngine(con, ups, openState(world, opt.stateSize, con), core.Config{
		World: world.Sys(), Types: files.types, Seed: seed, BootID: files.facts.BootID, Recorder: recorder(world, con),
		Boot:     core.Boot{Unit: opt.unit, Fallbacks: []unit.Name{"rescue.target", "emergency.target"}},
		Search:   func() []core.Found { return found(groups, world, con) },
		Follows:  world.Welcome().Generation > 1,
		Spread:   spread,
		Readable: m.show,
		Observe: func(ev core.Event) {
			con.event(ev)
			server.Publish(ev)
			if _, ok := ev.(core.StartupFinished); ok {
				u := m.View().Unit(opt.unit)
				boots.finished(u != nil && u.State.Active.IsUp())
				go debug.FreeOSMemory() // what reading all unit files took
			}
		},
	})
	if err != nil {
		return err
	}
	m.engine.Store(engine)
	m.show(engine.View())
	if err := process.Calm(); err != nil { // init had it hurry (pid1.Config.Hurry); a service would inherit that
		return fmt.Errorf("cannot end its real-time priority: %w", err)
	}
	turns := 0
	return engine.Run(func() bool {
		if turns++; turns == 2 { // the first one is over
			tidy()
		}
		return false
	})
}

// spread has the engine recover on all processors (core.Config.Spread).
func spread(n int, do func(int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)-1) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}

// serve lets clients in. They are greeted while the core recovers; what they ask is answered from what it has recovered
// (manager.View).
func serve(server *control.Server, world *linux.World) error {
	listener, err := controlSocket(world)
	if err != nil {
		return err
	}
	if err := world.Door(controlKey, server.Accepts); err != nil {
		return err
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, control.ErrClosed) {
			panic(err) // a core that nobody can talk to: the next one may do better
		}
	}()
	return nil
}

// prepare does what systemd's PID 1 does at boot beside units; all of it may be repeated. The
// result is the environment that services inherit.
func prepare(con *console, trial bool) []string {
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		con.fail("command line", err)
	}
	m := &setup.Machine{CommandLine: string(cmdline), Random: rand.Read}
	actions := setup.Actions()
	if trial { // the core before did them
		actions = nil
	}
	for _, r := range setup.Run(m, actions) {
		if r.Outcome != setup.Already {
			con.say(unit.LevelInfo, r.String(), r.Outcome == setup.Failed)
		}
	}
	locale, err := setup.Locale(m)
	if err != nil {
		con.fail("locale", err)
	}
	return append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, locale...)
}

// manager is the engine as the control server sees it.
type manager struct {
	engine   atomic.Pointer[core.Engine]
	first    *core.View
	readable chan struct{} // closed when first is there
	once     sync.Once
	post     func(any) error
}

// show gives readers the first View.
func (m *manager) show(v *core.View) {
	m.once.Do(func() {
		m.first = v
		close(m.readable)
		runtime.Gosched() // they answer now, and not when another thread of ours gets a processor
	})
}

// View is the newest picture. It waits for the first one, which is what was recovered.
func (m *manager) View() *core.View {
	if e := m.engine.Load(); e != nil {
		return e.View()
	}
	<-m.readable
	return m.first
}

// Submit queues a request.
func (m *manager) Submit(r *core.Request) error { return m.post(r) }
