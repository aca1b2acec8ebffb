package pid1

import (
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/init/keep"
	"github.com/sysmaster-go/sysmaster/init/policy"
	"github.com/sysmaster-go/sysmaster/init/process"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// coreState is what belongs to one core; a new one begins with a new value. A re-exec of init
// keeps Known, conn, started, killAt, words and results.
type coreState struct {
	handover.KnownCore
	conn    *fdstore.Conn
	started time.Time    // for its trial
	watch   policy.Watch // of a core taken over in a re-exec: Started now, and Spoke if it turned
	killAt  time.Time    // SIGABRT was sent; SIGKILL is due then
	killed  bool         // ... and was sent, too
	words   int          // what its last words go to; 0: nowhere

	oomKills uint64 // in its control group, when it had completed its first turn
	oomKnown bool

	hurried        bool // it was started with real-time priority
	outcomeSent    bool
	trial, late    bool // it has not reported healthy yet, and is killed for that
	adopted        bool // it is to be told that it may act
	results        []fdstore.Message
	blocked, stuck bool // its socket is full; and poll would not say so
}

// supervise starts, watches and kills the core, as far as the clock asks for it.
func (k *keeper) supervise(now time.Time) {
	c := &k.core
	switch {
	case c.PID == 0 && !k.rescue.alone() && !now.Before(k.startAt):
		k.startCore(now)
	case k.rescue.alone():
		if due(k.waited(), now) && !k.stillUsed(now) {
			k.happened(now, policy.Waited)
		}
	case c.PID != 0 && !c.killAt.IsZero() && (!now.Before(c.killAt) || !c.killed && k.saidAll()):
		k.tell(event.Event{Kind: event.CoreHung, PID: c.PID, Signal: int(unix.SIGKILL)})
		k.signalCore(unix.SIGKILL)
		c.killed, c.killAt = true, now.Add(k.cfg.AbortGrace)
	case c.PID != 0 && c.killAt.IsZero() && c.watch.Overdue(k.limits(), now):
		k.abort(now)
	}
}

func (k *keeper) limits() policy.Limits {
	return policy.Limits{Hello: k.cfg.HelloTimeout, Idle: k.cfg.HangIdle, Busy: k.cfg.HangBusy}
}

// abort asks for the dump of all goroutines (SIGABRT), and sets the time for SIGKILL.
func (k *keeper) abort(now time.Time) {
	k.tell(event.Event{Kind: event.CoreHung, PID: k.core.PID, Signal: int(unix.SIGABRT)})
	k.signalCore(unix.SIGABRT)
	k.signalCore(unix.SIGCONT) // a stopped process would not hear it
	k.core.killAt = now.Add(k.cfg.AbortGrace)
}

// signalCore cannot hit another process: the core's number stays taken until
// we reap it, and then pid is 0.
func (k *keeper) signalCore(sig unix.Signal) {
	if err := unix.Kill(k.core.PID, sig); err != nil {
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
	k.Generation++
	words, err := keep.NewLastWords()
	if err != nil { // it starts nevertheless: its last words go to the console
		k.tell(event.Event{Kind: event.Internal, Text: "cannot make room for last words", Err: err})
		words = 0
	}
	k.procAgain()
	path, trial := k.openCore()
	k.core = coreState{conn: conn, words: words, results: k.core.results[:0], started: now, trial: trial}
	k.core.watch.Started(now)
	k.exits.Resend()
	for n := range k.pending {
		k.pending[n].sent = false
	}
	// No Setsid, no Setpgid: a restarted core must be in the process group that
	// its autofs mounts know, or it would wait for itself (kernel autofs, oz_pgrp).
	env, files := []string{fdstore.EnvFD + "=3"}, []uintptr{0, 1, 2, uintptr(pair[1])}
	if words > 0 {
		env, files = append(env, fdstore.EnvCrashFD+"=4"), append(files, uintptr(words))
	}
	switch {
	case trial:
		env = append(env, fdstore.EnvRole+"="+fdstore.RoleTrial)
	case k.rescue.stage == policy.Rescue:
		env = append(env, fdstore.EnvRole+"="+fdstore.RoleRescue)
	}
	pid, err := k.spawnCore(path, env, files, k.hurry == hurryNow && !trial)
	if err != nil {
		k.closeChannel()
		if k.coreNotExecuted(trial, err) {
			k.core.trial, k.again = false, true
			return
		}
		k.coreRefused(now, err)
		return
	}
	k.core.PID = pid
	k.tell(event.Event{Kind: event.CoreStarted, PID: pid, Generation: k.Generation})
}

// hurry is whether the next core gets real-time priority.
type hurry uint8

const (
	hurryNot hurry = iota
	hurryNow
	hurryNever // a core did not give it up
)

// spawnCore starts the core. A hurried one is before all others: whoever waits for the manager waits for what it recovers. One
// that hangs then is killed like any other, as the kernel leaves some time to the rest (sched(7), sched_rt_runtime_us), and the
// next one does not hurry.
func (k *keeper) spawnCore(path string, env []string, files []uintptr, hurried bool) (int, error) {
	start := func() (int, error) { return k.spawn(path, k.cfg.Core, env, files, nil) }
	if !hurried {
		return start()
	}
	pid, refused, err := process.Hurried(start)
	k.core.hurried = refused == nil
	k.must("have the core recover before others run", refused)
	return pid, err
}

// spawn is the only place where init starts a program, until shutdown. path is c.Path or leads
// to a descriptor of what it was.
func (k *keeper) spawn(path string, c Command, env []string, files []uintptr, attr *syscall.SysProcAttr) (int, error) {
	base := c.Env
	if base == nil {
		base = syscall.Environ()
	}
	for _, v := range base { // of two values most programs see the first
		name, _, _ := strings.Cut(v, "=")
		if name != fdstore.EnvFD && name != fdstore.EnvCrashFD && !handover.Name(v) {
			env = append(env, v)
		}
	}
	pid, err := k.cfg.Signals.Child(func() (int, error) {
		return syscall.ForkExec(path, append([]string{c.Path}, c.Args...), &syscall.ProcAttr{Env: env, Files: files, Sys: attr})
	})
	if err == nil && k.spared {
		k.must("have a child killed when memory runs out", process.SetOOMScore(pid, k.OOMScore))
	}
	return pid, err
}

func (k *keeper) coreRefused(now time.Time, err error) {
	if k.core.words > 0 {
		keep.Release(k.core.words)
		k.core.words = 0
	}
	k.tell(event.Event{Kind: event.CoreRefused, Err: err})
	k.LastCause, k.LastExit = fdstore.CauseExit, fdstore.Exit{}
	k.retry(now, policy.CauseOfRefusal(err), false)
}

// coreDied takes what the core still sent, then plans the next one.
func (k *keeper) coreDied(now time.Time, e fdstore.Exit) {
	cause := k.causeOf(e)
	k.drain(now)
	k.closeChannel()
	k.Behind = true
	k.exits.WantAll()
	turned := k.core.Turned
	if k.hurry != hurryNever {
		k.hurry = hurryNot
		if turned && k.cfg.Hurry {
			k.hurry = hurryNow
		}
	}
	k.LastCause, k.LastExit = cause, e
	k.tell(event.Event{Kind: event.CoreDied, PID: e.PID, Cause: cause, Exit: e})
	k.lastWords(now, e, cause)
	told := k.succeed(now, e, cause)
	k.core = coreState{results: k.core.results[:0]}
	if told != fdstore.CauseNone {
		k.LastCause, k.startAt = told, now // nothing that the next core should draw conclusions from
		return
	}
	if cause == fdstore.CauseExit && e.Status == 0 && turned {
		k.happened(now, policy.Replaced)
		return
	}
	k.retry(now, cause, turned)
}

func (k *keeper) retry(now time.Time, cause fdstore.Cause, turned bool) {
	delay, giveUp := k.history.Died(k.cfg.Retry.Of(k.rescue.stage), now, cause, turned)
	k.startAt = now.Add(delay)
	if !giveUp {
		return
	}
	if k.Intent.Verb != fdstore.VerbNone {
		k.endWith(k.Intent, "the core took the request and cannot be kept alive")
		return
	}
	k.happened(now, policy.Spent)
}
