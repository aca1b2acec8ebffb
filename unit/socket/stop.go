package socket

import (
	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execseq"
)

func (s *Socket) onStop(tx *unit.Tx) {
	switch {
	case s.phase.starting():
		s.enterSignal(tx, stopPreSigterm, success)
	case s.phase.up():
		s.enterStopPre(tx, success)
	}
}

// enterStopPre runs ExecStopPre=, with the sockets still open.
func (s *Socket) enterStopPre(tx *unit.Tx, r result) {
	s.fail(r)
	if len(s.cfg.Exec[listStopPre]) > 0 {
		s.set(tx, stopPre)
		s.run(tx, listStopPre, 0)
		return
	}
	s.enterStopPost(tx, success)
}

// enterStopPost closes the sockets and runs ExecStopPost=.
func (s *Socket) enterStopPost(tx *unit.Tx, r result) {
	s.fail(r)
	if len(s.cfg.Exec[listStopPost]) > 0 {
		s.set(tx, stopPost)
		s.run(tx, listStopPost, 0)
		return
	}
	s.enterSignal(tx, finalSigterm, success)
}

// enterSignal climbs the ladder from the rung of p on.
func (s *Socket) enterSignal(tx *unit.Tx, p phase, r result) {
	s.fail(r)
	final := p == finalSigterm || p == finalSigkill
	rung := execseq.RungTerm
	if p == finalSigkill || p == stopPreSigkill {
		rung = execseq.RungKill
	}
	at := s.m.Climb(tx, &s.cfg.Settings.Kill, rung, false, execseq.Times{Stop: s.cfg.Timeout, Abort: s.cfg.Timeout})
	switch {
	case at == execseq.RungOver && final:
		s.enterDead(tx)
	case at == execseq.RungOver:
		s.enterStopPost(tx, success)
	case at == execseq.RungKill && final:
		s.set(tx, finalSigkill)
	case final:
		s.set(tx, finalSigterm)
	case at == execseq.RungKill:
		s.set(tx, stopPreSigkill)
	default:
		s.set(tx, stopPreSigterm)
	}
}

func (s *Socket) enterDead(tx *unit.Tx) {
	s.setup = nil
	if s.result == success {
		s.set(tx, dead)
	} else {
		s.set(tx, failed)
	}
	if dirs := s.cfg.Settings.Exec.RuntimeDirs(); len(dirs) > 0 && s.realized {
		tx.Emit(unit.Dirs{Remove: true, Dirs: dirs})
	}
	if s.realized {
		s.realized = false
		tx.Emit(unit.RemoveCgroup{})
	}
}

func (s *Socket) onNote(tx *unit.Tx, n execseq.Note) {
	switch n.Kind {
	case execseq.Spawned:
		l, i := s.current()
		*s.statusOf(l, i) = execStatus{pid: s.m.Control.Proc.PID, start: tx.Now}
	case execseq.Exited:
		if n.Err != nil {
			tx.Emit(unit.Say{Level: unit.LevelErr, Text: n.Err.Error()})
		}
		s.exited(tx, n.Exit)
	case execseq.Execed:
		if n.Err != nil { // its Exited follows
			tx.Emit(unit.Say{Level: unit.LevelErr, Text: n.Err.Error()})
		}
	case execseq.Empty:
		s.onEmpty(tx)
	case execseq.Timeout:
		s.onTimeout(tx)
	}
}

// current is the list and place of the control process.
func (s *Socket) current() (list, int) {
	for l := list(0); l < numLists; l++ {
		if lists[l].role == s.m.List {
			return l, s.m.Index
		}
	}
	return listStartPre, 0
}

func (s *Socket) statusOf(l list, i int) *execStatus {
	for len(s.status[l]) <= i {
		s.status[l] = append(s.status[l], execStatus{})
	}
	return &s.status[l][i]
}

// judge says what an exit amounts to; daemons' clean signals are none for a command.
func (s *Socket) judge(e unit.Exit) result {
	switch e.Code {
	case unit.ExitExited:
		if e.Status == 0 {
			return success
		}
		return exitCode
	case unit.ExitKilled:
		return signal
	case unit.ExitDumped:
		return coreDump
	}
	if s.phase.stopping() {
		return success
	}
	return resources
}

