package pid1

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/init/keep"
	"github.com/sysmaster-go/sysmaster/init/program"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// How init replaces itself, in steps of which each can fail without a trace:
//
//  1. the new program is opened once: what happens to its path from here on does not matter
//  2. a child of it reads a copy of the state, checks every descriptor, and reports; the loop goes on meanwhile
//  3. signals wait in the kernel; the state as it is now is written; execve(2)
//  4. the new program checks again; if anything is wrong it executes the old one, which it got
//     as a descriptor, with the same state
//
// Nobody else notices: processes, descriptors and the core's channel are the kernel's, and stay.

// reexecState is an exchange of init under way.
type reexecState struct {
	wanted bool // SIGTERM came: the program that now is where ours was
	asked  *fdstore.Upgrade
	fd     int // the new program, if asked

	pid     int // of the preflight; 0: none
	report  int // what it writes into, if above 0
	due     time.Time
	killed  bool
	request fdstore.Upgrade // what the preflight is for
}

// upgradeAsked is the core's request.
func (k *keeper) upgradeAsked(now time.Time, m fdstore.Message) {
	u := m.Upgrade
	switch {
	case k.askedAgain(u):
		if m.FD >= 0 {
			keep.Release(m.FD)
		}
	case m.FD < 0:
		k.refused(u, unix.EMFILE)
	case u.Target == fdstore.TargetCore:
		k.coreAsked(now, m)
	case k.reexec.asked != nil || k.reexec.pid != 0:
		keep.Release(m.FD)
		k.refused(u, unix.EBUSY)
	default:
		k.reexec.asked, k.reexec.fd = &u, m.FD
	}
}

// askedAgain reports whether a request is known: the core that asked died, and the next one passes on what a
// client repeats, since it cannot know. What came of it, if that is decided, is said once more.
func (k *keeper) askedAgain(u fdstore.Upgrade) bool {
	r := &k.reexec
	switch {
	case u.ID == 0:
		return false
	case k.Outcome.ID == u.ID:
		k.core.outcomeSent = false
		return true
	case k.programs.candidate.Held() && k.programs.request.ID == u.ID:
		return true
	}
	return r.asked != nil && r.asked.ID == u.ID || r.pid != 0 && r.request.ID == u.ID
}

func (k *keeper) refused(u fdstore.Upgrade, err error) {
	if u.From = k.cfg.Version; u.Target == fdstore.TargetCore {
		u.From = k.programs.running.Version
	}
	u.Result, u.Reason = fdstore.ResultRefused, fdstore.Shorten(err.Error(), fdstore.MaxReason)
	k.settled(u)
	k.tell(event.Event{Kind: event.Upgrade, Text: "cannot replace " + u.Target.String() + " by version " + u.To, Err: err})
}

// settled notes what became of an upgrade, for this core and for later ones.
func (k *keeper) settled(u fdstore.Upgrade) {
	u.From, u.To = fdstore.Shorten(u.From, fdstore.MaxVersion), fdstore.Shorten(u.To, fdstore.MaxVersion)
	k.Outcome, k.core.outcomeSent = u, false
}

// lookAtReexec begins what is wanted, and ends a preflight that takes too long.
func (k *keeper) lookAtReexec(now time.Time) {
	r := &k.reexec
	switch {
	case due(r.due, now):
		r.killed, r.due = true, time.Time{}
		if err := unix.Kill(r.pid, unix.SIGKILL); err != nil { // it stays ours until it is reaped
			k.tell(event.Event{Kind: event.Internal, Text: "cannot kill the preflight", Err: err})
		}
	case r.pid != 0 || k.exchanging(): // one at a time
	case r.asked != nil:
		r.request, r.asked = *r.asked, nil
		k.startPreflight(now)
	case r.wanted:
		r.wanted = false
		r.request = fdstore.Upgrade{Target: fdstore.TargetInit, To: "as installed"}
		var err error
		if r.fd, err = program.OpenSelf(); err != nil {
			k.refused(r.request, err)
			return
		}
		k.startPreflight(now)
	}
}

