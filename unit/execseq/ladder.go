package execseq

import (
	"time"

	"github.com/sysmaster-go/sysmaster/unit"
	"github.com/sysmaster-go/sysmaster/unit/execspec"
)

// Rung is a step of the ladder.
type Rung uint8

const (
	RungTerm Rung = iota
	RungWatchdog
	RungKill
	RungOver
)

// Next is the rung after r.
func (r Rung) Next(k *execspec.KillContext) Rung {
	if r < RungKill && k.SendSIGKILL {
		return RungKill
	}
	return RungOver
}

// Times are how long the rungs wait.
type Times struct{ Stop, Abort time.Duration }

// Climb signals for rung r and arms the state's timer; while there is nobody to wait for, it
// goes up. The result is the rung that waits, or RungOver. restart says that the unit is to
// start again, which has its own first signal.
func (m *Machine) Climb(tx *unit.Tx, k *execspec.KillContext, r Rung, restart bool, t Times) Rung {
	for r != RungOver {
		if m.Signal(tx, k, r, restart) {
			if r == RungWatchdog {
				m.Arm(tx, t.Abort)
			} else {
				m.Arm(tx, t.Stop)
			}
			return r
		}
		r = r.Next(k)
	}
	return r
}

const sigHUP = 1

// Signal sends what rung r sends, and reports whether there is anybody to wait for.
func (m *Machine) Signal(tx *unit.Tx, k *execspec.KillContext, r Rung, restart bool) bool {
	if k.Mode == execspec.KillNone {
		return false
	}
	signal := k.Signal
	switch {
	case r == RungWatchdog:
		signal = k.WatchdogSignal
	case r == RungKill:
		signal = k.FinalSignal
	case restart && k.RestartSignal != 0:
		signal = k.RestartSignal
	}
	group := k.Mode == execspec.KillControlGroup || k.Mode == execspec.KillMixed && r == RungKill
	wait := m.send(tx, group, signal)
	if wait && r == RungTerm && k.SendSIGHUP && signal != sigHUP {
		m.send(tx, group, sigHUP)
	}
	return wait
}

// send signals the whole group, or the main and the control process. A process that is
// asked for but does not exist yet gets the signal as soon as it does (Owed); the Kill of a
// group finds it by itself, because effects of a unit are carried out in order.
func (m *Machine) send(tx *unit.Tx, group bool, signal int) bool {
	live := m.Main.Live() || m.Control.Live()
	if group {
		if live || !m.Empty {
			m.KillSeq = tx.Emit(unit.Kill{Signal: signal, Cont: true})
		}
		return live || !m.Empty
	}
	for _, p := range []*Process{&m.Main, &m.Control} {
		if !p.Proc.IsZero() {
			tx.Emit(unit.Kill{Proc: p.Proc, Signal: signal, Cont: true})
		} else if p.Seq != 0 {
			m.Owed = signal
		}
	}
	return live
}

// KillControl ends the control process alone (a reload that took too long).
func (m *Machine) KillControl(tx *unit.Tx) {
	if !m.Control.Proc.IsZero() {
		tx.Emit(unit.Kill{Proc: m.Control.Proc, Signal: sigKILL})
	}
	m.Control = Process{}
}

const sigKILL = 9
