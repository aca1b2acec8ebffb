package service

import (
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execseq"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

func (s *Service) onStop(tx *unit.Tx) {
	if s.phase.down() {
		return
	}
	s.restartAllowed = false
	switch {
	case s.phase == autoRestart: // it has failed, or ended, already
		s.set(tx, dead)
		s.release(tx, false)
	case s.phase.starting(), s.phase == reload:
		s.enterSignal(tx, stopSigterm, success)
	case s.phase.up():
		s.enterStop(tx, success)
	}
}

// enterStop runs ExecStop=, then signals.
func (s *Service) enterStop(tx *unit.Tx, r result) {
	s.fail(r)
	if len(s.cfg.Exec[listStop]) > 0 {
		s.set(tx, stop)
		s.runControl(tx, listStop, 0)
		return
	}
	s.enterSignal(tx, stopSigterm, success)
}

func (s *Service) enterStopByNotice(tx *unit.Tx) {
	s.set(tx, stopSigterm)
	s.m.Arm(tx, s.cfg.TimeoutStop)
}

// rungs places the signalling phases on the ladder; final says which of the two it is.
var rungs = [numPhases]struct {
	rung  execseq.Rung
	final bool
}{
	stopSigterm: {execseq.RungTerm, false}, stopWatchdog: {execseq.RungWatchdog, false}, stopSigkill: {execseq.RungKill, false},
	finalSigterm: {execseq.RungTerm, true}, finalWatchdog: {execseq.RungWatchdog, true}, finalSigkill: {execseq.RungKill, true},
}

var stopRungs = [...]phase{execseq.RungTerm: stopSigterm, execseq.RungWatchdog: stopWatchdog, execseq.RungKill: stopSigkill}
var finalRungs = [...]phase{execseq.RungTerm: finalSigterm, execseq.RungWatchdog: finalWatchdog, execseq.RungKill: finalSigkill}

// enterSignal climbs the ladder from the rung of p on.
func (s *Service) enterSignal(tx *unit.Tx, p phase, r result) {
	s.fail(r)
	final := rungs[p].final
	restart := !final && s.restartJob(tx)
	at := s.m.Climb(tx, &s.cfg.Settings.Kill, rungs[p].rung, restart, s.times())
	switch {
	case at == execseq.RungOver && final:
		s.enterDead(tx, success)
	case at == execseq.RungOver:
		s.enterStopPost(tx, success)
	case final:
		s.set(tx, finalRungs[at])
	default:
		s.set(tx, stopRungs[at])
	}
}

func (s *Service) enterStopPost(tx *unit.Tx, r result) {
	s.fail(r)
	if len(s.cfg.Exec[listStopPost]) > 0 {
		s.set(tx, stopPost)
		s.runControl(tx, listStopPost, 0)
		return
	}
	s.enterSignal(tx, finalSigterm, success)
}

// overdue goes on from a stopping phase whose time is up: to SIGKILL if that is allowed,
// else past the signals.
func (s *Service) overdue(tx *unit.Tx, final bool) {
	kill, over := stopSigkill, s.enterStopPost
	if final {
		kill, over = finalSigkill, s.enterDead
	}
	if s.cfg.Settings.Kill.SendSIGKILL {
		s.enterSignal(tx, kill, timeout)
	} else {
		over(tx, timeout)
	}
}

// byMode is the first phase after a timeout, by TimeoutStartFailureMode= and its kin.
func (s *Service) byMode(tx *unit.Tx, mode int, final bool) {
	term, abort := stopSigterm, stopWatchdog
	if final {
		term, abort = finalSigterm, finalWatchdog
	}
	switch mode {
	case failAbort:
		s.enterSignal(tx, abort, timeout)
	case failKill:
		s.overdue(tx, final)
	default:
		s.enterSignal(tx, term, timeout)
	}
}

// onTimeout acts when the phase's timer elapsed.
func (s *Service) onTimeout(tx *unit.Tx) {
	if s.forgetful && s.m.Main.Live() {
		tx.Emit(unit.Say{Level: unit.LevelWarning, Text: "it counts as started: what it said may be lost with a damaged state store, and its main process lives"})
		s.enterStartPost(tx)
		return
	}
	if s.phase != autoRestart {
		tx.Emit(unit.Say{Level: unit.LevelWarning, Text: "state '" + s.phase.String() + "' timed out"})
	}
	switch s.phase {
	case condition, startPre, start, startPost:
		s.byMode(tx, s.cfg.StartFailure, false)
	case running:
		s.enterStop(tx, timeout)
	case reload:
		s.m.KillControl(tx)
		s.notice = noticeNone
		s.reloadDone(tx, timeout)
	case stop:
		s.byMode(tx, s.cfg.StopFailure, false)
	case stopPost:
		s.byMode(tx, s.cfg.StopFailure, true)
	case stopSigterm, finalSigterm:
		final := s.phase == finalSigterm
		if s.cfg.StopFailure == failAbort {
			s.byMode(tx, failAbort, final)
		} else {
			s.overdue(tx, final)
		}
	case stopWatchdog, finalWatchdog:
		s.overdue(tx, s.phase == finalWatchdog)
	case stopSigkill: // it cannot be killed: go on without it
		s.giveUp()
		s.enterStopPost(tx, timeout)
	case finalSigkill:
		s.giveUp()
		s.enterDead(tx, timeout)
	case autoRestart:
		s.restart(tx)
	}
}

// giveUp forgets processes that SIGKILL did not end.
func (s *Service) giveUp() {
	s.m.Main, s.m.Control, s.m.Empty, s.held = execseq.Process{}, execseq.Process{}, true, nil
}

// restart asks for the job that starts the service again; a stop that is queued wins.
func (s *Service) restart(tx *unit.Tx) {
	if p, ok := tx.Peer(s.name); ok && p.Job == unit.JobStop {
		return
	}
	s.restarts++
	s.flushRestarts = false
	tx.Emit(unit.Enqueue{Unit: s.name, Type: unit.JobRestart, Mode: unit.ModeReplace})
}

func (s *Service) endPhase() phase {
	if s.result == success || s.result == execCondition {
		return dead
	}
	return failed
}

// enterDead ends the run: down for good, or until the restart.
func (s *Service) enterDead(tx *unit.Tx, r result) {
	s.fail(r)
	again := s.restartAllowed && s.shallRestart()
	s.reads, s.setup, s.held = nil, nil, nil
	if again {
		s.set(tx, autoRestart)
		s.m.Arm(tx, s.cfg.RestartSec)
	} else {
		s.flushRestarts = true
		s.set(tx, s.endPhase())
	}
	s.release(tx, again)
	s.restartAllowed = true
}

// shallRestart decides by Restart= and the exit status sets (man systemd.service(5), Restart=).
func (s *Service) shallRestart() bool {
	if s.main.end.Code != unit.ExitUnknown {
		if s.cfg.PreventStatus.Has(s.main.end) {
			return false
		}
		if s.cfg.ForceStatus.Has(s.main.end) {
			return true
		}
	}
	clean := s.result == success || s.result == execCondition
	switch s.cfg.Restart {
	case restartAlways:
		return s.result != execCondition
	case restartOnSuccess:
		return s.result == success
	case restartOnFailure:
		return !clean
	case restartOnAbnormal:
		return !clean && s.result != exitCode
	case restartOnWatchdog:
		return s.result == watchdog
	case restartOnAbort:
		return s.result == signal || s.result == coreDump
	}
	return false
}

// release gives back what a run used: runtime directories, PID file, descriptors, control group.
func (s *Service) release(tx *unit.Tx, again bool) {
	again = again || s.restartJob(tx)
	c := &s.cfg.Settings.Exec
	keep := c.RuntimeDirectoryPreserve == execspec.PreserveYes || c.RuntimeDirectoryPreserve == execspec.PreserveRestart && again
	if dirs := c.RuntimeDirs(); len(dirs) > 0 && !keep {
		tx.Emit(unit.Dirs{Remove: true, Dirs: dirs})
	}
	var drop unit.DropFD
	if s.cfg.PIDFile != "" {
		drop.Unlink = []string{s.cfg.PIDFile}
	}
	if s.conn.Key != "" {
		drop.Keys = append(drop.Keys, s.conn.Key)
		s.conn = unit.FDRef{}
	}
	if !again {
		for _, f := range s.stored {
			drop.Keys = append(drop.Keys, f.Key)
		}
		s.stored = nil
	}
	if len(drop.Keys)+len(drop.Unlink) > 0 {
		tx.Emit(drop)
	}
	s.removeCgroup(tx)
}

func (s *Service) removeCgroup(tx *unit.Tx) {
	s.removal, s.leftover = tx.Emit(unit.RemoveCgroup{}), false
}

// onRemoved notes whether the control group is gone; false if d is not about that.
func (s *Service) onRemoved(d unit.Done) bool {
	if d.Seq == 0 || d.Seq != s.removal {
		return false
	}
	s.removal, s.leftover = 0, d.Err != ""
	return true
}

// onOOM acts on OOMPolicy=.
func (s *Service) onOOM(tx *unit.Tx) {
	tx.Emit(unit.Say{Level: unit.LevelNotice, Text: "a process of the unit was killed by the kernel's OOM killer"})
	if s.cfg.Settings.CGroup.OOMPolicy == execspec.OOMContinue {
		return
	}
	switch {
	case s.phase.starting(), s.phase == stop, s.phase == reload:
		s.enterSignal(tx, stopSigterm, oomKill)
	case s.phase.up():
		s.enterStop(tx, oomKill)
	case s.phase == stopWatchdog, s.phase == stopSigterm:
		s.enterSignal(tx, stopSigkill, oomKill)
	case s.phase == stopPost, s.phase == finalSigterm:
		s.enterSignal(tx, finalSigkill, oomKill)
	case s.phase.stopping():
		s.fail(oomKill)
	}
}