// exited takes the end of the control process.
func (s *Socket) exited(tx *unit.Tx, e unit.Exit) {
	l, i := s.current()
	st := s.statusOf(l, i)
	st.end, st.exit = e, tx.Now
	r := s.judge(e)
	if cmds := s.cfg.Exec[l]; i < len(cmds) && cmds[i].IgnoreFail {
		r = success
	}
	s.fail(r)
	if phaseOf[l] == s.phase && r == success && i+1 < len(s.cfg.Exec[l]) {
		s.run(tx, l, i+1)
		return
	}
	switch s.phase {
	case startPre:
		if r != success {
			s.enterSignal(tx, finalSigterm, r)
			return
		}
		s.enterListen(tx)
	case startPost:
		if r != success {
			s.enterStopPre(tx, r)
			return
		}
		s.enterUp(tx)
	case stopPre:
		s.enterStopPost(tx, r)
	case stopPreSigterm, stopPreSigkill:
		s.enterStopPost(tx, r)
	case stopPost:
		s.enterSignal(tx, finalSigterm, r)
	case finalSigterm, finalSigkill:
		if s.m.Empty {
			s.enterDead(tx)
		}
	}
}

// phaseOf is the phase in which a list runs.
var phaseOf = [numLists]phase{listStartPre: startPre, listStartPost: startPost, listStopPre: stopPre, listStopPost: stopPost}

// onEmpty acts when the control group has no process any more.
func (s *Socket) onEmpty(tx *unit.Tx) {
	if s.m.Control.Live() {
		return
	}
	switch s.phase {
	case stopPreSigterm, stopPreSigkill:
		s.enterStopPost(tx, success)
	case finalSigterm, finalSigkill:
		s.enterDead(tx)
	}
}

// onTimeout acts when the phase's timer elapsed.
func (s *Socket) onTimeout(tx *unit.Tx) {
	tx.Emit(unit.Say{Level: unit.LevelWarning, Text: "state '" + s.phase.String() + "' timed out"})
	switch s.phase {
	case startPre:
		s.enterSignal(tx, finalSigterm, timeout)
	case startChown:
		s.enterStopPre(tx, timeout)
	case startPost, stopPre:
		s.enterSignal(tx, stopPreSigterm, timeout)
	case stopPreSigterm:
		s.afterTerm(tx, stopPreSigkill)
	case stopPreSigkill:
		s.giveUp()
		s.enterStopPost(tx, timeout)
	case stopPost:
		s.enterSignal(tx, finalSigterm, timeout)
	case finalSigterm:
		s.afterTerm(tx, finalSigkill)
	case finalSigkill:
		s.giveUp()
		s.fail(timeout)
		s.enterDead(tx)
	}
}

// afterTerm goes on when SIGTERM did not end the processes.
func (s *Socket) afterTerm(tx *unit.Tx, kill phase) {
	if s.cfg.Settings.Kill.SendSIGKILL {
		s.enterSignal(tx, kill, timeout)
		return
	}
	s.giveUp()
	s.fail(timeout)
	if kill == finalSigkill {
		s.enterDead(tx)
	} else {
		s.enterStopPost(tx, timeout)
	}
}

// giveUp forgets processes that do not end.
func (s *Socket) giveUp() { s.m.Control, s.m.Empty = execseq.Process{}, true }

// onRequest takes wishes that are not jobs.
func (s *Socket) onRequest(tx *unit.Tx, r unit.Request) {
	switch r.Kind {
	case unit.RequestKill:
		p := s.m.Control.Proc
		if r.Who == unit.KillMain || p.IsZero() {
			tx.Refuse("the socket has no such process")
			return
		}
		if r.Who == unit.KillAll {
			p = unit.Proc{}
		}
		tx.Emit(unit.Kill{Proc: p, Signal: r.Signal})
	case unit.RequestResetFailed:
		s.result = success
		if s.phase == failed {
			s.set(tx, dead)
		}
	case unit.RequestConditionFailed:
	case unit.RequestStartLimitHit:
		if s.phase.down() {
			s.fail(startLimitHit)
			s.set(tx, failed)
		}
	default:
		tx.Refuse("sockets do not support this request")
	}
}
