package shutdown

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// Scope says whose end this is; see the package comment's table.
type Scope uint8

// The scopes. The zero value kills the least.
const (
	Keeper    Scope = 0
	Container Scope = 1 // a whole pid namespace
	Machine   Scope = 2
)

// ExitReboot is the exit code that asks a container's manager for another
// start (systemd-nspawn's convention).
const ExitReboot = 133

// Config bounds a shutdown. A zero duration means the default in brackets.
type Config struct {
	Scope        Scope
	TermTimeout  time.Duration // from SIGTERM to SIGKILL [10 s]
	KillTimeout  time.Duration // for processes to end after SIGKILL [5 s]
	StepTimeout  time.Duration // one unmount, swapoff or remount; one look at sync's progress [5 s]
	TotalTimeout time.Duration // each of swapoff, unmount, detach and remount, for all they find [90 s]
	HookTimeout  time.Duration // all hooks together [90 s]
	HookDirs     []string      // [/usr/lib/systemd/system-shutdown]
	Say          func(string)  // where messages go; must not block. nil: nowhere
	WakeFD       int           // readable after a SIGCHLD; 0: none, look from time to time
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field    *time.Duration
		standard time.Duration
	}{
		{&c.TermTimeout, 10 * time.Second}, {&c.KillTimeout, 5 * time.Second}, {&c.StepTimeout, 5 * time.Second},
		{&c.TotalTimeout, 90 * time.Second}, {&c.HookTimeout, 90 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.standard
		}
	}
	if c.HookDirs == nil {
		c.HookDirs = []string{"/usr/lib/systemd/system-shutdown"}
	}
	if c.Say == nil {
		c.Say = func(string) {}
	}
	return c
}

// Step is one part of a shutdown.
type Step struct {
	Name string
	Do   func()
}

// Steps is what Run will do before the end, in order.
func Steps(c Config, req fdstore.Shutdown) []Step {
	c = c.withDefaults()
	r := &run{Config: c}
	steps := []Step{{"kill all processes", r.killAll}, {"sync", r.sync}}
	if c.Scope == Machine {
		steps = append(steps,
			Step{"turn swap off", r.swapoff}, Step{"unmount", r.unmountAll}, Step{"detach loop devices", r.detachLoops},
			Step{"unmount again", r.unmountAll}, Step{"remount read-only", r.readOnly})
	}
	if c.Scope != Keeper {
		steps = append(steps, Step{"run hooks", func() { r.hooks(req.Verb) }})
	}
	return append(steps, Step{"sync", r.sync})
}

// Run shuts down. On a machine it does not return; elsewhere the result is the
// exit code for the process: the requested one, ExitReboot, or 0.
func Run(c Config, req fdstore.Shutdown) int {
	c = c.withDefaults()
	// Among hundreds of processes that fork without end this thread, which kills them, would wait half a
	// second for each of its turns. Where it may not be first it is as it was.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	for _, s := range Steps(c, req) {
		guarded(c, s)
	}
	if c.Scope == Machine {
		c.Say("now: " + req.Verb.String())
		forever(c, req)
	}
	return exitCode(req)
}

func exitCode(req fdstore.Shutdown) int {
	switch req.Verb {
	case fdstore.VerbExit:
		return int(req.Code)
	case fdstore.VerbReboot, fdstore.VerbKexec:
		return ExitReboot
	}
	return 0
}

// guarded makes a bug in one step cost only that step.
func guarded(c Config, s Step) {
	defer func() {
		if p := recover(); p != nil {
			c.Say("cannot " + s.Name + ": internal error")
		}
	}()
	s.Do()
}

// forever calls reboot(2) until it works: PID 1 cannot give up.
func forever(c Config, req fdstore.Shutdown) {
	for {
		err := reboot(req)
		c.Say("cannot " + req.Verb.String() + ": " + text(err) + "; trying to restart the machine")
		err = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
		c.Say("cannot restart: " + text(err) + "; trying again in a minute")
		wait(0, time.Minute)
	}
}

// run is one shutdown under way.
type run struct {
	Config
	hung    map[string]bool // mounts: what did not answer once is not asked again
	daemons map[int]answer  // processes that were asked whether they are storage daemons
	behind  atomic.Int32    // calls that did not come back: each holds a thread
}

func (r *run) fail(what string, err error) {
	r.Say("cannot " + what + ": " + err.Error())
}

// hungMax is how many calls may hang at the same time. A thread more than there
// are parked would have to be created, which on a full machine ends a Go program.
const hungMax = 4

// Results of within beside those of the call.
var (
	errHung = errors.New("no answer in time")
	errSkip = errors.New("not tried, too many calls hang already")
)

// within runs a system call that may hang on a thread of its own.
func (r *run) within(d time.Duration, f func() error) error {
	if r.behind.Load() >= hungMax {
		return errSkip
	}
	return r.reserved(d, f)
}

// reserved is within for the one call at the end that is worth a thread more.
func (r *run) reserved(d time.Duration, f func() error) error {
	done := make(chan error, 2) // room for both: neither waits for us
	r.behind.Add(1)
	go func() {
		err := f()
		r.behind.Add(-1)
		done <- err
	}()
	// Not NewTimer: its channel of time.Time links all of time's formatting.
	t := time.AfterFunc(d, func() { done <- errHung })
	defer t.Stop()
	return <-done
}

// step gives how long one call may take at most when all must be over at a deadline.
func (r *run) step(deadline time.Time) (time.Duration, bool) {
	rest := time.Until(deadline)
	return min(rest, r.StepTimeout), rest > 0
}

// wait returns after d or when fd becomes readable; fd 0 is none.
func wait(fd int, d time.Duration) {
	ms := int(max(d/time.Millisecond, 1))
	if fd <= 0 {
		_, err := unix.Poll(nil, min(ms, 50))
		ignoreEINTR(err)
		return
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	// The wake-up may have been consumed before we asked: look twice a second anyway.
	if n, err := unix.Poll(fds, min(ms, 500)); err == nil && n > 0 {
		var b [8]byte
		_, err = unix.Read(fd, b[:])
		ignoreEINTR(err)
	}
}

// ignoreEINTR documents that a wait may end early: callers look at the state
// and the clock again in any case.
func ignoreEINTR(error) {}

func count(n int, what string) string { return strconv.Itoa(n) + " " + what }
