package pid1

import (
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/keep"
	"github.com/sysmaster-go/sysmaster/init/policy"
	"github.com/sysmaster-go/sysmaster/init/proc"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// coreState is what belongs to one core; a new one begins with a new value. A re-exec of init
// keeps pid, conn, version, hello, turned, what is unsent, and killAt.
type coreState struct {
	pid     int // 0: none runs
	conn    *fdstore.Conn
	version uint8
	hello   bool         // it asked for what we keep ...
	turned  bool         // ... and has completed a turn since: only then do we rely on it
	watch   policy.Watch // of a core taken over in a re-exec: Started now, and Spoke if it turned
	killAt  time.Time    // SIGABRT was sent; SIGKILL is due then
	bad     int

	welcomed, storedEnd bool
	unsent              []string // keys still to send
	stored              uint32
	results             []fdstore.Message
	blocked, stuck      bool // its socket is full; and poll would not say so
	deaf                bool // it closed its end
}

// rescueState is the console's use while no core can be kept alive.
type rescueState struct {
	active  bool
	pid     int // the command that runs; 0: none
	next    int // index of the command to try
	started time.Time
}

// supervise starts, watches and kills the core, as far as the clock asks for it.
func (k *keeper) supervise(now time.Time) {
	c := &k.core
	switch {
	case c.pid == 0 && !k.rescue.active && !now.Before(k.startAt):
		k.startCore(now)
	case c.pid != 0 && !c.killAt.IsZero() && !now.Before(c.killAt):
		k.tell(event.Event{Kind: event.CoreHung, PID: c.pid, Signal: int(unix.SIGKILL)})
		k.signalCore(unix.SIGKILL)
		c.killAt = now.Add(k.cfg.AbortGrace)
	case c.pid != 0 && c.killAt.IsZero() && c.watch.Overdue(k.limits(), now):
		k.abort(now)
	}
}

func (k *keeper) limits() policy.Limits {
	return policy.Limits{Hello: k.cfg.HelloTimeout, Idle: k.cfg.HangIdle, Busy: k.cfg.HangBusy}
}

// abort asks for the dump of all goroutines (SIGABRT), and sets the time for SIGKILL.
func (k *keeper) abort(now time.Time) {
	k.tell(event.Event{Kind: event.CoreHung, PID: k.core.pid, Signal: int(unix.SIGABRT)})
	k.signalCore(unix.SIGABRT)
	k.signalCore(unix.SIGCONT) // a stopped process would not hear it
	k.core.killAt = now.Add(k.cfg.AbortGrace)
}

// signalCore cannot hit another process: the core's number stays taken until
// we reap it, and then pid is 0.
func (k *keeper) signalCore(sig unix.Signal) {
	if err := unix.Kill(k.core.pid, sig); err != nil {
		k.tell(event.Event{Kind: event.Internal, Text: "cannot signal the core", Err: err})
	}
}

func (k *keeper) startCore(now time.Time) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		k.coreRefused(now, err)
		return
	}
	defer keep.Release(pair[1])
	conn, err := fdstore.NewConn(pair[0])
	if err != nil {
		keep.Release(pair[0])
		k.coreRefused(now, err)
		return
	}
	conn.Discard(k.store.Close)
	k.generation++
	k.core = coreState{conn: conn, results: k.core.results[:0]}
	k.core.watch.Started(now)
	k.exits.Resend()
	for n := range k.pending {
		k.pending[n].sent = false
	}
	// No Setsid, no Setpgid: a restarted core must be in the process group that
	// its autofs mounts know, or it would wait for itself (kernel autofs, oz_pgrp).
	pid, err := spawn(k.cfg.Core, []string{fdstore.EnvFD + "=3"}, []uintptr{0, 1, 2, uintptr(pair[1])}, nil)
	if err != nil {
		k.closeChannel()
		k.coreRefused(now, err)
		return
	}
	k.core.pid = pid
	k.tell(event.Event{Kind: event.CoreStarted, PID: pid, Generation: k.generation})
}

