package pid1

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/init/keep"
	"github.com/sysmaster-go/sysmaster/init/policy"
	"github.com/sysmaster-go/sysmaster/init/process"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// preflight is the whole life of a child that only looks (handover.RolePreflight).
func preflight(cfg Config) (code int, only bool) {
	if os.Getenv(handover.EnvRole) != handover.RolePreflight {
		return 0, false
	}
	_, err := newKeeper(cfg).readState(false)
	if handover.Report(handover.Number(handover.EnvReport), cfg.Version, err) != nil {
		return 4, true
	}
	return 0, true
}

// takeOver goes on where the program that executed this one was. False: nobody did. If it cannot,
// it executes that program again; and if that is where it comes from, takes what it can.
func (k *keeper) takeOver() bool {
	if os.Getenv(handover.EnvState) == "" {
		return false
	}
	k.settleProcess()
	back, memory, own := os.Getenv(handover.EnvBack), handover.Number(handover.EnvState), handover.Number(handover.EnvOwn)
	s, err := k.readState(back != "")
	if err != nil && back == "" {
		k.tell(event.Event{Kind: event.Upgrade, Text: "this init cannot take over, going back", Err: err})
		k.cfg.Signals.Hold()
		err = handover.Execute(s, memory, own, own, fdstore.Shorten(err.Error(), fdstore.MaxReason))
		k.cfg.Signals.Release()
	}
	if err != nil {
		k.tell(event.Event{Kind: event.Upgrade, Text: "taking over what can be", Err: err})
	}
	for _, fd := range [...]int{memory, own} {
		if fd > 2 {
			keep.Release(fd)
		}
	}
	for _, v := range syscall.Environ() {
		if name, _, _ := strings.Cut(v, "="); handover.Name(v) {
			k.must("clean the environment", os.Unsetenv(name))
		}
	}
	process.Name(filepath.Base(os.Args[0]))
	k.spare()
	k.configure()
	if back != "" {
		u := k.Outcome
		u.Result, u.Reason = fdstore.ResultRolledBack, back
		k.settled(u)
	}
	k.tell(event.Event{Kind: event.Upgrade, Text: "init " + k.cfg.Version + " goes on, execution " + strconv.FormatUint(k.Reexecs, 10)})
	if !k.cfg.Signals.Sealed() && k.Reexecs == 1 {
		k.tell(event.Event{Kind: event.Upgrade, Text: "this init was built without the overlay of init/process: a signal in its first milliseconds ends it"})
	}
	return true
}

// readState survives a bug of ours, so that there is a way back. anyway: there is none, and what can be
// taken over is.
func (k *keeper) readState(anyway bool) (s *handover.State, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("internal error while taking over")
		}
	}()
	if s, err = handover.Inherited(); err != nil {
		return nil, err
	}
	if err = s.Check(); err != nil && !anyway {
		return s, err
	}
	s.Inherit(handover.Number(handover.EnvState), false)
	if failure := k.restore(s, time.Now()); failure != nil {
		err = failure
	}
	return s, err
}

// handOver describes all that init knows.
func (k *keeper) handOver(now time.Time, own int) (*handover.State, error) {
	c := handover.NewClock(now)
	s := &handover.State{Version: k.cfg.Version, Known: k.Known}
	s.Fails = k.history.Fails
	for _, t := range k.history.Own {
		s.Deaths = append(s.Deaths, c.Out(t))
	}
	s.StartAt = c.Out(k.startAt)
	s.Rescue = handover.Rescue{Stage: uint8(k.rescue.stage), PID: k.rescue.pid, Next: k.rescue.next, Started: c.Out(k.rescue.started)}
	s.Exits, s.NextExit = k.exits.All()
	for pid, start := range k.registered {
		s.Registered = append(s.Registered, handover.Process{PID: pid, Start: start})
	}
	for n := range k.pending {
		if p := &k.pending[n]; p.id != 0 {
			s.Pending = append(s.Pending, handover.Signal{Number: n, ID: p.id, Sent: p.sent, Verb: p.verb, Due: c.Out(p.due)})
		}
	}
	s.BurstAt, s.Due = c.Out(k.burstStart), c.Out(k.intentDue)
	o := &k.core
	s.Core = handover.Core{KnownCore: o.KnownCore, KillAt: c.Out(o.killAt), Started: c.Out(o.started)}
	for _, m := range o.results {
		if p, err := fdstore.Append(nil, m); err == nil { // we made it: it can be encoded
			s.Core.Results = append(s.Core.Results, p)
		}
	}
	return s, k.handOverFDs(s, c, own)
}