// startPreflight is step 2.
func (k *keeper) startPreflight(now time.Time) {
	if err := k.spawnPreflight(now); err != nil {
		k.endPreflight()
		k.refused(k.reexec.request, err)
	}
}

func (k *keeper) spawnPreflight(now time.Time) error {
	r := &k.reexec
	for i := 0; k.store.Busy(); i++ { // an execution waits for every thread, also for one that hangs
		if i == 100 {
			return errors.New("the close of a descriptor hangs")
		}
		_, _ = unix.Poll(nil, 1) // EINTR is as good
	}
	own, err := program.Open(program.Self)
	if err != nil {
		return err
	}
	defer keep.Release(own)
	s, err := k.handOver(now, own)
	if err != nil {
		return err
	}
	memory, err := s.Write()
	if err != nil {
		return err
	}
	defer keep.Release(memory)
	if r.report, err = handover.NewReport(); err != nil { // and r.report is -1
		return err
	}
	// The child sees each descriptor under its own number, as the successor will.
	files := []uintptr{0, 1, 2}
	keepFD := func(fd int) {
		for len(files) <= fd {
			files = append(files, ^uintptr(0))
		}
		files[fd] = uintptr(fd)
	}
	s.Descriptors(func(f *handover.FD) { keepFD(f.FD) })
	for _, fd := range [...]int{memory, r.report, r.fd} { // the last leads to the program itself
		keepFD(fd)
	}
	env := []string{
		handover.EnvState + "=" + strconv.Itoa(memory), handover.EnvReport + "=" + strconv.Itoa(r.report),
		handover.EnvRole + "=" + handover.RolePreflight,
	}
	c := Command{Path: os.Args[0], Args: os.Args[1:]}
	if r.pid, err = k.spawn(handover.FDPath(r.fd), c, env, files, &syscall.SysProcAttr{Setsid: true}); err != nil {
		r.pid = 0
		return err
	}
	r.due, r.killed = now.Add(k.cfg.Preflight), false
	return nil
}

// endPreflight closes what an attempt held.
func (k *keeper) endPreflight() {
	k.closeReport()
	keep.Release(k.reexec.fd)
}

func (k *keeper) closeReport() {
	if k.reexec.report > 0 {
		keep.Release(k.reexec.report)
	}
	k.reexec.report, k.reexec.pid, k.reexec.due = 0, 0, time.Time{}
}

// preflightEnded is step 3, or its refusal.
func (k *keeper) preflightEnded(e fdstore.Exit) {
	r := &k.reexec
	r.pid = 0
	version, problem, ok := handover.ReadReport(r.report)
	var err error
	switch {
	case r.killed:
		err = errors.New("its preflight did not end within " + k.cfg.Preflight.String())
	case !ok:
		err = errors.New("its preflight reported nothing: " + event.Describe(e.Code, e.Status))
	case problem != "":
		err = errors.New(fdstore.Shorten(problem, fdstore.MaxReason))
	case k.exchanging(): // meanwhile the core began to
		again := r.request
		r.asked = &again // its program stays open
		k.closeReport()
		return
	default:
		r.request.To = fdstore.Shorten(version, fdstore.MaxVersion)
		err = k.execute(time.Now())
	}
	k.endPreflight()
	k.refused(r.request, err)
}

// execute is step 3; it returns only if that failed.
func (k *keeper) execute(now time.Time) error {
	r := &k.reexec
	own, err := program.Open(program.Self)
	if err != nil {
		return err
	}
	defer keep.Release(own)
	k.cfg.Signals.Hold()
	defer k.cfg.Signals.Release()
	k.takeSignals(now)
	if k.end.Verb != fdstore.VerbNone {
		return errors.New("the machine is going down")
	}
	r.request.From, r.request.Result = k.cfg.Version, fdstore.ResultAdopted
	before, sent := k.Outcome, k.core.outcomeSent
	k.settled(r.request)
	k.Reexecs++
	s, err := k.handOver(now, own)
	memory := -1
	if err == nil {
		memory, err = s.Write()
	}
	if err == nil {
		err = handover.Execute(s, memory, r.fd, own, "")
		keep.Release(memory)
	}
	k.Reexecs--
	k.Outcome, k.core.outcomeSent = before, sent
	return err
}
