package service

import (
	"github.com/sysmaster-go/sysmaster/unit"
)

const (
	sigHUP  = 1
	sigINT  = 2
	sigPIPE = 13
	sigTERM = 15
)

// judge says what an exit amounts to. A status that nobody saw is no success, except of a
// process that was being stopped anyway.
func (s *Service) judge(e unit.Exit) result {
	if s.cfg.SuccessStatus.Has(e) {
		return success
	}
	switch e.Code {
	case unit.ExitExited:
		if e.Status == 0 {
			return success
		}
		return exitCode
	case unit.ExitKilled:
		if s.cfg.Type != TypeOneshot {
			switch e.Status {
			case sigHUP, sigINT, sigTERM, sigPIPE:
				return success
			}
		}
		return signal
	case unit.ExitDumped:
		return coreDump
	}
	if s.phase.stopping() {
		return success
	}
	return resources
}

// mainExited takes the end of the main process. A daemon that replaces itself writes its PID
// file first, so the file is looked at before anything else happens.
func (s *Service) mainExited(tx *unit.Tx, p unit.Proc, e unit.Exit) {
	if s.cfg.PIDFile != "" && !p.IsZero() && s.phase.in(start, startPost, running, reload) {
		s.held = &held{p, e}
		s.readPIDFile(tx, readHeld)
		return
	}
	s.mainGone(tx, p, e)
}

func (s *Service) mainGone(tx *unit.Tx, p unit.Proc, e unit.Exit) {
	r := s.judge(e)
	s.recordMain(tx, e)
	if s.mainIgnored() {
		r = success
	}
	s.fail(r)
	if s.mainRun && s.cfg.Type == TypeOneshot && r == success && s.phase == start && s.mainIndex+1 < len(s.cfg.Exec[listStart]) {
		s.runMain(tx, s.mainIndex+1)
		s.m.Arm(tx, s.cfg.TimeoutStart)
		return
	}
	s.mainRun = false
	if s.cfg.ExitTypeCgroup && !s.m.Empty {
		if s.phase == start {
			s.enterStartPost(tx)
		}
		return
	}
	s.afterMain(tx, r, p.IsZero())
}

// recordMain keeps how the main process ended, for clients, ExecStopPost= and Restart=.
func (s *Service) recordMain(tx *unit.Tx, e unit.Exit) {
	s.main.end, s.main.exit = e, tx.Now
	if s.mainRun {
		st := s.statusOf(listStart, s.mainIndex)
		st.end, st.exit = e, tx.Now
	}
}

// mainIgnored reports whether the command that made the main process has the prefix "-".
func (s *Service) mainIgnored() bool {
	cmds := s.cfg.Exec[listStart]
	if s.mainRun {
		return s.mainIndex < len(cmds) && cmds[s.mainIndex].IgnoreFail
	}
	return len(cmds) > 0 && cmds[0].IgnoreFail
}

// afterMain goes on when the main process is gone and was the last ExecStart= command.
// never says that it could not even be made.
func (s *Service) afterMain(tx *unit.Tx, r result, never bool) {
	control := s.m.Control.Live()
	switch s.phase {
	case start:
		s.startEnded(tx, r, never)
	case startPost, reload:
		if !control { // else the command's end decides
			s.enterStop(tx, r)
		}
	case running:
		s.enterRunning(tx, r)
	case stopWatchdog, stopSigterm, stopSigkill:
		if !control {
			s.enterStopPost(tx, r)
		}
	case finalWatchdog, finalSigterm, finalSigkill:
		if !control && s.m.Empty {
			s.enterDead(tx, r)
		}
	}
}

// startEnded goes on when the main process ended in the phase start, by the kind of start-up.
func (s *Service) startEnded(tx *unit.Tx, r result, never bool) {
	switch {
	case never && r != success:
		s.enterSignal(tx, stopSigterm, r)
	case s.cfg.Type == TypeOneshot && r == success:
		s.enterStartPost(tx)
	case s.cfg.Type == TypeOneshot:
		s.enterSignal(tx, stopSigterm, r)
	case s.cfg.Type == TypeNotify && r != success:
		s.enterSignal(tx, stopSigterm, r)
	case s.cfg.Type == TypeNotify:
		if !s.cfg.RemainAfterExit || s.cfg.NotifyAccess == notifyMain { // nobody is left to say READY=1
			s.enterSignal(tx, stopSigterm, protocol)
		}
	default:
		s.enterRunning(tx, r)
	}
}