// spawn is the only place where init starts a program, until shutdown.
func spawn(c Command, env []string, files []uintptr, attr *syscall.SysProcAttr) (int, error) {
	base := c.Env
	if base == nil {
		base = syscall.Environ()
	}
	for _, v := range base { // of two values most programs see the first
		if !strings.HasPrefix(v, fdstore.EnvFD+"=") {
			env = append(env, v)
		}
	}
	return syscall.ForkExec(c.Path, append([]string{c.Path}, c.Args...), &syscall.ProcAttr{Env: env, Files: files, Sys: attr})
}

func (k *keeper) coreRefused(now time.Time, err error) {
	k.tell(event.Event{Kind: event.CoreRefused, Err: err})
	k.lastCause, k.lastExit = fdstore.CauseExit, fdstore.Exit{}
	k.retry(now, fdstore.CauseExit, false)
}

// coreDied takes what the core still sent, then plans the next one.
func (k *keeper) coreDied(now time.Time, e fdstore.Exit) {
	cause := policy.CauseOf(e.Code, e.Status)
	if !k.core.killAt.IsZero() {
		cause = fdstore.CauseHang
	}
	k.drain(now)
	k.closeChannel()
	k.behind = true
	k.exits.WantAll()
	turned := k.core.turned
	k.core = coreState{results: k.core.results[:0]}
	k.lastCause, k.lastExit = cause, e
	k.tell(event.Event{Kind: event.CoreDied, PID: e.PID, Cause: cause, Exit: e})
	k.retry(now, cause, turned)
}

func (k *keeper) retry(now time.Time, cause fdstore.Cause, turned bool) {
	delay, giveUp := k.history.Died(k.cfg.Retry, now, cause, turned)
	k.startAt = now.Add(delay)
	if !giveUp {
		return
	}
	if k.intent.Verb != fdstore.VerbNone {
		k.endWith(k.intent, "the core took the request and cannot be kept alive")
		return
	}
	k.tell(event.Event{Kind: event.GivenUp})
	k.rescue = rescueState{active: true}
	k.startRescue(now)
}

// startRescue runs the next rescue command on the console. When none works the
// core has another try: doing nothing is no way out.
func (k *keeper) startRescue(now time.Time) {
	for k.rescue.next < len(k.cfg.Rescue) {
		c := k.cfg.Rescue[k.rescue.next]
		k.rescue.next++
		// A session of its own, and the console as its terminal if there is one.
		pid, err := spawn(c, nil, []uintptr{0, 1, 2}, &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0})
		if err != nil {
			pid, err = spawn(c, nil, []uintptr{0, 1, 2}, &syscall.SysProcAttr{Setsid: true})
		}
		k.tell(event.Event{Kind: event.Rescue, PID: pid, Text: "rescue command " + c.Path, Err: err})
		if err == nil {
			k.rescue.pid, k.rescue.started = pid, now
			return
		}
	}
	k.rescue = rescueState{}
	k.startAt = now.Add(k.cfg.Retry.Rest)
	k.tell(event.Event{Kind: event.Rescue, Text: "no rescue command works; starting the core again in " +
		strconv.Itoa(int(k.cfg.Retry.Rest/time.Second)) + " s"})
}

// rescueEnded starts the core again if somebody used the shell, and tries the
// next command if this one only failed.
func (k *keeper) rescueEnded(now time.Time, e fdstore.Exit) {
	k.rescue.pid = 0
	k.tell(event.Event{Kind: event.Rescue, PID: e.PID, Text: "rescue command ended, " + event.Describe(e.Code, e.Status)})
	if (e.Code != proc.CLDExited || e.Status != 0) && now.Sub(k.rescue.started) < time.Second {
		k.startRescue(now)
		return
	}
	k.rescue = rescueState{}
	k.startAt = now
}
