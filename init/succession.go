package pid1

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sysmaster-go/sysmaster/init/apifs"
	"github.com/sysmaster-go/sysmaster/init/event"
	"github.com/sysmaster-go/sysmaster/init/handover"
	"github.com/sysmaster-go/sysmaster/init/keep"
	"github.com/sysmaster-go/sysmaster/init/proc"
	"github.com/sysmaster-go/sysmaster/init/program"
	"github.com/sysmaster-go/sysmaster/state/fdstore"
)

// Which program the core is, and how another one takes its place:
//
//	state        the next core is        leaves it by
//	running      what runs, held open    Upgrade: candidate; an orderly exit with another file at the path: candidate
//	candidate    the new program         its death or TrialTimeout: running, rolled back; Healthy: probation
//	probation    the new program         two deaths by itself: the old program, rolled back; Probation over: running
//
// A core on trial has SYSMASTER_ROLE=trial and does nothing until Adopted. The programs are
// descriptors, opened once: what happens to their paths does not matter, and no memory is used
// (a private copy in a memfd would be 6 MB that cannot be given back).

// succession is what init knows of the core's programs.
type succession struct {
	running, previous, candidate handover.Binary

	request   fdstore.Upgrade // that brought the candidate, or what runs
	askedAt   time.Time       // the core that asked has to end by itself
	probation time.Time       // until then init goes back to previous by itself
	deaths    int             // within it
	installed handover.FD     // what was at the core's path when it was looked at last
	aboutSent bool
}

// openCore gives the path by which the next core is executed, and whether it is on trial.
func (k *keeper) openCore() (path string, trial bool) {
	s := &k.programs
	if s.candidate.Held() {
		return handover.FDPath(s.candidate.File.FD), true
	}
	if !s.running.Held() {
		p, err := program.Load(k.cfg.Core.Path)
		if err != nil {
			return k.cfg.Core.Path, false // whose execution says what is wrong
		}
		s.running, s.installed = p, p.File.Identity()
	}
	if unix.Access(handover.FDPath(s.running.File.FD), unix.F_OK) != nil {
		return s.running.Path, false // no /proc: perhaps the file is still there
	}
	return handover.FDPath(s.running.File.FD), false
}

// procAgain mounts /proc anew if it is gone or covered: programs are executed by their descriptors,
// which have names there only, and no core can do without.
func (k *keeper) procAgain() {
	if unix.Access("/proc/self/fd", unix.F_OK) == nil {
		return
	}
	for _, a := range k.cfg.APIFS {
		if a.Op == apifs.Mount && a.Path == "/proc" {
			err := a.Mount()
			k.tell(event.Event{Kind: event.Setup, Text: "/proc is not there; " + a.String(), Err: err})
		}
	}
}

// coreNotExecuted looks for another program after execve(2) refused one.
func (k *keeper) coreNotExecuted(trial bool, err error) (handled bool) {
	if trial {
		k.LastCause = fdstore.CauseTrial
		k.goBack("cannot execute it: " + err.Error())
		return true
	}
	k.programs.running.Release() // perhaps its path leads to a better one
	return false
}

// exchanging reports that another program is about to be the core, or is on trial, or has not been
// told that it may act: none of that is handed over.
func (k *keeper) exchanging() bool {
	return k.core.trial || k.core.adopted || k.programs.candidate.Held()
}

// coreAsked takes a candidate.
func (k *keeper) coreAsked(now time.Time, m fdstore.Message) {
	s := &k.programs
	if k.exchanging() {
		keep.Release(m.FD)
		k.refused(m.Upgrade, unix.EBUSY)
		return
	}
	p, err := program.Hold(m.FD, k.cfg.Core.Path, m.Upgrade.To)
	if err != nil {
		k.refused(m.Upgrade, err)
		return
	}
	s.candidate = p
	s.request, s.askedAt = m.Upgrade, now
}

// noticeReplacement makes a candidate of the file at the core's path if it is another one than
// before, when a core ended in order (daemon-reexec). What runs may be of another path.
func (k *keeper) noticeReplacement(e fdstore.Exit) {
	s := &k.programs
	if e.Code != proc.CLDExited || e.Status != 0 || s.candidate.Held() || !s.running.Held() {
		return
	}
	p, err := program.Load(k.cfg.Core.Path)
	if err != nil {
		return
	}
	was, is := s.installed, p.File.Identity()
	if s.installed = is; is == was || is == s.running.File.Identity() {
		p.Release()
		return
	}
	s.candidate = p
	s.request = fdstore.Upgrade{Target: fdstore.TargetCore, To: "as installed"}
}