// controlExited takes the end of the control process.
func (s *Service) controlExited(tx *unit.Tx, e unit.Exit) {
	l, i := s.current()
	st := s.statusOf(l, i)
	st.end, st.exit = e, tx.Now
	r := s.judge(e)
	if cmds := s.cfg.Exec[l]; i < len(cmds) && cmds[i].IgnoreFail {
		r = success
	}
	skip := s.phase == condition && r == exitCode && e.Status < 255
	if skip {
		r = execCondition
	}
	if s.phase != reload {
		s.fail(r)
	}
	if r == success && s.runs(l) && i+1 < len(s.cfg.Exec[l]) {
		s.runControl(tx, l, i+1)
		return
	}
	s.afterControl(tx, r)
}

// runs reports whether l is the list of the present phase: a phase that was left for
// another while a command ran ends with that command.
func (s *Service) runs(l list) bool {
	switch s.phase {
	case condition:
		return l == listCondition
	case startPre:
		return l == listStartPre
	case startPost:
		return l == listStartPost
	case reload:
		return l == listReload
	case stop:
		return l == listStop
	case stopPost:
		return l == listStopPost
	}
	return false
}

// afterControl goes on when the last command of a list ended, or one failed.
func (s *Service) afterControl(tx *unit.Tx, r result) {
	main := s.mainAlive()
	switch s.phase {
	case condition, startPre:
		if r != success {
			s.enterSignal(tx, stopSigterm, r)
			return
		}
		l, _ := s.current()
		s.afterList(tx, l)
	case start:
		s.forked(tx, r)
	case startPost:
		switch {
		case r != success:
			s.enterSignal(tx, stopSigterm, r)
		case s.findMain(tx, readStartPost):
		default:
			s.enterRunning(tx, success)
		}
	case reload:
		if r == success && s.findMain(tx, readReload) {
			return
		}
		s.reloadDone(tx, r)
	case stop:
		s.enterSignal(tx, stopSigterm, r)
	case stopWatchdog, stopSigterm, stopSigkill:
		if !main {
			s.enterStopPost(tx, r)
		}
	case stopPost:
		if !main {
			s.enterSignal(tx, finalSigterm, r)
		}
	case finalWatchdog, finalSigterm, finalSigkill:
		if !main && s.m.Empty {
			s.enterDead(tx, r)
		}
	}
}

// forked goes on when the command of a Type=forking service returned.
func (s *Service) forked(tx *unit.Tx, r result) {
	switch {
	case r != success:
		s.enterSignal(tx, stopSigterm, r)
	case s.findMain(tx, readStart):
	default:
		s.enterStartPost(tx)
	}
}

// onEmpty acts when the control group has no process any more. Ends of processes that are
// known are more telling, so those come first.
func (s *Service) onEmpty(tx *unit.Tx) {
	if s.mainAlive() || s.m.Control.Live() {
		return
	}
	switch s.phase {
	case start:
		switch {
		case s.cfg.Type == TypeNotify && s.mainKnown:
			s.enterStopPost(tx, protocol)
		case s.cfg.ExitTypeCgroup && s.mainKnown:
			s.enterStartPost(tx)
		default:
			s.noPIDFile(tx)
		}
	case startPost:
		s.noPIDFile(tx)
	case running:
		s.enterRunning(tx, success)
	case stopWatchdog, stopSigterm, stopSigkill:
		s.enterStopPost(tx, success)
	case finalWatchdog, finalSigterm, finalSigkill:
		s.enterDead(tx, success)
	case dead, failed, autoRestart:
		if s.leftover {
			s.removeCgroup(tx)
		}
	}
}
