package service

import "github.com/sysmaster-go/sysmaster/unit"

// onRequest takes wishes that are not jobs.
func (s *Service) onRequest(tx *unit.Tx, r unit.Request) {
	switch r.Kind {
	case unit.RequestKill:
		s.kill(tx, r)
	case unit.RequestResetFailed:
		s.restarts, s.flushRestarts = 0, false
		s.result, s.reloadResult = success, success
		if s.phase == failed {
			s.set(tx, dead)
		}
	case unit.RequestConditionFailed:
		if s.phase == autoRestart {
			s.flushRestarts = true
			s.set(tx, dead)
		}
	case unit.RequestStartLimitHit:
		if s.phase.down() || s.phase == autoRestart {
			s.fail(startLimitHit)
			s.flushRestarts = true
			s.m.Disarm(tx)
			s.set(tx, failed)
		}
	case unit.RequestAttach:
		if len(r.FDs) != 1 || s.conn.Key != "" || !s.phase.down() {
			tx.Refuse("the service takes one connection, before its start")
			return
		}
		s.conn = r.FDs[0]
	default:
		tx.Refuse("services do not support this request")
	}
}

func (s *Service) kill(tx *unit.Tx, r unit.Request) {
	var p unit.Proc
	switch r.Who {
	case unit.KillMain:
		if p = s.m.Main.Proc; p.IsZero() {
			tx.Refuse("the service has no main process")
			return
		}
	case unit.KillControl:
		if p = s.m.Control.Proc; p.IsZero() {
			tx.Refuse("the service has no control process")
			return
		}
	default:
		if s.m.Empty && !s.m.Main.Live() && !s.m.Control.Live() {
			tx.Refuse("the service has no process")
			return
		}
	}
	tx.Emit(unit.Kill{Proc: p, Signal: r.Signal})
}