// healthy is a core's report that it has recovered.
func (k *keeper) healthy(now time.Time, version string) {
	s := &k.programs
	s.aboutSent, k.core.Healthy = false, true
	if !k.core.trial {
		s.running.Version = version
		return
	}
	k.core.trial = false
	s.previous.Release()
	s.previous, s.running, s.candidate = s.running, s.candidate, handover.Binary{}
	s.running.Version = version
	s.request.From, s.request.To, s.request.Result, s.request.Reason = s.previous.Version, version, fdstore.ResultAdopted, ""
	s.probation, s.deaths = now.Add(k.cfg.Probation), 0
	k.core.adopted = true
	k.settled(s.request)
	k.tell(event.Event{Kind: event.Upgrade, Text: "core " + version + " took over from " + s.previous.Version})
}

// goBack gives the candidate up, or what runs on probation. The next core is the old program.
func (k *keeper) goBack(why string) {
	s := &k.programs
	if s.candidate.Held() {
		s.candidate.Release()
		s.request.From = s.running.Version
	} else {
		s.request.From = s.previous.Version
		s.running.Release()
		s.running, s.previous = s.previous, handover.Binary{}
	}
	s.probation = time.Time{}
	s.request.Result, s.request.Reason = fdstore.ResultRolledBack, fdstore.Shorten(why, fdstore.MaxReason)
	k.settled(s.request)
	k.tell(event.Event{Kind: event.Upgrade, Text: "going back to core " + s.running.Version, Err: errors.New(why)})
}

// succeed decides what a core's death means for its program. If it does not count, told is what the next
// core hears of it, else CauseNone.
func (k *keeper) succeed(now time.Time, e fdstore.Exit, cause fdstore.Cause) (told fdstore.Cause) {
	s, c := &k.programs, &k.core
	switch {
	case c.trial && c.late:
		k.goBack("it hung on trial: it did not report healthy within " + k.cfg.TrialTimeout.String())
		return fdstore.CauseTrialHang
	case c.trial:
		k.goBack("it died on trial, before it reported healthy: " + ending(e))
		return fdstore.CauseTrial
	case s.candidate.Held():
		return fdstore.CauseReplaced // what asked for it ended, as it should
	case now.Before(s.probation) && cause != fdstore.CauseKill:
		if s.deaths++; s.deaths < 2 {
			return fdstore.CauseNone
		}
		k.goBack("it died by itself a second time within its probation: " + cause.String() + ", " + ending(e))
		return fdstore.CauseProbation
	}
	if k.noticeReplacement(e); s.candidate.Held() {
		return fdstore.CauseReplaced
	}
	return fdstore.CauseNone
}

// ending is how a process ended, a signal with its name.
func ending(e fdstore.Exit) string {
	text := event.Describe(e.Code, e.Status)
	if e.Code != proc.CLDExited {
		if name := unix.SignalName(unix.Signal(e.Status)); name != "" {
			text += " (" + name + ")"
		}
	}
	return text
}

// lookAtTrial ends what takes too long.
func (k *keeper) lookAtTrial(now time.Time) {
	s, c := &k.programs, &k.core
	if due(k.trialDue(), now) {
		switch {
		case c.trial:
			c.late = true
			k.signalCore(unix.SIGKILL)
			c.started = now // should it not die of that, it is asked again
		default: // the asking core did not end
			s.candidate.Release()
			k.refused(s.request, unix.ETIMEDOUT)
		}
	}
	if due(s.probation, now) {
		s.probation, s.aboutSent = time.Time{}, false
	}
}

// trialDue is when lookAtTrial has to kill or refuse; zero: there is nothing to wait for.
func (k *keeper) trialDue() time.Time {
	switch {
	case k.core.PID != 0 && k.core.trial:
		return k.core.started.Add(k.cfg.TrialTimeout)
	case k.core.PID != 0 && k.programs.candidate.Held():
		return k.programs.askedAt.Add(k.cfg.TrialTimeout)
	}
	return time.Time{}
}

// about is what the core is told of init and of the way back.
func (k *keeper) about(now time.Time) fdstore.About {
	s := &k.programs
	return fdstore.About{
		Version: k.cfg.Version, Protected: k.cfg.Signals.Sealed(),
		Previous: s.previous.Version, Held: s.previous.Held(), Probation: max(0, s.probation.Sub(now)),
	}
}

// handOverPrograms and restorePrograms carry them over an execution of init.
func (k *keeper) handOverPrograms(s *handover.State, c handover.Clock) {
	p := &k.programs
	s.Installed, s.Running, s.Previous = p.installed, p.running, p.previous
	s.Previous.Deadline = c.Out(p.probation)
}

func (k *keeper) restorePrograms(s *handover.State, c handover.Clock) {
	for _, b := range [...]*handover.Binary{&s.Running, &s.Previous} {
		if b.File.Check() != nil { // also if there is none
			*b = handover.Binary{}
		}
	}
	k.programs = succession{
		installed: s.Installed, running: s.Running, previous: s.Previous, probation: c.In(s.Previous.Deadline), request: s.Outcome,
	}
}

// releasePrograms lets go of files that may have no name any more, which would keep their file
// system from becoming read-only.
func (k *keeper) releasePrograms() {
	for _, p := range [...]*handover.Binary{&k.programs.running, &k.programs.previous, &k.programs.candidate} {
		p.Release()
	}
}
