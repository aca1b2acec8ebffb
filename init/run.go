package pid1

import (
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/apifs"
	"github.com/sysmaster-go/sysmaster/init/bootenv"
	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/init/keep"
	"github.com/sysmaster-go/sysmaster/init/policy"
	"github.com/sysmaster-go/sysmaster/init/process"
	"github.com/sysmaster-go/sysmaster/init/shutdown"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// keeper is PID 1's state. One goroutine owns it.
type keeper struct {
	cfg     Config
	console io.Writer
	self    int
	buf     []byte // for /proc
	again   bool   // the turn left work behind: do not wait
	hurry   hurry  // whether the next core is to recover before others run

	handover.Known
	core    coreState
	history policy.History
	startAt time.Time
	rescue  rescueState

	store      *keep.FDs
	exits      *keep.Exits
	registered map[int]uint64 // pid to start time
	pruned     uint           // registrations refused, or nearly
	lastCgroup string
	full       bool // no room: exits are left to the kernel
	surplus    int  // zombies beyond MaxZombies
	nextCount  time.Time

	pending    [process.SignalMax + 1]pendingSignal
	burstStart time.Time
	intentDue  time.Time
	end        fdstore.Shutdown

	spared bool // the kernel's OOM killer takes us last, or never, since children get Known's score

	reexec   reexecState
	programs succession
}

// AcceptSignals takes over every signal that can be caught. Call it first thing
// in main; process.AcceptSignals says why.
func AcceptSignals() *process.Signals { return process.AcceptSignals() }

// Run is PID 1. On a machine it does not return. In a container, and as a
// keeper, it returns the exit code for main to give to os.Exit. The caller
// must not wait for children, and must not handle signals.
func Run(cfg Config) int {
	cfg = cfg.withDefaults()
	if code, only := preflight(cfg); only {
		return code
	}
	k := newKeeper(cfg)
	if !k.takeOver() {
		k.settle()
	}
	for k.end.Verb == fdstore.VerbNone {
		k.guardedTurn()
	}
	k.releasePrograms()
	sd := k.cfg.Shutdown
	sd.Say = func(text string) { k.tell(event.Event{Kind: event.Shutdown, Text: text}) }
	sd.WakeFD = max(k.cfg.Signals.WakeFD(), 0)
	code := shutdown.Run(sd, k.end)
	k.closeChannel()
	return code
}

func newKeeper(cfg Config) *keeper {
	k := &keeper{
		cfg: cfg, console: cfg.Console, self: unix.Getpid(), buf: make([]byte, 8192),
		store:      keep.NewFDs(cfg.MaxFDs),
		exits:      keep.NewExits(cfg.MaxExits),
		registered: make(map[int]uint64),
	}
	k.core.results = make([]fdstore.Message, 0, resultsMax)
	if k.console == nil {
		k.console = process.Console(2)
	}
	return k
}

// settle makes the process what PID 1 has to be, and mounts what it needs.
// None of it stops the boot: a core on half a machine can still offer a shell.
func (k *keeper) settle() {
	k.settleProcess()
	if k.cfg.Subreaper {
		k.must("become subreaper", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
	} else {
		k.settlePID1()
	}
	k.configure()
}

// settleProcess sets up what an execution of itself does not keep.
func (k *keeper) settleProcess() {
	runtime.LockOSThread()
	// One processor: there is one loop, and each P costs memory and threads.
	// The heap is some 100 KiB, so that the default of collecting at 4 MiB would
	// let garbage grow to forty times of what lives: 4*25/100 is 1 MiB. The
	// records are allocated once; only paths and messages become garbage.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(25)
	process.Park(4)
	process.Provide()
}

func (k *keeper) configure() {
	if k.cfg.Configure != nil {
		line, err := bootenv.ReadCmdline(*k.cfg.World, os.Args[1:])
		k.must("read /proc/cmdline", err)
		k.cfg.Configure(&k.cfg, line)
	}
	k.limitStore()
	if k.cfg.Console == nil {
		k.console = process.Console(2).Own()
	}
}

// descriptorsSpare is for one packet with as many as there can be, what waits to be
// closed, and our own: without the last no core could be started.
const descriptorsSpare = 253 + backlogMax + 64

// limitStore raises the limit of descriptors, or keeps fewer.
func (k *keeper) limitStore() {
	have, err := process.RaiseNOFILE(uint64(k.cfg.MaxFDs) + descriptorsSpare)
	k.must("raise the limit of descriptors", err)
	room := int(have) - descriptorsSpare
	k.store.Max = min(k.cfg.MaxFDs, max(room, int(have)/2))
}

func (k *keeper) settlePID1() {
	unix.Umask(0)
	k.must("change to /", unix.Chdir("/"))
	if _, err := unix.Setsid(); err != unix.EPERM { // EPERM: it leads one already
		k.must("begin a session", err)
	}
	for _, a := range k.cfg.APIFS {
		if err := a.Do(); apifs.Forbidden(err) {
			k.tell(event.Event{Kind: event.Setup, Text: "not allowed here: " + a.String(), Err: err})
		} else {
			k.must(a.String(), err)
		}
	}
	k.spare()
	machine := k.cfg.World.Machine()
	k.must("set up the console", process.OpenConsole(machine))
	if machine {
		k.must("redirect ctrl-alt-del", unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF)) // it becomes SIGINT
	}
}

// preferred is added to the children's oom_score_adj where init may not lower its own, as systemd does for
// the services of its user managers, which are in the same position.
const preferred = 100

// spare keeps the kernel's OOM killer from ending a container's init, which takes everything with it;
// a machine's it never ends. Children get the score that init was started with, or, as -1000 is no
// score for them, 0. Without CAP_SYS_RESOURCE, which most containers lack, they get a higher one, so that init is taken last.
func (k *keeper) spare() {
	if k.cfg.Subreaper || k.cfg.World.Machine() {
		return
	}
	score, err := process.OOMScore()
	if err == nil && score != process.SparedScore {
		k.OOMScore = score
		err = process.SetOOMScore(k.self, process.SparedScore)
	}
	if err == unix.EACCES || err == unix.EPERM {
		k.OOMScore = min(score+preferred, 1000)
		k.tell(event.Event{Kind: event.Setup, Text: "not allowed to be spared when memory runs out: what it starts is taken before it"})
		err = nil
	}
	k.spared = err == nil
	k.must("be spared when memory runs out", err)
}

func (k *keeper) must(what string, err error) {
	if err != nil {
		k.tell(event.Event{Kind: event.Setup, Text: "cannot " + what, Err: err})
	}
}

// guardedTurn survives a bug of our own: PID 1 that dies takes all with it.
func (k *keeper) guardedTurn() {
	defer func() {
		if p := recover(); p != nil {
			text := "internal error"
			if err, ok := p.(error); ok {
				text += ": " + err.Error()
			}
			k.tell(event.Event{Kind: event.Internal, Text: text + "; going on"})
			time.Sleep(time.Second) // it may come again at once
		}
	}()
	k.turn(time.Now())
	k.wait()
}

// turn does all that is to be done now. Every part looks at the state, not at
// what woke us, so that no lost or merged wake-up matters.
func (k *keeper) turn(now time.Time) {
	k.again = false
	k.takeSignals(now)
	k.receive(now)
	k.reap(now)
	k.lookAtTrial(now)
	k.lookAtReexec(now)
	k.overdue(now)
	if k.end.Verb != fdstore.VerbNone {
		return
	}
	k.supervise(now)
	k.send(now)
}

// wait sleeps until a signal, a message, room for one, or the next deadline.
func (k *keeper) wait() {
	if k.again || k.end.Verb != fdstore.VerbNone {
		return
	}
	room := [2 + keep.MaxDoors]unix.PollFd{{Fd: int32(k.cfg.Signals.WakeFD()), Events: unix.POLLIN}, {Fd: -1}}
	fds := room[:2]
	if c := &k.core; c.conn != nil {
		fds[1].Fd = int32(c.conn.FD())
		if k.listens() {
			fds[1].Events |= unix.POLLIN
		}
		if c.blocked && !c.stuck {
			fds[1].Events |= unix.POLLOUT
		}
	}
	if c := &k.core; c.PID != 0 && k.cfg.HangIdle >= 0 && c.watch.Doors() {
		for _, fd := range k.store.Doors() {
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
	}
	timeout := k.timeout(time.Now())
	if _, err := unix.Poll(fds, int(timeout/time.Millisecond)); err != nil && err != unix.EINTR {
		k.tell(event.Event{Kind: event.Internal, Text: "cannot wait", Err: err})
		time.Sleep(100 * time.Millisecond)
	}
	for _, door := range fds[2:] {
		if door.Revents != 0 { // once: it is looked at again when the core says that it idles
			k.core.watch.Sent(time.Now())
		}
	}
}

// timeout is how long nothing is due, rounded up to milliseconds.
func (k *keeper) timeout(now time.Time) time.Duration {
	d := time.Hour
	until := func(t time.Time) {
		if !t.IsZero() {
			d = min(d, t.Sub(now))
		}
	}
	switch c := &k.core; {
	case k.rescue.alone():
		until(k.waited())
	case c.PID == 0:
		d = k.startAt.Sub(now)
	case !c.killAt.IsZero():
		until(c.killAt)
		if c.words > 0 && !c.killed {
			until(now.Add(sayingCheck))
		}
	default:
		until(c.watch.Deadline(k.limits()))
	}
	for n := range k.pending {
		if p := &k.pending[n]; p.verb != fdstore.VerbNone {
			until(p.due)
		}
	}
	until(k.intentDue)
	until(k.reexec.due)
	until(k.trialDue())
	until(k.programs.probation)
	if k.full {
		until(k.nextCount)
	}
	if k.core.stuck || k.store.Backlog() > 0 {
		until(now.Add(20 * time.Millisecond))
	}
	if k.cfg.Signals.WakeFD() < 0 { // no eventfd could be made: look by ourselves
		until(now.Add(50 * time.Millisecond))
	}
	return max(d, 0) + time.Millisecond - 1
}

// due reports whether a time has come; the zero time never does.
func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// tell hands an event to the observer and, if it concerns everybody, the console.
func (k *keeper) tell(e event.Event) {
	if k.cfg.Observe != nil {
		k.cfg.Observe(e)
	}
	if e.OnConsole() {
		// A console that takes nothing must not stop PID 1; there is nowhere else to say so.
		_, _ = io.WriteString(k.console, "sysmaster-init: "+e.String()+"\n")
	}
}