func (k *keeper) handOverFDs(s *handover.State, c handover.Clock, own int) (err error) {
	identify := func(key string, fd int) (f handover.FD) {
		f, e := handover.Identify(key, fd)
		if e != nil && err == nil {
			err = e
		}
		return f
	}
	for _, key := range k.store.Keys() {
		fd, _ := k.store.Get(key)
		s.FDs = append(s.FDs, identify(key, fd))
	}
	if k.core.conn != nil {
		s.Core.Conn = identify("channel", k.core.conn.FD())
	}
	if k.core.words > 0 {
		s.Core.Words = identify("last words", k.core.words)
	}
	k.handOverPrograms(s, c)
	s.Own = identify("own program", own)
	return err
}

// restore is handOver's reverse.
func (k *keeper) restore(s *handover.State, now time.Time) error {
	c := handover.NewClock(now)
	if len(s.FDs) > k.cfg.MaxFDs {
		return handover.ErrBounds
	}
	k.Known = s.Known
	k.history, k.startAt = policy.History{Fails: s.Fails}, c.In(s.StartAt)
	for _, at := range s.Deaths {
		k.history.Own = append(k.history.Own, c.In(at))
	}
	k.rescue = rescueState{stage: policy.Stage(s.Rescue.Stage), pid: s.Rescue.PID, next: s.Rescue.Next, started: c.In(s.Rescue.Started)}
	k.rescue.since, k.rescue.used = c.Now, consoleUsed()
	k.exits.Restore(s.Exits, s.NextExit)
	for _, p := range s.Registered {
		k.registered[p.PID] = p.Start
	}
	if s.Rescue.Stage > uint8(policy.Rest) {
		return handover.ErrBounds
	}
	for _, p := range s.Pending {
		if p.Number < 1 || p.Number > process.SignalMax {
			return handover.ErrBounds
		}
		k.pending[p.Number] = pendingSignal{id: p.ID, sent: p.Sent, verb: p.Verb, due: c.In(p.Due)}
	}
	k.burstStart, k.intentDue = c.In(s.BurstAt), c.In(s.Due)
	for _, f := range s.FDs {
		if f.Check() == nil {
			k.store.Put(f.Key, f.FD)
		}
	}
	k.restorePrograms(s, c)
	return k.restoreCore(s, c)
}

func (k *keeper) restoreCore(s *handover.State, c handover.Clock) error {
	o := &k.core
	o.KnownCore, o.killAt, o.started = s.Core.KnownCore, c.In(s.Core.KillAt), c.In(s.Core.Started)
	o.watch.Started(c.Now)
	if o.Turned {
		o.watch.Spoke(c.Now, k.cfg.HangIdle, true, k.exits.Waiting() > 0 || k.signalsWaiting())
		o.oomKills, o.oomKnown = k.oomKills()
	}
	if s.Core.Words != (handover.FD{}) && s.Core.Words.Check() == nil {
		o.words = s.Core.Words.FD
	}
	for _, p := range s.Core.Results {
		m, err := fdstore.Decode(p)
		if err != nil {
			return err
		}
		o.results = append(o.results, m)
	}
	if s.Core.Conn == (handover.FD{}) {
		return nil
	}
	conn, err := fdstore.NewConn(s.Core.Conn.FD)
	if err == nil {
		conn.Discard(k.store.Close)
		o.conn = conn
	}
	return err
}
